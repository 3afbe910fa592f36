"""Which states each command names, so that a batch can read and lock them all at once before it decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.domain import commands
from ledger.domain.states import Books


@dataclass(slots=True)
class Named:
    """Ids of the states that a batch names."""

    references: set[str] = field(default_factory=set)
    references_of_payments: set[str] = field(default_factory=set)
    """Of these, another replica may make some until the payment is locked: they are read after that."""
    payments: set[str] = field(default_factory=set)
    payment_references: set[str] = field(default_factory=set)
    quotes: set[str] = field(default_factory=set)
    charges: set[str] = field(default_factory=set)
    disputes: set[str] = field(default_factory=set)


def named_by(batch: Iterable[commands.Command]) -> Named:
    """What the commands name before anything is read."""
    named = Named()
    for command in batch:
        named.references.add(command.reference)
        naming = _NAMING.get(type(command))
        if naming is not None:
            naming(named, command)
    return named


def _credit(named: Named, command: commands.CreditPayment) -> None:
    if command.payment_reference is not None:
        named.quotes.add(command.payment_reference)


def _quote(named: Named, command: commands.KeepQuote) -> None:
    named.payment_references.add(command.payment_reference)


def _allocation(named: Named, command: commands.AllocatePayment) -> None:
    named.payments.add(command.payment_key)
    named.references.add(commands.credit_reference(command.payment_key))


def _news(named: Named, command: commands.ReversePayment | commands.ReportRefund | commands.ReportDispute) -> None:
    named.payments.add(command.payment_key)
    named.references.add(commands.credit_reference(command.payment_key))


def _refund(named: Named, command: commands.ReportRefund) -> None:
    _news(named, command)
    for name in (commands.refund_reference, commands.failed_refund_reference):
        named.references_of_payments.add(name(command.payment_key, command.refund_id))


def _dispute(named: Named, command: commands.ReportDispute) -> None:
    _news(named, command)
    named.disputes.add(command.dispute_key)


def _charge(named: Named, command: commands.CaptureHold | commands.ReturnHold) -> None:
    named.charges.add(command.deployment_id)


_NAMING: Mapping[type, Callable[[Named, Any], None]] = {
    commands.CreditPayment: _credit,
    commands.KeepQuote: _quote,
    commands.AllocatePayment: _allocation,
    commands.ReversePayment: _news,
    commands.ReportRefund: _refund,
    commands.ReportDispute: _dispute,
    commands.CaptureHold: _charge,
    commands.ReturnHold: _charge,
}


def known_payments(named: Named, books: Books, batch: Iterable[commands.Command]) -> None:
    """Add the payments behind references that turned out to be known: repeats look at what was booked."""
    for command in batch:
        if isinstance(command, commands.CreditPayment) and command.reference in books.references:
            named.payments.add(command.payment_key)


def wallets_named(books: Books, batch: Iterable[commands.Command]) -> set[str]:
    """The wallets that the commands may change, now that quotes, payments and charges are read."""
    users: set[str] = set()
    for command in batch:
        finder = _WALLETS.get(type(command))
        if finder is not None:
            users.update(user for user in finder(books, command) if user)
    return users


def _of_credit(books: Books, command: commands.CreditPayment) -> Iterable[str | None]:
    payment = books.payment(command.payment_key) if command.reference in books.references else None
    first = _quoted_user(books, payment.payment_reference if payment else None)
    return (command.user_id, first, _quoted_user(books, command.payment_reference))


def _of_allocation(books: Books, command: commands.AllocatePayment) -> Iterable[str | None]:
    payment = books.payment(command.payment_key)
    return (command.user_id, _quoted_user(books, payment.payment_reference if payment else None))


def _quoted_user(books: Books, payment_reference: str | None) -> str | None:
    quote = books.quotes.get(payment_reference) if payment_reference else None
    return quote.user_id if quote else None


def _of_news(
    books: Books, command: commands.ReversePayment | commands.ReportRefund | commands.ReportDispute
) -> Iterable[str | None]:
    payment = books.payment(command.payment_key)
    return (payment.user_id if payment else None,)


def _of_charge(books: Books, command: commands.CaptureHold | commands.ReturnHold) -> Iterable[str | None]:
    charge = books.charges.get(command.deployment_id)
    return (charge.user_id if charge else None,)


_WALLETS: Mapping[type, Callable[[Books, Any], Iterable[str | None]]] = {
    commands.CreditPayment: _of_credit,
    commands.KeepQuote: lambda books, command: (command.user_id,),
    commands.AllocatePayment: _of_allocation,
    commands.ReversePayment: _of_news,
    commands.ReportRefund: _of_news,
    commands.ReportDispute: _of_news,
    commands.HoldCredits: lambda books, command: (command.user_id,),
    commands.CaptureHold: _of_charge,
    commands.ReturnHold: _of_charge,
    commands.Transfer: lambda books, command: (command.from_user_id, command.to_user_id),
    commands.AdjustWallet: lambda books, command: (command.user_id,),
}
