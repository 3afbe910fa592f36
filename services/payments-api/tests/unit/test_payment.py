"""A payment: given these events, when this is told, then these events."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from payments_api.domain import events
from payments_api.domain.payment import (
    Initiate,
    OpenCheckout,
    Payment,
    PaymentError,
    ReportCredited,
    ReportFailedAttempt,
    ReportReversed,
    decide,
    evolve,
)
from payments_api.domain.quotes import Quote

NOW = datetime(2026, 5, 1, tzinfo=UTC)
QUOTE = Quote("USD/2", 2500, "TFC/2", 2500, 0, NOW)
INITIATE = Initiate("alice", "GL0000000000000X", "demo", QUOTE)
CREDITED = ReportCredited("USD/2", 2500, "TFC/2", 2500, "quote")
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


def test_what_was_credited_is_not_called_failed_afterwards() -> None:
    assert decide(after(INITIATE, CREDITED), FAILED, NOW) == ()


def test_refunds_are_cumulative_targets() -> None:
    partly = after(INITIATE, CREDITED, ReportReversed("USD/2", 1000))
    assert (partly.status, partly.refunded_total) == ("confirmed", 1000)
    assert decide(partly, ReportReversed("USD/2", 1000), NOW) == ()
    assert decide(partly, ReportReversed("USD/2", 400), NOW) == ()
    assert after(INITIATE, CREDITED, ReportReversed("USD/2", 2500)).status == "refunded"


def test_the_order_of_news_does_not_matter() -> None:
    news = [CREDITED, ReportReversed("USD/2", 1000), ReportReversed("USD/2", 2500), FAILED]
    for order in permutations(news):
        state = after(INITIATE, *order, *order)
        assert (state.status, state.credited, state.refunded_total) == ("refunded", 2500, 2500), order
