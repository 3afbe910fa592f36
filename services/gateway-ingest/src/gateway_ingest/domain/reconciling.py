"""Compares what a gateway has of a payment with what the books have of it. Plain values in, a finding out.

Reads and repairs nothing. Amounts are integers in the smallest unit of their asset. What goes back is one figure on
both sides: refunds that did not fail and lost disputes, and never more than came.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from gateway_ingest.domain.facts import Confirmed, Disputed, FeeKept, PeriodTold, Reading, Refunded, RefundTold

Coming: TypeAlias = Confirmed | PeriodTold
"""That money came, and for what."""
News: TypeAlias = Coming | Refunded | RefundTold | Disputed | FeeKept
"""What is told again of a payment: that, and money that went back or was kept."""

EVENT_ID_PREFIX = "reconciled."
MARGIN = timedelta(days=1)
"""How far around the asked time both sides are looked through: an intent may be older than its payment, and a payment
is booked after it was paid."""


class Kind(StrEnum):
    """What is wrong; see ``is_repairable``."""

    PAID_NOT_CREDITED = "paid_not_credited"
    CREDITED_NOT_PAID = "credited_not_paid"
    AMOUNT_DIFFERS = "amount_differs"
    UNALLOCATED = "unallocated"


@dataclass(frozen=True, slots=True)
class Window:
    """From ``since`` on, before ``until``; both have a zone."""

    since: datetime
    until: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.since <= moment < self.until

    def widened(self) -> Window:
        """With the MARGIN on both sides."""
        return Window(self.since - MARGIN, self.until + MARGIN)


@dataclass(frozen=True, slots=True)
class ListedPayment:
    """A payment that succeeded, as the gateway lists it; ``returned_units`` of it went back in all."""

    confirmed: Confirmed
    returned_units: int
    paid_at: datetime

    @property
    def payment_id(self) -> str:
        return self.confirmed.payment_id


@dataclass(frozen=True, slots=True)
class BookedPayment:
    """The same in the ledger. ``user_id`` None: nobody's yet."""

    payment_id: str
    asset: str
    received_units: int
    returned_units: int
    user_id: str | None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A finding; the side that does not know the payment is None."""

    kind: Kind
    payment_id: str
    listed: ListedPayment | None
    booked: BookedPayment | None

    @property
    def reference(self) -> str | None:
        """Ours, from whichever side has it."""
        told = None if self.listed is None else self.listed.confirmed.reference
        return told if self.booked is None or self.booked.reference is None else self.booked.reference


def compare(listed: ListedPayment, booked: BookedPayment | None) -> Difference | None:
    """None when both say the same. A wrong amount is told before a missing owner; money that is back needs none."""
    if booked is None:
        return Difference(Kind.PAID_NOT_CREDITED, listed.payment_id, listed, None)
    if not _same_received(listed, booked) or listed.returned_units != booked.returned_units:
        return Difference(Kind.AMOUNT_DIFFERS, listed.payment_id, listed, booked)
    if booked.user_id is None and booked.returned_units < booked.received_units:
        return Difference(Kind.UNALLOCATED, listed.payment_id, listed, booked)
    return None


def unpaid(booked: BookedPayment) -> Difference:
    """On the books, and the gateway, asked for this very payment, does not have it as paid."""
    return Difference(Kind.CREDITED_NOT_PAID, booked.payment_id, None, booked)


def is_repairable(difference: Difference) -> bool:
    """Whether the gateway's news, told again, make it good: money that came, or went back, and we were not told."""
    listed, booked = difference.listed, difference.booked
    if listed is None:
        return False
    if booked is None:
        return True
    return _same_received(listed, booked) and listed.returned_units > booked.returned_units


def event_of(fact: News, paid_at: datetime) -> Reading:
    """The fact as an event, under a name that repeats with it. Stored for ever: names must never change."""
    subject, kind, *detail = _named(fact)
    name = ".".join([subject, kind, *detail])
    occurred_at = paid_at if isinstance(fact, Coming) else None
    return Reading(EVENT_ID_PREFIX + name, EVENT_ID_PREFIX + kind, occurred_at, fact)


def _named(fact: News) -> tuple[str, ...]:
    """What it is about, which kind of news, and what tells it from others of that kind."""
    match fact:
        case Confirmed(payment_id=payment):
            return payment, "confirmed"
        case PeriodTold(invoice_id=invoice, state=state):
            return invoice, "period", state
        case Refunded(payment_id=payment, refunded_total=total):
            return payment, "refunded", str(total.units)
        case RefundTold(payment_id=payment, refund_id=refund, state=state):
            return payment, "refund", refund, state
        case Disputed(payment_id=payment, dispute_id=dispute, state=state):
            return payment, "disputed", dispute, state
        case FeeKept(payment_id=payment, fee_id=fee):
            return payment, "fee", fee


def _same_received(listed: ListedPayment, booked: BookedPayment) -> bool:
    received = listed.confirmed.received
    return (received.asset, received.units) == (booked.asset, booked.received_units)
