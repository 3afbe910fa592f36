"""The domain events of the ledger, as they are stored. Private to this service; other services see messages.

A stored event never changes: a new shape is a new ``class_version`` with an upcaster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ledger.domain.event_shapes import CreditsBack, DisputeEvent, LedgerEvent, MoneyBack, WalletEvent, know_figures

__all__ = [
    "EVENT_TYPES",
    "CreditsAdjusted",
    "CreditsBack",
    "CreditsDisputed",
    "CreditsHeld",
    "CreditsPurchased",
    "CreditsReceived",
    "CreditsRefunded",
    "CreditsSent",
    "DisputeEvent",
    "DisputeLost",
    "DisputeWon",
    "GatewayFeeBooked",
    "HoldCaptured",
    "HoldReleased",
    "LedgerEvent",
    "MoneyAllocated",
    "MoneyBack",
    "MoneyNamed",
    "MoneyUnallocated",
    "PaymentRestored",
    "PaymentReversed",
    "QuoteKept",
    "RefundNoted",
    "UnallocatedDisputed",
    "UnallocatedRestored",
    "UnallocatedReversed",
    "WalletEvent",
]


@dataclass(frozen=True, kw_only=True)
class CreditsPurchased(WalletEvent):
    """A payment became credits. ``credits`` includes ``bonus``; ``rule`` says which way they were reckoned.

    ``refunded_before`` is what had gone back of the payment before it was allocated.
    """

    TOPIC: ClassVar[str] = "ledger.CreditsPurchased"
    gateway: str
    payment_id: str
    payment_reference: str | None
    received: int
    received_asset: str
    refunded_before: int
    credits: int
    bonus: int
    rule: str


@dataclass(frozen=True, kw_only=True)
class CreditsHeld(WalletEvent):
    """Credits were set aside to pay for a deployment."""

    TOPIC: ClassVar[str] = "ledger.CreditsHeld"
    deployment_id: str
    service_id: str
    service_name: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class HoldCaptured(WalletEvent):
    """A hold was taken and split between the platform and the grid."""

    TOPIC: ClassVar[str] = "ledger.HoldCaptured"
    deployment_id: str
    amount: int
    commission: int
    grid_payment: int


@dataclass(frozen=True, kw_only=True)
class HoldReleased(WalletEvent):
    """A hold was given back before it was taken."""

    TOPIC: ClassVar[str] = "ledger.HoldReleased"
    deployment_id: str
    service_name: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class CreditsRefunded(WalletEvent):
    """A captured hold went back in full, from where its capture had put it."""

    TOPIC: ClassVar[str] = "ledger.CreditsRefunded"
    deployment_id: str
    service_name: str
    amount: int
    commission: int
    grid_payment: int


@dataclass(frozen=True, kw_only=True)
class CreditsSent(WalletEvent):
    """Credits left for another wallet. Carries the whole entry; the receiver's event carries none."""

    TOPIC: ClassVar[str] = "ledger.CreditsSent"
    to_user_id: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class CreditsReceived(WalletEvent):
    """Credits came from another wallet, by the entry of its CreditsSent."""

    TOPIC: ClassVar[str] = "ledger.CreditsReceived"
    from_user_id: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class CreditsAdjusted(WalletEvent):
    """An operator gave or took credits. ``reason`` is a short code, never free text."""

    TOPIC: ClassVar[str] = "ledger.CreditsAdjusted"
    amount: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class PaymentReversed(CreditsBack):
    """A gateway sent money back and the credits that it had bought were taken."""

    TOPIC: ClassVar[str] = "ledger.PaymentReversed"
    class_version: ClassVar[int] = 2

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Version 1 knew cumulative refunds that always took all."""
        know_figures(state)
        state |= {"credits_forgiven": 0, "credits_disputed": 0}


@dataclass(frozen=True, kw_only=True)
class PaymentRestored(CreditsBack):
    """A refund failed after it was believed: money and credits are back where they were."""

    TOPIC: ClassVar[str] = "ledger.PaymentRestored"


@dataclass(frozen=True, kw_only=True)
class RefundNoted(MoneyBack):
    """What was told of a refund changed a figure and moved nothing, yet. Stream ``payment:<gateway>:<payment>``."""

    TOPIC: ClassVar[str] = "ledger.RefundNoted"


@dataclass(frozen=True, kw_only=True)
class CreditsDisputed(DisputeEvent):
    """A dispute was opened: what its money had bought is set aside."""

    TOPIC: ClassVar[str] = "ledger.CreditsDisputed"


@dataclass(frozen=True, kw_only=True)
class DisputeWon(DisputeEvent):
    """A dispute ended for us: what was set aside came back."""

    TOPIC: ClassVar[str] = "ledger.DisputeWon"


@dataclass(frozen=True, kw_only=True)
class DisputeLost(DisputeEvent):
    """A dispute ended against us: its money went back, and the credits with it."""

    TOPIC: ClassVar[str] = "ledger.DisputeLost"


@dataclass(frozen=True, kw_only=True)
class MoneyUnallocated(LedgerEvent):
    """Money arrived for nobody known, or of an asset without a rate. Stream ``payment:<gateway>:<payment>``.

    ``worth`` of ``worth_asset`` is what it was worth then, where that was told.
    """

    TOPIC: ClassVar[str] = "ledger.MoneyUnallocated"
    class_version: ClassVar[int] = 2
    gateway: str
    payment_id: str
    payment_reference: str | None
    received: int
    received_asset: str
    paid_at: str
    reason: str
    worth: int | None
    worth_asset: str | None

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Version 1 was told of no worth."""
        state |= {"worth": None, "worth_asset": None}


