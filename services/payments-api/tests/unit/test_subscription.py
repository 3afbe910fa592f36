"""A subscription: given these events, when this is told, then these events; and its calendar."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from payments_api.domain import subscription_events as events
from payments_api.domain.subscription import (
    SUBSCRIPTION_STATUSES,
    SubscribedTerms,
    Subscription,
    evolve_subscription,
)
from payments_api.domain.subscription_deciding import (
    Cancel,
    FailPeriod,
    HearGateway,
    Lapse,
    NoteOverAtGateway,
    OpenPeriod,
    PayPeriod,
    Start,
    SubscriptionError,
    decide_subscription,
)
from payments_api.domain.subscription_periods import period_of

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
FEBRUARY, MARCH, APRIL = (datetime(2026, month, day, 9, 30, tzinfo=UTC) for month, day in ((2, 28), (3, 31), (4, 30)))
TERMS = SubscribedTerms("USD/2", 4500, "TFC/2", 5000, 500)
BILLED = Start("alice", "bank", "starter", "monthly", TERMS)
BY_STRIPE = replace(BILLED, gateway="stripe", gateway_session_id="cs_1", payment_url="https://pay.test/cs_1")
FIRST = OpenPeriod("p1", NOW, FEBRUARY, NOW + timedelta(days=3))
SECOND = OpenPeriod("p2", FEBRUARY, MARCH, FEBRUARY + timedelta(days=3))


def told(state: str | None, minutes: int = 0, name: str | None = "sub_1") -> HearGateway:
    return HearGateway(name, state, NOW + timedelta(minutes=minutes))


def after(*commands: Any) -> Subscription:
    state = Subscription("subscription:s1")
    for command in commands:
        for event in decide_subscription(state, command, NOW):
            state = evolve_subscription(state, event)
    return state


def made(state: Subscription, command: Any) -> list[str]:
    return [type(event).__name__ for event in decide_subscription(state, command, NOW)]


def test_starting_keeps_the_terms() -> None:
    (event,) = decide_subscription(Subscription("subscription:s1"), BILLED, NOW)
    assert isinstance(event, events.SubscriptionStarted)
    assert (event.originator_id, event.originator_version, event.price, event.bonus) == (
        "subscription:s1",
        1,
        4500,
        500,
    )
    state = after(BILLED)
    assert (state.status, state.terms, state.user_id, state.created_at) == ("incomplete", TERMS, "alice", NOW)
    assert not state.is_automatic
    assert after(BY_STRIPE).is_automatic


@pytest.mark.parametrize("command", [FIRST, PayPeriod("p1"), Cancel(), Lapse(), told("active"), NoteOverAtGateway()])
def test_nothing_happens_to_one_that_never_began(command: Any) -> None:
    with pytest.raises(SubscriptionError):
        decide_subscription(Subscription("subscription:s1"), command, NOW)


def test_it_begins_once() -> None:
    with pytest.raises(SubscriptionError):
        decide_subscription(after(BILLED), BILLED, NOW)


@pytest.mark.parametrize(
    ("commands", "status"),
    [
        ([FIRST], "incomplete"),
        ([FIRST, FailPeriod("p1", "no")], "incomplete"),
        ([FIRST, PayPeriod("p1")], "active"),
        ([FIRST, FailPeriod("p1", "no"), PayPeriod("p1")], "active"),
        ([FIRST, PayPeriod("p1"), FailPeriod("p1", "no")], "active"),
        ([FIRST, PayPeriod("p1"), SECOND], "active"),
        ([FIRST, PayPeriod("p1"), SECOND, FailPeriod("p2", "no")], "past_due"),
        ([FIRST, PayPeriod("p1"), SECOND, FailPeriod("p2", "no"), PayPeriod("p2")], "active"),
        ([FIRST, SECOND, PayPeriod("p2"), FailPeriod("p1", "no")], "active"),
        ([FIRST, PayPeriod("p1"), told("past_due")], "past_due"),
        ([FIRST, PayPeriod("p1"), told("past_due"), told("active", 1)], "active"),
        ([FIRST, PayPeriod("p1"), told("active", 1), told("past_due")], "active"),
        ([FIRST, PayPeriod("p1"), told("past_due"), told("active")], "active"),
        ([FIRST, PayPeriod("p1"), told("active"), told("past_due")], "active"),
        ([told("past_due")], "incomplete"),
        ([FIRST, PayPeriod("p1"), told("unpaid")], "unpaid"),
        ([FIRST, PayPeriod("p1"), told("unpaid"), told("canceled", 1)], "unpaid"),
        ([FIRST, PayPeriod("p1"), told("canceled"), told("active", 1)], "canceled"),
        ([FIRST, PayPeriod("p1"), Cancel(), told("unpaid", 1), PayPeriod("p1")], "canceled"),
        ([FIRST, Lapse()], "lapsed"),
        ([FIRST, Lapse(), PayPeriod("p1")], "lapsed"),
        ([FIRST, Cancel(), Lapse()], "canceled"),
        ([told("canceled", name=None)], "canceled"),
        ([told("active"), FIRST, PayPeriod("p1"), told("canceled", 5, name=None)], "active"),
        ([told("active"), FIRST, PayPeriod("p1"), told("unpaid", 5, name="sub_2")], "active"),
    ],
)
def test_how_it_stands(commands: list[Any], status: str) -> None:
    assert status in SUBSCRIPTION_STATUSES
    assert after(BY_STRIPE, *commands).status == status


def test_every_status_stands_in_the_table_above() -> None:
    (mark,) = [mark for mark in test_how_it_stands.pytestmark if mark.name == "parametrize"]
    assert {status for _, status in mark.args[1]} == set(SUBSCRIPTION_STATUSES)


def test_a_repeat_leads_to_nothing() -> None:
    commands = [FIRST, FailPeriod("p1", "no"), PayPeriod("p1"), told("active"), told("unpaid", 2), told("canceled", 3)]
    state = after(BY_STRIPE, *commands)
    for command in [*commands, Cancel(), Lapse(), NoteOverAtGateway()]:
        assert made(state, command) == []


def test_news_in_any_order_come_to_the_same() -> None:
    news = [
        FIRST,
        SECOND,
        told("active", 1),
        told("past_due", 2),
        told("active", 2),
        told("canceled", 3),
    ]
    ends = set()
    for order in permutations(news):
        state = after(BY_STRIPE, *order)
        paid = state.periods.keys() == {"p1", "p2"}
        newest = state.newest
        assert newest is not None
        ends.add((state.status, state.gateway_subscription_id, state.is_over_at_gateway, newest.payment_id, paid))
    assert ends == {("canceled", "sub_1", True, "p2", True)}


def test_news_of_money_that_come_before_the_period_is_known_change_nothing() -> None:
    assert made(after(BILLED), PayPeriod("p1")) == []
    assert made(after(BILLED), FailPeriod("p1", "no")) == []


def test_no_bill_is_made_for_what_is_over_but_what_a_gateway_took_is_noted() -> None:
    with pytest.raises(SubscriptionError):
        decide_subscription(after(BILLED, FIRST, Cancel()), SECOND, NOW)
    state = after(BY_STRIPE, FIRST, Cancel(), SECOND, PayPeriod("p2"))
    assert (state.status, state.periods["p2"].state) == ("canceled", "paid")


def test_when_something_must_be_done_for_a_billed_one() -> None:
    assert after(BILLED, FIRST).act_at == FIRST.expires_at
    assert after(BILLED, FIRST, PayPeriod("p1")).act_at == FEBRUARY
    assert after(BILLED, FIRST, PayPeriod("p1"), SECOND).act_at == SECOND.expires_at
    assert after(BILLED, FIRST, PayPeriod("p1"), Cancel()).act_at is None


def test_when_something_must_be_done_for_one_that_its_gateway_runs() -> None:
    assert after(BY_STRIPE, FIRST, PayPeriod("p1")).act_at is None
    for ending in (Cancel(), told("unpaid")):
        state = after(BY_STRIPE, FIRST, ending)
        assert state.act_at == NOW
        assert after(BY_STRIPE, FIRST, ending, NoteOverAtGateway()).act_at is None
    assert after(BY_STRIPE, told("canceled")).act_at is None
    assert after(BY_STRIPE, told("canceled", name=None)).act_at == NOW


def test_the_next_period_is_counted_from_the_first_day() -> None:
    state = after(BILLED, FIRST, PayPeriod("p1"))
    assert (state.following(), state.next_period_at) == ((2, FEBRUARY, MARCH), FEBRUARY)
    assert after(BILLED, FIRST, PayPeriod("p1"), SECOND).following() == (3, MARCH, APRIL)
    assert after(BILLED, FIRST, Cancel()).next_period_at is None


@pytest.mark.parametrize(
    ("anchor", "cycle", "number", "begins"),
    [
        ((2026, 1, 31), "monthly", 1, (2026, 1, 31)),
        ((2026, 1, 31), "monthly", 2, (2026, 2, 28)),
        ((2026, 1, 31), "monthly", 3, (2026, 3, 31)),
        ((2026, 1, 31), "monthly", 13, (2027, 1, 31)),
        ((2028, 1, 30), "monthly", 2, (2028, 2, 29)),
        ((2026, 12, 15), "monthly", 2, (2027, 1, 15)),
        ((2028, 2, 29), "yearly", 2, (2029, 2, 28)),
        ((2028, 2, 29), "yearly", 5, (2032, 2, 29)),
    ],
)
def test_calendar(anchor: tuple[int, int, int], cycle: Any, number: int, begins: tuple[int, int, int]) -> None:
    begins_at, ends_at = period_of(datetime(*anchor, 23, 59, tzinfo=UTC), cycle, number)
    assert begins_at == datetime(*begins, 23, 59, tzinfo=UTC)
    assert ends_at == period_of(datetime(*anchor, 23, 59, tzinfo=UTC), cycle, number + 1)[0]


def test_periods_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="from one"):
        period_of(NOW, "monthly", 0)
