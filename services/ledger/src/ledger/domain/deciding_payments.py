"""Decisions about money that comes in through gateways: quotes, credits, and money that waits for its owner."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from ledger.domain.commands import AllocatePayment, CreditPayment, KeepQuote, Worth
from ledger.domain.conversion import CreditTerms, Given, credits_given
from ledger.domain.deciding_disputes import disputed_since
from ledger.domain.decision import WALLET_MAX, Decision, wallet_event
from ledger.domain.events import (
    CreditsPurchased,
    MoneyAllocated,
    MoneyNamed,
    MoneyUnallocated,
    QuoteKept,
)
from ledger.domain.journal import (
    EXCHANGE,
    PROMOTIONS,
    UNALLOCATED,
    entry,
    gateway_account,
    move,
    wallet_account,
)
from ledger.domain.payment_states import Payment, allocated
from ledger.domain.refusals import NothingToAllocate, ReferenceConflict, WalletLimit
from ledger.domain.states import Books, evolve_wallet


def credit_payment(books: Books, terms: CreditTerms, command: CreditPayment) -> Decision:
    """Credit at once, or book the money as unallocated: it never waits off the books.

    A payment that carries our reference waits for its quote; one without goes to the user whom the gateway signed.
    """
    if command.reference in books.references:
        return _credit_again(books, terms, command)
    quote = books.quotes.get(command.payment_reference) if command.payment_reference else None
    user_id = quote.user_id if quote else (None if command.payment_reference else command.user_id)
    if user_id is None:
        return _unallocated(command, "quote_unknown" if command.payment_reference else "owner_unknown")
    given = credits_given(terms, command.asset, command.received, command.paid_at, quote, command.worth)
    if given is None:
        return _unallocated(command, "no_rate")
    if books.wallet(user_id).spendable + given.credits > WALLET_MAX:
        return _unallocated(command, "wallet_limit")
    purchase = _purchase(
        books,
        terms,
        command.reference,
        user_id,
        given,
        source=gateway_account(command.gateway),
        gateway=command.gateway,
        payment_id=command.payment_id,
        payment_reference=command.payment_reference,
        received=command.received,
        received_asset=command.asset,
        refunded_before=0,
    )
    return Decision([purchase])


def _purchase(
    books: Books, terms: CreditTerms, reference: str, user_id: str, given: Given, *, source: str, **payment: Any
) -> CreditsPurchased:
    account = wallet_account(user_id)
    money = payment["received"] - payment["refunded_before"]
    bonus = move(PROMOTIONS, account, terms.asset, given.bonus) if given.bonus else ()
    postings = entry(
        *move(source, EXCHANGE, payment["received_asset"], money),
        *move(EXCHANGE, account, terms.asset, given.credits - given.bonus),
        *bonus,
    )
    return wallet_event(
        CreditsPurchased,
        books.wallet(user_id),
        reference,
        postings,
        spendable=given.credits,
        credits=given.credits,
        bonus=given.bonus,
        rule=given.rule,
        **payment,
    )


def _unallocated(command: CreditPayment, reason: str) -> Decision:
    stream = f"payment:{command.payment_key}"
    money = MoneyUnallocated(
        originator_id=stream,
        originator_version=1,
        reference=command.reference,
        postings=entry(*move(gateway_account(command.gateway), UNALLOCATED, command.asset, command.received)),
        gateway=command.gateway,
        payment_id=command.payment_id,
        payment_reference=command.payment_reference,
        received=command.received,
        received_asset=command.asset,
        paid_at=command.paid_at.isoformat(),
        reason=reason,
        worth=command.worth.units if command.worth else None,
        worth_asset=command.worth.asset if command.worth else None,
    )
    return Decision([money])


def _credit_again(books: Books, terms: CreditTerms, command: CreditPayment) -> Decision:
    """The payment is booked already; this delivery may only confirm it, or name the owner that was missing."""
    payment = books.payment(command.payment_key)
    assert payment is not None, "a known credit has a payment"
    if (payment.received, payment.asset) != (command.received, command.asset):
        raise ReferenceConflict(f"{command.reference} was booked as {payment.received} {payment.asset}")
    if payment.user_id is None:
        return _owner_found(books, terms, command, payment)
    said_another = command.user_id is not None and command.user_id != payment.user_id
    if said_another and command.payment_reference is None and payment.payment_reference is None:
        raise ReferenceConflict(f"{command.reference} was credited to another user")
    return Decision(no_effect="repeated")


def _owner_found(books: Books, terms: CreditTerms, command: CreditPayment, payment: Payment) -> Decision:
    ours = payment.payment_reference or command.payment_reference
    owner = None if ours is not None else command.user_id
    try:
        return allocate_payment(books, terms, AllocatePayment(command.payment_key, owner, ours, command.worth))
    except (NothingToAllocate, WalletLimit):
        return _named(command, payment)


def _named(command: CreditPayment, payment: Payment) -> Decision:
    """Under our reference the money is found by its quote, whenever that comes."""
    if payment.payment_reference is not None or command.payment_reference is None:
        return Decision(no_effect="still_unallocated")
    named = MoneyNamed(
        originator_id=payment.stream,
        originator_version=payment.version + 1,
        reference=f"{payment.key}:named",
        postings=(),
        gateway=payment.gateway,
        payment_id=payment.payment_id,
        payment_reference=command.payment_reference,
    )
    return Decision([named])


def allocate_payment(books: Books, terms: CreditTerms, command: AllocatePayment) -> Decision:
    """Move what is left of unallocated money to its owner: the quote's, or the one that an operator names."""
    payment = books.payment(command.payment_key)
    if payment is None:
        raise NothingToAllocate(command.payment_key)
    if payment.user_id is not None:
        return Decision(no_effect="allocated_before")
    ours = payment.payment_reference or command.payment_reference
    quote = books.quotes.get(ours) if ours else None
    user_id = command.user_id or (quote.user_id if quote else None)
    money = payment.received - payment.refunded
    if user_id is None or money <= 0:
        raise NothingToAllocate(command.payment_key)
    honoured = quote if quote is not None and quote.user_id == user_id else None
    worth = _worth_of(payment, command, money)
    given = credits_given(terms, payment.asset, money, datetime.fromisoformat(payment.paid_at), honoured, worth)
    if given is None:
        raise NothingToAllocate(f"no rate for {payment.asset}")
    purchase = _purchase(
        books,
        terms,
        command.reference,
        user_id,
        given,
        source=UNALLOCATED,
        gateway=payment.gateway,
        payment_id=payment.payment_id,
        payment_reference=ours,
        received=payment.received,
        received_asset=payment.asset,
        refunded_before=payment.refunded,
    )
    found = _owner(payment, command, user_id, given)
    if not payment.disputed_total:
        return Decision([purchase, found])
    owned = replace(allocated(payment, found), payment_reference=ours)
    wallet = evolve_wallet(books.wallet(user_id), purchase)
    return Decision([purchase, found, *disputed_since(books, terms.asset, owned, wallet)])


