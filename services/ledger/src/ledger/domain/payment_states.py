"""What the ledger knows of money at gateways: payments, quotes, disputes, and how events change them.

Plain values and plain functions; ``ledger.domain.states`` keeps them in the books.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple

from ledger.domain import events

DisputeState = Literal["opened", "won", "lost"]


class Figures(NamedTuple):
    """What gateways told of a payment's money that goes back, in smallest units. No order of news changes them.

    ``told_total`` is the highest cumulative refund; ``single_total`` sums single refunds that did not fail,
    ``failed_total`` those that did; ``lost_total`` sums lost disputes, ``disputed_total`` open ones.
    """

    told_total: int = 0
    failed_total: int = 0
    single_total: int = 0
    lost_total: int = 0
    disputed_total: int = 0


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment at a gateway. ``user_id`` is None while it is unallocated; ``version`` counts the events of its
    own stream. ``refunded`` is the money that is back, ``refunded_before`` what of it was when it was allocated;
    ``credits_taken`` and ``credits_disputed`` are where the credits are that it bought, ``credits_forgiven`` were spent
    and are not asked for."""

    gateway: str
    payment_id: str
    payment_reference: str | None
    received: int
    asset: str
    paid_at: str = ""
    user_id: str | None = None
    credits: int = 0
    bonus: int = 0
    refunded: int = 0
    refunded_before: int = 0
    credits_taken: int = 0
    bonus_taken: int = 0
    version: int = 0
    told_total: int = 0
    failed_total: int = 0
    single_total: int = 0
    lost_total: int = 0
    disputed_total: int = 0
    credits_forgiven: int = 0
    credits_disputed: int = 0
    worth: int | None = None
    worth_asset: str | None = None

    @property
    def key(self) -> str:
        return f"{self.gateway}:{self.payment_id}"

    @property
    def stream(self) -> str:
        return f"payment:{self.key}"

    @property
    def figures(self) -> Figures:
        return Figures(self.told_total, self.failed_total, self.single_total, self.lost_total, self.disputed_total)


@dataclass(frozen=True, slots=True)
class Quote:
    """A promise: pay ``price`` of ``asset`` until ``expires_at``, get ``credits`` and ``bonus``. Honoured once.

    ``received`` is what came for it in time, ``given`` the credits for that, without the bonus; it is ``used`` once the
    price is reached.
    """

    payment_reference: str
    user_id: str
    price: int
    asset: str
    credits: int
    bonus: int
    expires_at: datetime
    used: bool = False
    received: int = 0
    given: int = 0


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute about ``amount`` of a payment, and what became of it."""

    gateway: str
    payment_id: str
    dispute_id: str
    amount: int
    state: DisputeState

    @property
    def payment_key(self) -> str:
        return f"{self.gateway}:{self.payment_id}"

    @property
    def key(self) -> str:
        return f"{self.payment_key}:{self.dispute_id}"


def payment_of_purchase(event: events.CreditsPurchased) -> Payment:
    """The payment as its purchase left it, before any reversal."""
    return Payment(
        gateway=event.gateway,
        payment_id=event.payment_id,
        payment_reference=event.payment_reference,
        received=event.received,
        asset=event.received_asset,
        user_id=event.user_id,
        credits=event.credits,
        bonus=event.bonus,
        refunded=event.refunded_before,
        refunded_before=event.refunded_before,
    )


def payment_without_owner(event: events.MoneyUnallocated) -> Payment:
    """The payment as it was booked for nobody."""
    return Payment(
        gateway=event.gateway,
        payment_id=event.payment_id,
        payment_reference=event.payment_reference,
        received=event.received,
        asset=event.received_asset,
        paid_at=event.paid_at,
        version=event.originator_version,
        worth=event.worth,
        worth_asset=event.worth_asset,
    )


def allocated(payment: Payment, event: events.MoneyAllocated) -> Payment:
    """The payment once it has its owner."""
    return replace(
        payment,
        user_id=event.user_id,
        credits=event.credits,
        bonus=event.bonus,
        refunded_before=payment.refunded,
        version=event.originator_version,
    )


def named(payment: Payment, event: events.MoneyNamed) -> Payment:
    """The payment once it has our reference."""
    return replace(payment, payment_reference=event.payment_reference, version=event.originator_version)


def gone_back(payment: Payment, event: events.MoneyBack) -> Payment:
    """The payment after news of money that goes back."""
    told = {name: getattr(event, name) for name in Figures._fields}
    if not isinstance(event, events.CreditsBack):
        return replace(payment, refunded=event.refunded_total, version=event.originator_version, **told)
    return replace(
        payment,
        refunded=event.refunded_total,
        credits_taken=payment.credits_taken + event.credits_taken,
        bonus_taken=payment.bonus_taken + event.bonus_taken,
        credits_forgiven=payment.credits_forgiven + event.credits_forgiven,
        credits_disputed=payment.credits_disputed + event.credits_disputed,
        **told,
    )


def quote_of(event: events.QuoteKept) -> Quote:
    """The quote as it was promised."""
    return Quote(
        payment_reference=event.payment_reference,
        user_id=event.user_id,
        price=event.price,
        asset=event.price_asset,
        credits=event.credits,
        bonus=event.bonus,
        expires_at=datetime.fromisoformat(event.expires_at),
    )


def filled(quote: Quote, event: events.CreditsPurchased) -> Quote:
    """The quote after a purchase under its reference, which may have come too late, or in another asset."""
    reaches = event.rule in ("quote", "topped_up", "overpaid")
    # Once it is reached, more of the same is bought at the base rate and still counts, so that rounding stays fair.
    beyond = quote.used and event.rule == "base_rate"
    same = (event.user_id, event.received_asset) == (quote.user_id, quote.asset)
    if not (reaches or event.rule == "underpaid" or (beyond and same)):
        return quote
    return replace(
        quote,
        used=quote.used or reaches,
        received=quote.received + event.received - event.refunded_before,
        given=quote.given + event.credits - event.bonus,
    )
