"""A payment: given these events, when this is told, then these events."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from payments_api.domain import events
from payments_api.domain.deciding import (
    Expire,
    Initiate,
    OpenCheckout,
    PaymentError,
    ReportCredited,
    ReportDisputed,
    ReportFailedAttempt,
    ReportReversed,
    ReportSeen,
    decide,
)
from payments_api.domain.payment import STATUSES, Payment, evolve
from payments_api.domain.quotes import Quote

NOW = datetime(2026, 5, 1, tzinfo=UTC)
QUOTE = Quote("USD/2", 2500, "TFC/2", 2500, 0, NOW)
INITIATE = Initiate("alice", "GL0000000000000X", "demo", QUOTE, "USD/2", 2500)
CREDITED = ReportCredited("USD/2", 2500, "TFC/2", 2500, "quote", "p1")
FAILED = ReportFailedAttempt("declined", "no luck")


def after(*commands: Any) -> Payment:
    state = Payment("payment:p1")
    for command in commands:
        for event in decide(state, command, NOW):
            state = evolve(state, event)
    return state


def test_initiating_keeps_the_quote() -> None:
    (event,) = decide(Payment("payment:p1"), INITIATE, NOW)
    assert isinstance(event, events.PaymentInitiated)
    assert (event.originator_id, event.originator_version, event.price, event.credits) == ("payment:p1", 1, 2500, 2500)
    state = evolve(Payment("payment:p1"), event)
    assert (state.status, state.quote, state.created_at) == ("initiated", QUOTE, NOW)


def test_it_is_initiated_once() -> None:
    with pytest.raises(PaymentError):
        decide(after(INITIATE), INITIATE, NOW)


def test_nothing_is_told_of_a_payment_that_never_began() -> None:
    with pytest.raises(PaymentError):
        decide(Payment("payment:p1"), CREDITED, NOW)


def test_credits_confirm_it_once() -> None:
    confirmed = after(INITIATE, OpenCheckout("http://pay"), CREDITED)
    assert (confirmed.status, confirmed.credited, confirmed.payment_url) == ("confirmed", 2500, "http://pay")
    assert decide(confirmed, CREDITED, NOW) == ()


def test_a_failed_attempt_may_still_succeed() -> None:
    failed = after(INITIATE, FAILED)
    assert (failed.status, failed.failure_reason) == ("failed", "no luck")
    confirmed = after(INITIATE, FAILED, CREDITED)
    assert (confirmed.status, confirmed.failure_reason) == ("confirmed", None)


def test_an_attempt_fails_once_and_another_for_the_same_reason_is_news() -> None:
    first, second = (replace(FAILED, attempt_id=charge) for charge in ("ch_1", "ch_2"))
    state = after(INITIATE, first)
    assert decide(state, first, NOW) == ()
    (event,) = decide(state, second, NOW)
    assert isinstance(event, events.PaymentAttemptFailed)
    assert event.attempt_id == "ch_2"
    both = after(INITIATE, first, second)
    assert (both.version, decide(both, first, NOW), decide(both, FAILED, NOW)) == (3, (), ())
    assert after(INITIATE, first, replace(first, is_over=True)).is_over


def test_what_was_credited_is_not_called_failed_afterwards() -> None:
    assert decide(after(INITIATE, CREDITED), FAILED, NOW) == ()


def test_another_assets_units_are_not_taken_for_the_quotes() -> None:
    yen = ReportCredited("JPY/0", 2500, "TFC/2", 1600, "worth", "p1")
    credited = after(INITIATE, yen)
    assert (credited.status, credited.received_total, credited.credited) == ("underpaid", 0, 1600)
    assert decide(credited, yen, NOW) == ()
    both = after(INITIATE, yen, ReportCredited("USD/2", 2500, "TFC/2", 2500, "quote", "p2"))
    assert (both.status, both.received_total) == ("confirmed", 2500)
    partly = after(INITIATE, yen, ReportReversed("JPY/0", 1000, "p1"))
    assert (partly.status, partly.refunded_total) == ("partially_refunded", 0)
    assert after(INITIATE, yen, ReportReversed("JPY/0", 2500, "p1")).status == "refunded"


def test_refunds_are_cumulative_targets() -> None:
    partly = after(INITIATE, CREDITED, ReportReversed("USD/2", 1000, "p1"))
    assert (partly.status, partly.refunded_total) == ("partially_refunded", 1000)
    assert decide(partly, ReportReversed("USD/2", 1000, "p1"), NOW) == ()
    assert decide(partly, ReportReversed("USD/2", 400, "p1"), NOW) == ()
    assert after(INITIATE, CREDITED, ReportReversed("USD/2", 2500, "p1")).status == "refunded"


def test_the_order_of_news_does_not_matter() -> None:
    news = [CREDITED, ReportReversed("USD/2", 1000, "p1"), ReportReversed("USD/2", 2500, "p1"), FAILED]
    for order in permutations(news):
        state = after(INITIATE, *order, *order)
        assert (state.status, state.credited, state.refunded_total) == ("refunded", 2500, 2500), order


SEEN = ReportSeen("p1", "unconfirmed", 1, 3)
ASKED = ReportSeen("p1", "requires_action")
OPENED, WON, LOST = (ReportDisputed("dp_1", state, "USD/2", 2500) for state in ("opened", "won", "lost"))


@pytest.mark.parametrize(
    ("commands", "status"),
    [
        ([], "initiated"),
        ([SEEN], "pending"),
        ([SEEN, ReportSeen("p1", "withdrawn")], "initiated"),
        ([FAILED], "failed"),
        ([FAILED, SEEN], "pending"),
        ([Expire()], "expired"),
        ([SEEN, Expire()], "pending"),
        ([SEEN, Expire(is_given_up=True)], "expired"),
        ([SEEN, Expire(is_given_up=True), CREDITED], "confirmed"),
        ([ASKED], "pending"),
        ([ASKED, Expire()], "expired"),
        ([ASKED, Expire(), CREDITED], "confirmed"),
        ([Expire(), ASKED], "expired"),
        ([Expire(), SEEN], "pending"),
        ([ASKED, replace(ASKED, state="processing"), Expire()], "pending"),
        ([ASKED, replace(SEEN, gateway_payment_id="p2"), Expire()], "pending"),
        ([FAILED, Expire()], "failed"),
        ([Expire(), CREDITED], "confirmed"),
        ([ReportCredited("USD/2", 2000, "TFC/2", 2000, "underpaid", "p1")], "underpaid"),
        ([ReportCredited("USD/2", 3000, "TFC/2", 3000, "overpaid", "p1")], "overpaid"),
        ([ReportCredited("USD/2", 2500, "TFC/2", 2500, "expired", "p1")], "confirmed"),
        ([CREDITED, ReportReversed("USD/2", 1, "p1")], "partially_refunded"),
        ([CREDITED, ReportReversed("USD/2", 2500, "p1")], "refunded"),
        ([CREDITED, OPENED], "disputed"),
        ([CREDITED, OPENED, WON], "won"),
        ([CREDITED, OPENED, LOST], "lost"),
    ],
)
def test_the_status_follows_from_what_happened(commands: list[Any], status: str) -> None:
    assert after(INITIATE, *commands).status == status
    assert status in STATUSES


def test_pieces_add_up() -> None:
    first = ReportCredited("USD/2", 1000, "TFC/2", 1000, "underpaid", "a")
    rest = ReportCredited("USD/2", 1500, "TFC/2", 1500, "topped_up", "b")
    state = after(INITIATE, first, first, rest)
    assert (state.status, state.received_total, state.credited) == ("confirmed", 2500, 2500)
    partly = after(INITIATE, first, rest, ReportReversed("USD/2", 1000, "a"))
    assert (partly.status, partly.refunded_total) == ("partially_refunded", 1000)


def test_what_came_back_lowers_what_is_gone() -> None:
    gone = after(INITIATE, CREDITED, ReportReversed("USD/2", 1000, "p1"))
    assert decide(gone, ReportReversed("USD/2", 0, "p1"), NOW) == ()
    back = after(
        INITIATE, CREDITED, ReportReversed("USD/2", 1000, "p1"), ReportReversed("USD/2", 0, "p1", came_back=True)
    )
    assert (back.status, back.refunded_total) == ("confirmed", 0)


def test_the_end_of_a_dispute_is_final() -> None:
    assert decide(after(INITIATE, CREDITED, LOST), OPENED, NOW) == ()
    assert decide(after(INITIATE, CREDITED, OPENED), OPENED, NOW) == ()


def test_a_payment_that_is_over_is_not_seen_again_but_its_money_is_taken() -> None:
    over = after(INITIATE, ReportFailedAttempt("canceled", "", is_over=True))
    assert (over.status, over.is_open, over.failure_reason) == ("failed", False, "canceled")
    assert decide(over, SEEN, NOW) == ()
    assert after(INITIATE, ReportFailedAttempt("canceled", "", is_over=True), CREDITED).status == "confirmed"
