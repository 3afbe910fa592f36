"""What a gateway's event says, in our words: a fact about a payment, nothing for us, or something odd.

Facts hold what was received, never what metadata claims. Amounts are integers in the currency's smallest unit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Amount:
    """``units`` of the smallest unit of ``currency`` (upper case), which has ``exponent`` decimals."""

    units: int
    currency: str
    exponent: int

    @property
    def asset(self) -> str:
        """As ``contracts`` writes it: ``USD/2``."""
        return f"{self.currency}/{self.exponent}"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Money arrived. ``oddities`` are harmless: the payment counts, but somebody should know. ``worth`` is what it was
    worth then in a currency that has a rate, for what has none."""

    payment_id: str
    received: Amount
    reference: str | None = None
    user_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    oddities: tuple[str, ...] = ()
    worth: Amount | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Money was seen that is not final; moves none. Confirmations count blocks."""

    payment_id: str
    state: Literal["processing", "requires_action", "unconfirmed", "withdrawn"]
    amount: Amount | None = None
    confirmations: int | None = None
    confirmations_required: int | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt to pay failed; another may still succeed, unless the payment ``is_over``. ``attempt_id`` tells it from
    the payment's others."""

    payment_id: str
    reason_code: str
    reason: str
    reference: str | None = None
    user_id: str | None = None
    is_over: bool = False
    attempt_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refunded:
    """So much of a payment has gone back in all: cumulative."""

    payment_id: str
    refunded_total: Amount


@dataclass(frozen=True, slots=True)
class RefundTold:
    """What became of one refund; one that succeeded may fail afterwards."""

    payment_id: str
    refund_id: str
    amount: Amount
    state: Literal["pending", "succeeded", "failed"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Disputed:
    """What became of one dispute about ``amount``."""

    payment_id: str
    dispute_id: str
    state: Literal["opened", "won", "lost"]
    amount: Amount
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FeeKept:
    """The gateway kept ``amount``, under a name that it has once; below zero what it gave back."""

    payment_id: str
    fee_id: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class PeriodTold:
    """A period of a subscription of ours was paid, or an attempt to take it failed; moves no money. ``reference`` is
    that of the period's payment, ``page`` where a person can pay what failed."""

    subscription_id: str
    gateway_subscription_id: str | None
    invoice_id: str
    reference: str
    state: Literal["paid", "failed"]
    amount: Amount
    begins_at: datetime
    ends_at: datetime
    reason_code: str = ""
    reason: str = ""
    page: str | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionTold:
    """How a subscription of ours stands at a gateway that takes its payments by itself."""

    subscription_id: str
    gateway_subscription_id: str | None
    state: Literal["incomplete", "active", "past_due", "unpaid", "canceled"]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing that we act upon."""

    reason: str


@dataclass(frozen=True, slots=True)
class Odd:
    """Genuine, but we cannot make sense of it: kept and listed for a person to look at. ``reason`` is a stable code."""

    reason: str


Fact: TypeAlias = (
    Confirmed | Pending | Failed | Refunded | RefundTold | Disputed | FeeKept | PeriodTold | SubscriptionTold
)
Finding: TypeAlias = Fact | Ignored | Odd


@dataclass(frozen=True, slots=True)
class Reading:
    """An event, understood as far as it can be. ``event_id`` is None when the event has none that can be used;
    ``occurred_at`` is the gateway's time, None when it does not say. ``besides`` are facts that the event tells beside
    its finding: a dispute's fee."""

    event_id: str | None
    event_type: str
    occurred_at: datetime | None
    finding: Finding
    besides: tuple[Fact, ...] = ()


def content_hash(reading: Reading) -> bytes:
    """SHA-256 over what the event says about money. A redelivery has the same, although its bytes may differ
    (Stripe counts pending deliveries in the body). Stored for ever: the text below must never change."""
    parts = [reading.event_type, *_essence(reading.finding)]
    return hashlib.sha256(_SEPARATOR.join(parts).encode()).digest()


def _essence(finding: Finding) -> tuple[str, ...]:
    if isinstance(finding, PeriodTold):
        amount = finding.amount
        return "period", finding.subscription_id, finding.invoice_id, finding.state, str(amount.units), amount.asset
    if isinstance(finding, SubscriptionTold):
        return "subscription", finding.subscription_id, finding.state
    return _essence_of_payment(finding)


def _essence_of_payment(
    finding: Confirmed | Pending | Failed | Refunded | RefundTold | Disputed | FeeKept | Ignored | Odd,
) -> tuple[str, ...]:
    match finding:
        case Confirmed(payment_id=payment, received=amount, reference=reference, user_id=user):
            return "confirmed", payment, str(amount.units), amount.asset, reference or "", user or ""
        case Refunded(payment_id=payment, refunded_total=amount):
            return "refunded", payment, str(amount.units), amount.asset
        case Failed(payment_id=payment, reason_code=code):
            return "failed", payment, code
        case Pending(payment_id=payment, state=state, confirmations=confirmations):
            return "pending", payment, state, str(confirmations)
        case RefundTold(payment_id=payment, refund_id=refund, amount=amount, state=state):
            return "refund", payment, refund, str(amount.units), amount.asset, state
        case Disputed(payment_id=payment, dispute_id=dispute, amount=amount, state=state):
            return "disputed", payment, dispute, str(amount.units), amount.asset, state
        case FeeKept(payment_id=payment, fee_id=fee, amount=amount):
            return "fee", payment, fee, str(amount.units), amount.asset
        case Ignored(reason=reason):
            return "ignored", reason
        case Odd(reason=reason):
            return "odd", reason