@dataclass(frozen=True, kw_only=True)
class MoneyAllocated(LedgerEvent):
    """Money that waited got its owner; the wallet's CreditsPurchased carries the entry."""

    TOPIC: ClassVar[str] = "ledger.MoneyAllocated"
    gateway: str
    payment_id: str
    user_id: str
    credits: int
    bonus: int


@dataclass(frozen=True, kw_only=True)
class MoneyNamed(LedgerEvent):
    """A later message brought the reference of ours that money lacked which waits for its owner."""

    TOPIC: ClassVar[str] = "ledger.MoneyNamed"
    gateway: str
    payment_id: str
    payment_reference: str


@dataclass(frozen=True, kw_only=True)
class UnallocatedReversed(MoneyBack):
    """Money went back before it had an owner."""

    TOPIC: ClassVar[str] = "ledger.UnallocatedReversed"
    class_version: ClassVar[int] = 2

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Version 1 knew cumulative refunds alone."""
        know_figures(state)


@dataclass(frozen=True, kw_only=True)
class UnallocatedRestored(MoneyBack):
    """A refund of money without an owner failed after it was believed."""

    TOPIC: ClassVar[str] = "ledger.UnallocatedRestored"


@dataclass(frozen=True, kw_only=True)
class UnallocatedDisputed(MoneyBack):
    """What became of a dispute about money without an owner; only ``lost`` moves it."""

    TOPIC: ClassVar[str] = "ledger.UnallocatedDisputed"
    dispute_id: str
    disputed: int
    state: Literal["opened", "won", "lost"]


@dataclass(frozen=True, kw_only=True)
class GatewayFeeBooked(LedgerEvent):
    """A gateway kept ``amount``, or gave it back where that is below zero. Stream ``fee:<gateway>:<fee>``: one each."""

    TOPIC: ClassVar[str] = "ledger.GatewayFeeBooked"
    gateway: str
    payment_id: str
    fee_id: str
    amount: int
    asset: str


@dataclass(frozen=True, kw_only=True)
class QuoteKept(LedgerEvent):
    """A person was promised ``credits`` and ``bonus`` for ``price`` until ``expires_at``. Stream ``quote:<ours>``."""

    TOPIC: ClassVar[str] = "ledger.QuoteKept"
    payment_reference: str
    user_id: str
    gateway: str
    price: int
    price_asset: str
    credits: int
    bonus: int
    expires_at: str


EVENT_TYPES: tuple[type[LedgerEvent], ...] = (
    CreditsPurchased,
    CreditsHeld,
    HoldCaptured,
    HoldReleased,
    CreditsRefunded,
    CreditsSent,
    CreditsReceived,
    CreditsAdjusted,
    PaymentReversed,
    PaymentRestored,
    RefundNoted,
    CreditsDisputed,
    DisputeWon,
    DisputeLost,
    MoneyUnallocated,
    MoneyAllocated,
    MoneyNamed,
    UnallocatedReversed,
    UnallocatedRestored,
    UnallocatedDisputed,
    GatewayFeeBooked,
    QuoteKept,
)
