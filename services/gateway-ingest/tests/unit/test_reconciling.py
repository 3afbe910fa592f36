"""Each way in which a gateway and the books can differ about one payment."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway_ingest.domain.facts import Amount, Confirmed
from gateway_ingest.domain.reconciling import BookedPayment, Kind, ListedPayment, compare, unpaid

PAID_AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
LISTED = ListedPayment(Confirmed("pi_1", Amount(2500, "USD", 2)), 500, PAID_AT)


def booked(
    asset: str = "USD/2", received: int = 2500, returned: int = 500, user_id: str | None = "alice"
) -> BookedPayment:
    return BookedPayment("pi_1", asset, received, returned, user_id)


@pytest.mark.parametrize(
    ("books", "kind"),
    [
        (None, Kind.PAID_NOT_CREDITED),
        (booked(received=2499), Kind.AMOUNT_DIFFERS),
        (booked(returned=0), Kind.AMOUNT_DIFFERS),
        (booked(asset="EUR/2"), Kind.AMOUNT_DIFFERS),
        (booked(user_id=None), Kind.UNALLOCATED),
        (booked(returned=0, user_id=None), Kind.AMOUNT_DIFFERS),
    ],
)
def test_what_differs_is_named(books: BookedPayment | None, kind: Kind) -> None:
    found = compare(LISTED, books)
    assert found is not None
    assert (found.kind, found.payment_id, found.listed, found.booked) == (kind, "pi_1", LISTED, books)


def test_what_agrees_is_no_finding() -> None:
    assert compare(LISTED, booked()) is None


def test_what_the_gateway_does_not_have_was_not_paid() -> None:
    found = unpaid(booked())
    assert (found.kind, found.payment_id, found.listed) == (Kind.CREDITED_NOT_PAID, "pi_1", None)
