"""Observations: what payments-api learnt by asking a gateway, or an operator from a bank statement, read into facts.

Told by our own services only, so a wrong one is their mistake and is refused, not quarantined. Kept and published as a
webhook of that gateway is, under the gateway's own id of the payment: whatever way news come, their effect is one.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from gateway_ingest.domain.facts import (
    Amount,
    Confirmed,
    Disputed,
    Fact,
    Failed,
    FeeKept,
    Pending,
    Reading,
    Refunded,
    RefundTold,
)
from gateway_ingest.domain.judging import METADATA_MAX_KEYS, TEXT_MAX_CHARS

EVENT_ID_PREFIX = "observed."
CONFIRMATIONS_MAX = 10_000
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,180}$")]
GatewayName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Text = Annotated[str, StringConstraints(max_length=TEXT_MAX_CHARS)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ObservedAmount(_Part):
    """``units`` smallest units of ``asset`` (``USD/2``)."""

    units: Annotated[int, Field(gt=-(10**38), lt=10**38)]
    asset: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,11}/\d{1,2}$")]

    def amount(self) -> Amount:
        code, _, exponent = self.asset.partition("/")
        return Amount(self.units, code, int(exponent))


class _Observed(_Part):
    payment_id: Identifier


class ConfirmedObserved(_Observed):
    """Money arrived."""

    kind: Literal["confirmed"]
    received: ObservedAmount
    worth: ObservedAmount | None = None
    reference: Text | None = None
    user_id: Identifier | None = None
    metadata: dict[str, str] = Field(default_factory=dict, max_length=METADATA_MAX_KEYS)

    def fact(self) -> Fact:
        worth = None if self.worth is None else self.worth.amount()
        return Confirmed(
            self.payment_id, self.received.amount(), self.reference, self.user_id, self.metadata, worth=worth
        )


class PendingObserved(_Observed):
    """Money was seen that is not final. Confirmations count blocks."""

    kind: Literal["pending"]
    state: Literal["processing", "requires_action", "unconfirmed", "withdrawn"]
    amount: ObservedAmount | None = None
    confirmations: Annotated[int, Field(ge=0, le=CONFIRMATIONS_MAX)] | None = None
    confirmations_required: Annotated[int, Field(ge=1, le=CONFIRMATIONS_MAX)] | None = None
    reference: Text | None = None

    def fact(self) -> Fact:
        amount = None if self.amount is None else self.amount.amount()
        return Pending(
            self.payment_id, self.state, amount, self.confirmations, self.confirmations_required, self.reference
        )


class FailedObserved(_Observed):
    """An attempt failed, or the payment is over."""

    kind: Literal["failed"]
    reason_code: Identifier
    reason: Text = ""
    reference: Text | None = None
    user_id: Identifier | None = None
    is_over: bool = False
    attempt_id: Identifier | None = None

    def fact(self) -> Fact:
        about = (self.reference, self.user_id, self.is_over, self.attempt_id)
        return Failed(self.payment_id, self.reason_code, self.reason, *about)


class RefundedObserved(_Observed):
    """So much has gone back in all."""

    kind: Literal["refunded"]
    refunded_total: ObservedAmount

    def fact(self) -> Fact:
        return Refunded(self.payment_id, self.refunded_total.amount())


class RefundObserved(_Observed):
    """What became of one refund."""

    kind: Literal["refund"]
    refund_id: Identifier
    amount: ObservedAmount
    state: Literal["pending", "succeeded", "failed"]
    reason: Text = ""

    def fact(self) -> Fact:
        return RefundTold(self.payment_id, self.refund_id, self.amount.amount(), self.state, self.reason)


class DisputeObserved(_Observed):
    """What became of one dispute."""

    kind: Literal["disputed"]
    dispute_id: Identifier
    state: Literal["opened", "won", "lost"]
    amount: ObservedAmount
    reason: Text = ""

    def fact(self) -> Fact:
        return Disputed(self.payment_id, self.dispute_id, self.state, self.amount.amount(), self.reason)


class FeeObserved(_Observed):
    """A fee by the gateway's own figures."""

    kind: Literal["fee"]
    fee_id: Identifier
    amount: ObservedAmount

    def fact(self) -> Fact:
        return FeeKept(self.payment_id, self.fee_id, self.amount.amount())


class Observation(_Part):
    """``name`` tells it from every other of this gateway, and repeats with it; ``at`` is the gateway's time."""

    gateway: GatewayName
    name: Identifier
    at: AwareDatetime | None = None
    observed: Annotated[
        ConfirmedObserved
        | PendingObserved
        | FailedObserved
        | RefundedObserved
        | RefundObserved
        | DisputeObserved
        | FeeObserved,
        Field(discriminator="kind"),
    ]

    def reading(self) -> Reading:
        """As an event of the gateway."""
        return Reading(EVENT_ID_PREFIX + self.name, EVENT_ID_PREFIX + self.observed.kind, self.at, self.observed.fact())
