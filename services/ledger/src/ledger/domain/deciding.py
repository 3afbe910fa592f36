"""The table of what can be decided, and the rule that an effect happens once by its reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ledger.domain import commands
from ledger.domain.conversion import CreditTerms
from ledger.domain.deciding_disputes import report_dispute
from ledger.domain.deciding_fees import book_fee
from ledger.domain.deciding_payments import allocate_payment, credit_payment, keep_quote
from ledger.domain.deciding_refunds import report_refund, reverse_payment
from ledger.domain.deciding_spending import capture_hold, hold_credits, return_hold
from ledger.domain.deciding_wallets import adjust_wallet, transfer
from ledger.domain.decision import Decision, content_hash
from ledger.domain.events import LedgerEvent
from ledger.domain.refusals import ReferenceConflict
from ledger.domain.states import Books, KnownReference, evolve


def decide(books: Books, terms: CreditTerms, command: commands.Command) -> Decision:
    """The events of ``command`` on these ``books``, which stay as they are. Raises Refusal."""
    known = books.references.get(command.reference)
    if known is not None and type(command) not in _JUDGES_ITS_OWN_REPEATS:
        if known.content_hash != content_hash(command):
            raise ReferenceConflict(command.reference)
        return Decision(no_effect="repeated")
    return DECISIONS[type(command)](books, terms, command)


def apply(books: Books, command: commands.Command, decision: Decision) -> None:
    """Change the books by the decision's events and remember their references."""
    content = content_hash(command)
    for event in decision.events:
        _remember(books, event, content)
        evolve(books, event)


def _remember(books: Books, event: LedgerEvent, content: bytes) -> None:
    books.references[event.reference] = KnownReference(event.originator_id, event.originator_version, content)
    books.stored[event.reference] = event


_JUDGES_ITS_OWN_REPEATS = frozenset({commands.CreditPayment})
"""A payment is told several times, by several events of its gateway, each knowing a little more or less."""

DECISIONS: Mapping[type, Callable[[Books, CreditTerms, Any], Decision]] = {
    commands.CreditPayment: credit_payment,
    commands.KeepQuote: keep_quote,
    commands.AllocatePayment: allocate_payment,
    commands.ReversePayment: reverse_payment,
    commands.ReportRefund: report_refund,
    commands.ReportDispute: report_dispute,
    commands.BookFee: book_fee,
    commands.HoldCredits: hold_credits,
    commands.CaptureHold: capture_hold,
    commands.ReturnHold: return_hold,
    commands.Transfer: transfer,
    commands.AdjustWallet: adjust_wallet,
}
