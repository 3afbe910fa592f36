"""What the ledger can be asked to do. Imperative, already validated, never stored.

``reference`` names the effect and is unique for ever; ``content`` is what must be the same when it is asked again.
Amounts are in smallest units.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol


class Command(Protocol):
    """Every command names its effect and its content."""

    @property
    def reference(self) -> str: ...

    @property
    def content(self) -> str: ...


def credit_reference(payment_key: str) -> str:
    """The effect "this payment's money was booked"; ``payment_key`` is ``<gateway>:<payment>``."""
    return f"{payment_key}:credit"


def charge_reference(deployment_id: str) -> str:
    """The effect "credits were held for this deployment"."""
    return f"deployment:{deployment_id}:charge"


class Worth(NamedTuple):
    """What received money was worth when it came: ``units`` of ``asset``, which has a rate where its own has none."""

    units: int
    asset: str


@dataclass(frozen=True, slots=True)
class CreditPayment:
    """Turn money that a gateway received into credits. ``user_id`` only if the gateway signed it."""

    gateway: str
    payment_id: str
    received: int
    asset: str
    paid_at: datetime
    user_id: str | None = None
    payment_reference: str | None = None
    worth: Worth | None = None

    @property
    def payment_key(self) -> str:
        return f"{self.gateway}:{self.payment_id}"

    @property
    def reference(self) -> str:
        return f"{self.gateway}:{self.payment_id}:credit"

    @property
    def content(self) -> str:
        return f"{self.received} {self.asset} {self.user_id or '-'} {self.payment_reference or '-'}"


@dataclass(frozen=True, slots=True)
class KeepQuote:
    """Remember what was promised for a payment that a person started."""

    payment_reference: str
    user_id: str
    gateway: str
    price: int
    price_asset: str
    credits: int
    bonus: int
    expires_at: datetime

    @property
    def reference(self) -> str:
        return f"quote:{self.payment_reference}"

    @property
    def content(self) -> str:
        return f"{self.user_id} {self.price} {self.price_asset} {self.credits} {self.bonus}"


@dataclass(frozen=True, slots=True)
class AllocatePayment:
    """Give unallocated money to ``user_id``, or to the quote that came for it.

    ``payment_reference`` is ours, where a later message of the gateway brought what its first one lacked; so is
    ``worth``.
    """

    payment_key: str
    user_id: str | None = None
    payment_reference: str | None = None
    worth: Worth | None = None

    @property
    def reference(self) -> str:
        return f"{self.payment_key}:allocation"

    @property
    def content(self) -> str:
        return self.user_id or "-"


@dataclass(frozen=True, slots=True)
class ReversePayment:
    """Take back what a payment bought, up to a cumulative target."""

    gateway: str
    payment_id: str
    refunded_total: int
    asset: str

    @property
    def payment_key(self) -> str:
        return f"{self.gateway}:{self.payment_id}"

    @property
    def reference(self) -> str:
        return f"{self.payment_key}:refunded:{self.refunded_total}"

    @property
    def content(self) -> str:
        return self.asset


def refund_reference(payment_key: str, refund_id: str) -> str:
    """The effect "this single refund took money back"."""
    return f"{payment_key}:refund:{refund_id}"


def failed_refund_reference(payment_key: str, refund_id: str) -> str:
    """The effect "this single refund did not happen after all"."""
    return f"{refund_reference(payment_key, refund_id)}:failed"


@dataclass(frozen=True, slots=True)
class ReportRefund:
    """Take note of one refund. ``pending`` and ``succeeded`` both take back, once; ``failed`` gives back, for ever."""

    gateway: str
    payment_id: str
    refund_id: str
    amount: int
    asset: str
    state: Literal["pending", "succeeded", "failed"]

    @property
    def payment_key(self) -> str:
        return f"{self.gateway}:{self.payment_id}"

    @property
    def reference(self) -> str:
        name = failed_refund_reference if self.state == "failed" else refund_reference
        return name(self.payment_key, self.refund_id)

    @property
    def content(self) -> str:
        return f"{self.amount} {self.asset}"


@dataclass(frozen=True, slots=True)
class ReportDispute:
    """Take note of a dispute about ``amount`` of a payment, or of its end."""

    gateway: str
    payment_id: str
    dispute_id: str
    state: Literal["opened", "won", "lost"]
    amount: int
    asset: str

    @property
    def payment_key(self) -> str:
        return f"{self.gateway}:{self.payment_id}"

    @property
    def dispute_key(self) -> str:
        return f"{self.payment_key}:{self.dispute_id}"

    @property
    def reference(self) -> str:
        return f"{self.payment_key}:dispute:{self.dispute_id}:{self.state}"

    @property
    def content(self) -> str:
        return f"{self.amount} {self.asset}"


@dataclass(frozen=True, slots=True)
class BookFee:
    """Book what a gateway kept, or gave back: then ``amount`` is below zero. Needs no payment to be known."""

    gateway: str
    payment_id: str
    fee_id: str
    amount: int
    asset: str

    @property
    def reference(self) -> str:
        return f"{self.gateway}:fee:{self.fee_id}"

    @property
    def content(self) -> str:
        return f"{self.payment_id} {self.amount} {self.asset}"


@dataclass(frozen=True, slots=True)
class HoldCredits:
    """Set credits aside for a deployment."""

    user_id: str
    deployment_id: str
    service_id: str
    service_name: str
    amount: int

    @property
    def reference(self) -> str:
        return charge_reference(self.deployment_id)

    @property
    def content(self) -> str:
        return f"{self.user_id} {self.service_id} {self.amount}"


@dataclass(frozen=True, slots=True)
class CaptureHold:
    """Take a hold and split it; the parts sum to the hold."""

    deployment_id: str
    commission: int
    grid_payment: int

    @property
    def reference(self) -> str:
        return f"deployment:{self.deployment_id}:capture"

    @property
    def content(self) -> str:
        return f"{self.commission} {self.grid_payment}"


@dataclass(frozen=True, slots=True)
class ReturnHold:
    """Give a failed deployment's credits back: release the hold, or refund it if it was captured."""

    deployment_id: str

    @property
    def reference(self) -> str:
        return f"deployment:{self.deployment_id}:return"

    @property
    def content(self) -> str:
        return "-"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Move credits from one wallet to another. ``key`` names the transfer, for ever."""

    key: str
    from_user_id: str
    to_user_id: str
    amount: int

    @property
    def reference(self) -> str:
        return f"transfer:{self.key}:sent"

    @property
    def content(self) -> str:
        return f"{self.from_user_id} {self.to_user_id} {self.amount}"


@dataclass(frozen=True, slots=True)
class AdjustWallet:
    """Give (positive) or take (negative) credits by an operator's decision."""

    key: str
    user_id: str
    amount: int
    reason: str

    @property
    def reference(self) -> str:
        return f"adjustment:{self.key}"

    @property
    def content(self) -> str:
        return f"{self.user_id} {self.amount} {self.reason}"
