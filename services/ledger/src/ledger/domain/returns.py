"""Where a payment's money and credits must stand, given all that was told of it: the arithmetic of every way back.

The figures say how much is back and how much is disputed; credits follow in proportion, rounded down until the last.
So the order of news decides nothing: each piece of news moves from where the payment stands to where it must stand.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from ledger.domain.commands import credit_reference
from ledger.domain.decision import wallet_event
from ledger.domain.events import CreditsBack
from ledger.domain.journal import (
    DISPUTES,
    EXCHANGE,
    PROMOTIONS,
    Entry,
    Posting,
    entry,
    gateway_account,
    move,
    wallet_account,
)
from ledger.domain.payment_states import Figures, Payment
from ledger.domain.refusals import Contradiction, TooEarly
from ledger.domain.states import Books, Wallet


class Standing(NamedTuple):
    """``back`` is money that went back; the rest is credits: taken (of which bonus), forgiven, set aside."""

    back: int
    taken: int
    bonus_taken: int
    forgiven: int
    disputed: int


def booked_payment(books: Books, payment_key: str, asset: str) -> Payment:
    """The payment that news is about. Raises TooEarly before it was booked, Contradiction for another asset."""
    payment = books.payment(payment_key)
    if payment is None:
        raise TooEarly(credit_reference(payment_key))
    if payment.asset != asset:
        raise Contradiction(f"{payment_key} was paid in {payment.asset}, not {asset}")
    return payment


def money_back(payment: Payment, figures: Figures) -> int:
    """How much of the payment is back: refunds by the higher of their two figures, and lost disputes."""
    refunded = max(figures.told_total - figures.failed_total, figures.single_total)
    return min(payment.received, refunded + figures.lost_total)


def standing(payment: Payment, figures: Figures, available: int | None) -> Standing:
    """Where the payment must stand. With ``available``, no more credits are taken now; the rest is forgiven."""
    back = money_back(payment, figures)
    target = _share(payment.credits, payment, back)
    disputed = _share(payment.credits, payment, min(payment.received, back + figures.disputed_total)) - target
    more = target - payment.credits_taken - payment.credits_forgiven
    # What was never taken is the first that need not be given back.
    forgiven = max(0, payment.credits_forgiven + min(0, more))
    if available is not None and more > 0:
        missing = more + disputed - payment.credits_disputed - available
        forgiven += min(more, max(0, missing))
    bonus = _share(payment.bonus, payment, back)
    return Standing(back, target - forgiven, bonus - min(forgiven, max(0, bonus)), forgiven, disputed)


def credits_back(
    kind: type[CreditsBackType],
    asset: str,
    payment: Payment,
    wallet: Wallet,
    reference: str,
    figures: Figures,
    *,
    available: int | None = None,
    **details: Any,
) -> CreditsBackType:
    """The event that brings a payment with an owner to where ``figures`` say that it must stand."""
    after = standing(payment, figures, available)
    taken = after.taken - payment.credits_taken
    disputed = after.disputed - payment.credits_disputed
    bonus = after.bonus_taken - payment.bonus_taken
    return wallet_event(
        kind,
        wallet,
        reference,
        _postings(asset, payment, after.back - payment.refunded, taken, bonus, disputed),
        spendable=-taken - disputed,
        gateway=payment.gateway,
        payment_id=payment.payment_id,
        payment_reference=payment.payment_reference,
        received_asset=payment.asset,
        refunded_total=after.back,
        credits_taken=taken,
        bonus_taken=bonus,
        credits_forgiven=after.forgiven - payment.credits_forgiven,
        credits_disputed=disputed,
        **figures._asdict(),
        **details,
    )


CreditsBackType = TypeVar("CreditsBackType", bound=CreditsBack)


def _postings(asset: str, payment: Payment, money: int, taken: int, bonus: int, disputed: int) -> Entry:
    return entry(
        *move(EXCHANGE, gateway_account(payment.gateway), payment.asset, money),
        Posting(wallet_account(str(payment.user_id)), asset, -taken - disputed),
        Posting(EXCHANGE, asset, taken - bonus),
        Posting(PROMOTIONS, asset, bonus),
        Posting(DISPUTES, asset, disputed),
    )


def _share(given: int, payment: Payment, back: int) -> int:
    """The part of ``given`` that must be back once ``back`` of the payment is: all of it on a full refund.

    Below zero where more money stayed than had when it was allocated: a refund of before failed.
    """
    credited_money = payment.received - payment.refunded_before
    part = given * (back - payment.refunded_before)
    return part // credited_money if part >= 0 else -(-part // credited_money)
