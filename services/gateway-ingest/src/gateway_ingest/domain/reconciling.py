"""Compares what a gateway has of a payment with what the books have of it. Plain values in, a finding out.

Reads and repairs nothing. Amounts are integers in the smallest unit of their asset.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway_ingest.domain.facts import Confirmed


class Kind(StrEnum):
    """What is wrong. Only PAID_NOT_CREDITED may be repaired without a person."""

    PAID_NOT_CREDITED = "paid_not_credited"
    CREDITED_NOT_PAID = "credited_not_paid"
    AMOUNT_DIFFERS = "amount_differs"
    UNALLOCATED = "unallocated"


@dataclass(frozen=True, slots=True)
class ListedPayment:
    """A payment that succeeded, as the gateway lists it; ``refunded_units`` of it went back in all."""

    confirmed: Confirmed
    refunded_units: int
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class BookedPayment:
    """The same in the ledger. ``user_id`` None: nobody's yet."""

    payment_id: str
    asset: str
    received_units: int
    returned_units: int
    user_id: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A finding; the side that does not know the payment is None."""

    kind: Kind
    payment_id: str
    listed: ListedPayment | None
    booked: BookedPayment | None


def compare(listed: ListedPayment, booked: BookedPayment | None) -> Difference | None:
    """None when both say the same. A wrong amount is told before a missing owner."""
    payment_id = listed.confirmed.payment_id
    if booked is None:
        return Difference(Kind.PAID_NOT_CREDITED, payment_id, listed, None)
    received = listed.confirmed.received
    at_gateway = received.asset, received.units, listed.refunded_units
    if at_gateway != (booked.asset, booked.received_units, booked.returned_units):
        return Difference(Kind.AMOUNT_DIFFERS, payment_id, listed, booked)
    if booked.user_id is None:
        return Difference(Kind.UNALLOCATED, payment_id, listed, booked)
    return None


def unpaid(booked: BookedPayment) -> Difference:
    """On the books, and the gateway, asked for this very payment, does not have it as paid."""
    return Difference(Kind.CREDITED_NOT_PAID, booked.payment_id, None, booked)
