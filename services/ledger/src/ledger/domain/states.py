"""What the ledger knows when it decides: wallets, charges, payments, quotes, disputes, and how events change them.

``Books`` holds just the states that one batch of commands names. ``evolve`` is the only way to change them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from ledger.domain import events
from ledger.domain.payment_states import (
    Dispute,
    DisputeState,
    Payment,
    Quote,
    allocated,
    filled,
    gone_back,
    named,
    payment_of_purchase,
    payment_without_owner,
    quote_of,
)

__all__ = [
    "Books",
    "Charge",
    "Dispute",
    "KnownReference",
    "Payment",
    "Quote",
    "Wallet",
    "evolve",
    "evolve_wallet",
]

ChargeState = Literal["held", "captured", "released", "refunded"]


class Wallet(NamedTuple):
    """One person's credits, in smallest units. ``spendable`` below zero is debt; ``version`` counts its events."""

    user_id: str
    spendable: int = 0
    held: int = 0
    total_purchased: int = 0
    total_spent: int = 0
    total_refunded: int = 0
    version: int = 0

    @property
    def stream(self) -> str:
        return f"wallet:{self.user_id}"

    @property
    def available(self) -> int:
        """What can be spent now, never below zero."""
        return max(0, self.spendable)

    @property
    def debt(self) -> int:
        """What a gateway's reversal left owing, never below zero."""
        return max(0, -self.spendable)


@dataclass(frozen=True, slots=True)
class Charge:
    """The hold of one deployment and what became of it."""

    deployment_id: str
    user_id: str
    service_name: str
    amount: int
    state: ChargeState
    commission: int = 0
    grid_payment: int = 0


class KnownReference(NamedTuple):
    """Where the effect of a reference is stored, and a hash of what was asked for."""

    stream: str
    version: int
    content_hash: bytes


@dataclass(slots=True)
class Books:
    """The states that a batch names, changed in memory command by command and written back once."""

    wallets: dict[str, Wallet] = field(default_factory=dict)
    charges: dict[str, Charge] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    disputes: dict[str, Dispute] = field(default_factory=dict)
    references: dict[str, KnownReference] = field(default_factory=dict)
    stored: dict[str, events.LedgerEvent] = field(default_factory=dict)
    """Events behind known references, by reference."""

    def payment(self, key: str) -> Payment | None:
        """The payment ``<gateway>:<payment>``. One that was only ever purchased is told by its event alone."""
        payment = self.payments.get(key)
        if payment is None:
            event = self.stored.get(f"{key}:credit")
            if isinstance(event, events.CreditsPurchased):
                payment = self.payments[key] = payment_of_purchase(event)
        return payment

    def wallet(self, user_id: str) -> Wallet:
        """The wallet of ``user_id``; one without events is empty."""
        return self.wallets.get(user_id) or Wallet(user_id)


def evolve_wallet(wallet: Wallet, event: events.WalletEvent) -> Wallet:
    """The wallet after ``event``. The totals only ever grow."""
    purchased, spent, refunded = wallet.total_purchased, wallet.total_spent, wallet.total_refunded
    if isinstance(event, events.CreditsPurchased):
        purchased += event.credits
    elif isinstance(event, events.HoldCaptured):
        spent += event.amount
    elif isinstance(event, events.CreditsRefunded):
        refunded += event.amount
    return Wallet(wallet.user_id, event.spendable, event.held, purchased, spent, refunded, event.originator_version)


def evolve(books: Books, event: events.LedgerEvent) -> None:
    """Change the books as ``event`` says."""
    if isinstance(event, events.WalletEvent):
        books.wallets[event.user_id] = evolve_wallet(books.wallet(event.user_id), event)
    change = _CHANGES.get(type(event))
    if change is not None:
        change(books, event)


def _purchased(books: Books, event: events.CreditsPurchased) -> None:
    if event.payment_reference is None:
        return
    waited = books.payments.get(f"{event.gateway}:{event.payment_id}")
    if waited is not None:
        # A later message may have brought the reference that the first one lacked.
        books.payments[waited.key] = replace(waited, payment_reference=event.payment_reference)
    quote = books.quotes.get(event.payment_reference)
    if quote is not None:
        books.quotes[event.payment_reference] = filled(quote, event)


def _held(books: Books, event: events.CreditsHeld) -> None:
    books.charges[event.deployment_id] = Charge(
        event.deployment_id, event.user_id, event.service_name, event.amount, "held"
    )


def _captured(books: Books, event: events.HoldCaptured) -> None:
    charge = books.charges[event.deployment_id]
    books.charges[event.deployment_id] = replace(
        charge, state="captured", commission=event.commission, grid_payment=event.grid_payment
    )


def _released(books: Books, event: events.HoldReleased) -> None:
    books.charges[event.deployment_id] = replace(books.charges[event.deployment_id], state="released")


def _refunded(books: Books, event: events.CreditsRefunded) -> None:
    books.charges[event.deployment_id] = replace(books.charges[event.deployment_id], state="refunded")


def _gone_back(books: Books, event: events.MoneyBack) -> None:
    key = f"{event.gateway}:{event.payment_id}"
    payment = books.payment(key)
    assert payment is not None, "money goes back of what was booked"
    books.payments[key] = gone_back(payment, event)


def _disputed(state: DisputeState) -> Callable[[Books, Any], None]:
    def change(books: Books, event: events.DisputeEvent) -> None:
        _gone_back(books, event)
        _end_or_open(books, event, state)

    return change


def _unallocated_disputed(books: Books, event: events.UnallocatedDisputed) -> None:
    _gone_back(books, event)
    _end_or_open(books, event, event.state)


def _end_or_open(books: Books, event: events.DisputeEvent | events.UnallocatedDisputed, state: DisputeState) -> None:
    dispute = Dispute(event.gateway, event.payment_id, event.dispute_id, event.disputed, state)
    books.disputes[dispute.key] = dispute


def _unallocated(books: Books, event: events.MoneyUnallocated) -> None:
    books.payments[f"{event.gateway}:{event.payment_id}"] = payment_without_owner(event)


def _allocated(books: Books, event: events.MoneyAllocated) -> None:
    key = f"{event.gateway}:{event.payment_id}"
    books.payments[key] = allocated(books.payments[key], event)


def _named(books: Books, event: events.MoneyNamed) -> None:
    key = f"{event.gateway}:{event.payment_id}"
    books.payments[key] = named(books.payments[key], event)


def _quote_kept(books: Books, event: events.QuoteKept) -> None:
    books.quotes[event.payment_reference] = quote_of(event)


_CHANGES: Mapping[type, Callable[[Books, Any], None]] = {
    events.CreditsPurchased: _purchased,
    events.CreditsHeld: _held,
    events.HoldCaptured: _captured,
    events.HoldReleased: _released,
    events.CreditsRefunded: _refunded,
    events.PaymentReversed: _gone_back,
    events.PaymentRestored: _gone_back,
    events.RefundNoted: _gone_back,
    events.CreditsDisputed: _disputed("opened"),
    events.DisputeWon: _disputed("won"),
    events.DisputeLost: _disputed("lost"),
    events.MoneyUnallocated: _unallocated,
    events.MoneyAllocated: _allocated,
    events.MoneyNamed: _named,
    events.UnallocatedReversed: _gone_back,
    events.UnallocatedRestored: _gone_back,
    events.UnallocatedDisputed: _unallocated_disputed,
    events.QuoteKept: _quote_kept,
}