def _worth_of(payment: Payment, command: AllocatePayment, money: int) -> Worth | None:
    """The worth of what is left: of what the first message told, or else a later one."""
    if payment.worth is not None and payment.worth_asset is not None:
        return Worth(payment.worth * money // payment.received, payment.worth_asset)
    told = command.worth
    return None if told is None else Worth(told.units * money // payment.received, told.asset)


def _owner(payment: Payment, command: AllocatePayment, user_id: str, given: Given) -> MoneyAllocated:
    return MoneyAllocated(
        originator_id=payment.stream,
        originator_version=payment.version + 1,
        reference=f"{command.payment_key}:allocated",
        postings=(),
        gateway=payment.gateway,
        payment_id=payment.payment_id,
        user_id=user_id,
        credits=given.credits,
        bonus=given.bonus,
    )


def keep_quote(books: Books, terms: CreditTerms, command: KeepQuote) -> Decision:
    """Keep the promise, and allocate what was paid for it before it was known here."""
    if command.reference in books.references:
        return Decision(no_effect="repeated")
    kept = QuoteKept(
        originator_id=f"quote:{command.payment_reference}",
        originator_version=1,
        reference=command.reference,
        postings=(),
        payment_reference=command.payment_reference,
        user_id=command.user_id,
        gateway=command.gateway,
        price=command.price,
        price_asset=command.price_asset,
        credits=command.credits,
        bonus=command.bonus,
        expires_at=command.expires_at.isoformat(),
    )
    return Decision([kept])
