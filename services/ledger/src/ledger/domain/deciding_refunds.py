"""Decisions about refunds, which gateways tell of as one cumulative figure, or one by one, or both.

What is back is reckoned from all figures together (``ledger.domain.returns``), so that a refund that fails late gives
back, whatever was told before it.
"""

from __future__ import annotations

from ledger.domain.commands import ReportRefund, ReversePayment, failed_refund_reference, refund_reference
from ledger.domain.conversion import CreditTerms
from ledger.domain.decision import Decision, content_hash
from ledger.domain.events import (
    MoneyBack,
    PaymentRestored,
    PaymentReversed,
    RefundNoted,
    UnallocatedRestored,
    UnallocatedReversed,
)
from ledger.domain.journal import UNALLOCATED, entry, gateway_account, move
from ledger.domain.payment_states import Figures, Payment
from ledger.domain.refusals import ReferenceConflict
from ledger.domain.returns import booked_payment, credits_back, money_back
from ledger.domain.states import Books


def reverse_payment(books: Books, terms: CreditTerms, command: ReversePayment) -> Decision:
    """Reverse up to the cumulative target; a lower figure that comes later changes nothing."""
    payment = booked_payment(books, command.payment_key, command.asset)
    told = min(command.refunded_total, payment.received)
    if told <= payment.told_total:
        return Decision(no_effect="reversed_before")
    return _moved(books, terms, payment, command.reference, payment.figures._replace(told_total=told))


def report_refund(books: Books, terms: CreditTerms, command: ReportRefund) -> Decision:
    """Take back for a refund under way or done, once; give back for one that failed, whichever is told first."""
    payment = booked_payment(books, command.payment_key, command.asset)
    figures = payment.figures
    if command.state == "failed":
        counted = _known(books, refund_reference(command.payment_key, command.refund_id), command)
        single = figures.single_total - (command.amount if counted else 0)
        figures = figures._replace(failed_total=figures.failed_total + command.amount, single_total=single)
    elif _known(books, failed_refund_reference(command.payment_key, command.refund_id), command):
        return Decision(no_effect="refund_failed")
    else:
        figures = figures._replace(single_total=figures.single_total + command.amount)
    return _moved(books, terms, payment, command.reference, figures)


def _known(books: Books, reference: str, command: ReportRefund) -> bool:
    """Whether this refund was told of under ``reference``. Raises ReferenceConflict if with another amount."""
    known = books.references.get(reference)
    if known is not None and known.content_hash != content_hash(command):
        raise ReferenceConflict(reference)
    return known is not None


def _moved(books: Books, terms: CreditTerms, payment: Payment, reference: str, figures: Figures) -> Decision:
    more = money_back(payment, figures) - payment.refunded
    if more == 0:
        return Decision([_of_own_stream(RefundNoted, payment, reference, figures)])
    if payment.user_id is None:
        kind = UnallocatedReversed if more > 0 else UnallocatedRestored
        return Decision([_of_own_stream(kind, payment, reference, figures)])
    wallet = books.wallet(payment.user_id)
    available = wallet.available if terms.forgives_spent else None
    reversing = PaymentReversed if more > 0 else PaymentRestored
    return Decision([credits_back(reversing, terms.asset, payment, wallet, reference, figures, available=available)])


def _of_own_stream(kind: type[MoneyBack], payment: Payment, reference: str, figures: Figures) -> MoneyBack:
    """The next event of the payment itself, with the money that it moves out of what belongs to nobody."""
    back = money_back(payment, figures)
    moved = move(UNALLOCATED, gateway_account(payment.gateway), payment.asset, back - payment.refunded)
    return kind(
        originator_id=payment.stream,
        originator_version=payment.version + 1,
        reference=reference,
        postings=entry(*moved),
        gateway=payment.gateway,
        payment_id=payment.payment_id,
        received_asset=payment.asset,
        refunded_total=back,
        **figures._asdict(),
    )
