"""The domain events of the ledger, as they are stored. Private to this service; other services see messages.

Each names the effect (``reference``, unique for ever) and carries its journal entry, so that the journal is data and
not a reading of today's code. Events of a wallet also carry the wallet's two balances after them. A stored event never
changes: a new shape is a new ``class_version`` with an upcaster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ledger.domain.journal import Entry, Posting


@dataclass(frozen=True, kw_only=True)
class LedgerEvent:
    """``originator_id`` is the stream, ``originator_version`` counts its events from one."""

    TOPIC: ClassVar[str]
    originator_id: str
    originator_version: int
    reference: str
    postings: Entry

    @staticmethod
    def restore(state: dict[str, Any]) -> None:
        """Give the postings back the shape that JSON took from them."""
        state["postings"] = tuple(Posting(*line) for line in state["postings"])


@dataclass(frozen=True, kw_only=True)
class WalletEvent(LedgerEvent):
    """An event of the stream ``wallet:<user>``. ``spendable`` and ``held`` are what the wallet has after it, in the
    credit's smallest unit; ``spendable`` below zero is debt."""

    user_id: str
    spendable: int
    held: int


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
class PaymentReversed(WalletEvent):
    """A gateway sent money back and the credits that it had bought were taken. ``refunded_total`` is cumulative;
    ``credits_taken`` and ``bonus_taken`` are of this event alone, the first including the second."""

    TOPIC: ClassVar[str] = "ledger.PaymentReversed"
    gateway: str
    payment_id: str
    payment_reference: str | None
    refunded_total: int
    received_asset: str
    credits_taken: int
    bonus_taken: int


@dataclass(frozen=True, kw_only=True)
class MoneyUnallocated(LedgerEvent):
    """Money arrived for nobody known. Stream ``payment:<gateway>:<payment>``."""

    TOPIC: ClassVar[str] = "ledger.MoneyUnallocated"
    gateway: str
    payment_id: str
    payment_reference: str | None
    received: int
    received_asset: str
    paid_at: str
    reason: str


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
class UnallocatedReversed(LedgerEvent):
    """Money went back before it had an owner. ``refunded_total`` is cumulative."""

    TOPIC: ClassVar[str] = "ledger.UnallocatedReversed"
    gateway: str
    payment_id: str
    refunded_total: int
    received_asset: str


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
    MoneyUnallocated,
    MoneyAllocated,
    UnallocatedReversed,
    QuoteKept,
)
