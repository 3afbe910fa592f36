"""Each way in which a gateway and the books can differ about one payment, what may be repaired, and under what name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway_ingest.domain.facts import Amount, Confirmed, Disputed, FeeKept, PeriodTold, Refunded, RefundTold
from gateway_ingest.domain.reconciling import (
    BookedPayment,
    Difference,
    Kind,
    ListedPayment,
    News,
    Window,
    compare,
    event_of,
    is_repairable,
    unpaid,
)

PAID_AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
USD_25 = Amount(2500, "USD", 2)
PERIOD = PeriodTold("s-1", "sub_1", "in_1", "REF1", "paid", USD_25, PAID_AT, PAID_AT + timedelta(days=30))
LISTED = ListedPayment(Confirmed("pi_1", USD_25, "REF1"), 500, PAID_AT)


def booked(
    asset: str = "USD/2", received: int = 2500, returned: int = 500, user_id: str | None = "alice"
) -> BookedPayment:
    return BookedPayment("pi_1", asset, received, returned, user_id)


@pytest.mark.parametrize(
    ("books", "kind", "can_be_repaired"),
    [
        (None, Kind.PAID_NOT_CREDITED, True),
        (booked(received=2499), Kind.AMOUNT_DIFFERS, False),
        (booked(received=2499, returned=0), Kind.AMOUNT_DIFFERS, False),
        (booked(asset="EUR/2"), Kind.AMOUNT_DIFFERS, False),
        (booked(returned=499), Kind.AMOUNT_DIFFERS, True),
        (booked(returned=501), Kind.AMOUNT_DIFFERS, False),
        (booked(user_id=None), Kind.UNALLOCATED, False),
        (booked(returned=0, user_id=None), Kind.AMOUNT_DIFFERS, True),
    ],
)
def test_what_differs_is_named(books: BookedPayment | None, kind: Kind, can_be_repaired: bool) -> None:
    found = compare(LISTED, books)
    assert found is not None
    assert (found.kind, found.payment_id, found.listed, found.booked) == (kind, "pi_1", LISTED, books)
    assert is_repairable(found) is can_be_repaired


def test_what_agrees_is_no_finding() -> None:
    assert compare(LISTED, booked()) is None


def test_money_that_is_all_back_needs_no_owner() -> None:
    assert compare(ListedPayment(LISTED.confirmed, 2500, PAID_AT), booked(returned=2500, user_id=None)) is None


def test_what_the_gateway_does_not_have_was_not_paid() -> None:
    found = unpaid(booked())
    assert (found.kind, found.payment_id, found.listed) == (Kind.CREDITED_NOT_PAID, "pi_1", None)
    assert not is_repairable(found)


def test_the_books_know_the_reference_better() -> None:
    with_it = BookedPayment("pi_1", "USD/2", 2500, 0, "alice", "OURS")
    assert Difference(Kind.AMOUNT_DIFFERS, "pi_1", LISTED, with_it).reference == "OURS"
    assert Difference(Kind.AMOUNT_DIFFERS, "pi_1", LISTED, booked()).reference == "REF1"
    assert Difference(Kind.PAID_NOT_CREDITED, "pi_1", LISTED, None).reference == "REF1"
    assert unpaid(booked()).reference is None


def test_a_window_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    window = Window(PAID_AT, PAID_AT + timedelta(hours=1))
    assert PAID_AT in window
    assert window.until not in window
    assert PAID_AT - timedelta(microseconds=1) not in window
    around = window.widened()
    assert (around.since, around.until) == (PAID_AT - timedelta(days=1), PAID_AT + timedelta(days=1, hours=1))


@pytest.mark.parametrize(
    ("fact", "event_id", "event_type"),
    [
        (LISTED.confirmed, "reconciled.pi_1.confirmed", "reconciled.confirmed"),
        (PERIOD, "reconciled.in_1.period.paid", "reconciled.period"),
        (Refunded("pi_1", USD_25), "reconciled.pi_1.refunded.2500", "reconciled.refunded"),
        (RefundTold("pi_1", "re_1", USD_25, "failed"), "reconciled.pi_1.refund.re_1.failed", "reconciled.refund"),
        (Disputed("pi_1", "du_1", "lost", USD_25), "reconciled.pi_1.disputed.du_1.lost", "reconciled.disputed"),
        (FeeKept("pi_1", "txn_1", USD_25), "reconciled.pi_1.fee.txn_1", "reconciled.fee"),
    ],
)
def test_news_are_named_for_ever(fact: News, event_id: str, event_type: str) -> None:
    """Names are stored: another one would tell the same twice."""
    event = event_of(fact, PAID_AT)
    assert (event.event_id, event.event_type, event.finding) == (event_id, event_type, fact)
    # When it was paid decides by which quote it is credited.
    assert event.occurred_at == (PAID_AT if isinstance(fact, Confirmed | PeriodTold) else None)
