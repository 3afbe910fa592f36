"""Single refunds beside the cumulative figure: each counts once, and one that fails gives back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.domain.commands import ReportDispute, ReportRefund, ReversePayment, Transfer
from ledger.domain.conversion import CreditTerms
from ledger.domain.events import (
    PaymentRestored,
    PaymentReversed,
    RefundNoted,
    UnallocatedRestored,
    UnallocatedReversed,
)
from ledger.domain.refusals import Contradiction, ReferenceConflict, TooEarly


def single(amount: int, state: str = "succeeded", *, name: str = "re_1", asset: str = "USD/2") -> ReportRefund:
    return ReportRefund("stripe", "pi_1", name, amount, asset, state)  # type: ignore[arg-type]


def told(total: int) -> ReversePayment:
    return ReversePayment("stripe", "pi_1", total, "USD/2")


def test_pending_and_succeeded_take_once(story: Any, say: Any) -> None:
    story.given(say.paid(2500)).when(single(1000, "pending"))
    story.then(PaymentReversed, credits_taken=1000, refunded_total=1000, reference="stripe:pi_1:refund:re_1")
    story.moving(
        {
            "gateway:stripe USD/2": 1000,
            "platform:exchange USD/2": -1000,
            "platform:exchange TFC/2": 1000,
            "wallet:alice TFC/2": -1000,
        }
    )
    story.when(single(1000)).then_nothing("repeated").wallet("alice", spendable=1500)


def test_a_refund_that_fails_late_gives_back(story: Any, say: Any) -> None:
    story.given(say.quote(), say.paid(2500, ours="QREF1"), single(1250))
    story.when(single(1250, "failed")).then(PaymentRestored, refunded_total=0, credits_taken=-1375, bonus_taken=-125)
    story.moving(
        {
            "gateway:stripe USD/2": -1250,
            "platform:exchange USD/2": 1250,
            "platform:exchange TFC/2": -1250,
            "platform:promotions TFC/2": -125,
            "wallet:alice TFC/2": 1375,
        }
    )
    story.when(single(1250, "failed")).then_nothing("repeated")
    story.when(single(1250)).then_nothing("repeated").wallet("alice", spendable=2750)


def test_a_failure_told_before_its_success(story: Any, say: Any) -> None:
    story.given(say.paid(2500)).when(single(1000, "failed")).then(RefundNoted, failed_total=1000, refunded_total=0)
    story.when(single(1000)).then_nothing("refund_failed").wallet("alice", spendable=2500)


@pytest.mark.parametrize(
    ("news", "back"),
    [
        ([told(1000), single(1000)], 1000),
        ([single(1000), told(1000)], 1000),
        ([told(1000), single(400), single(600, name="re_2")], 1000),
        ([told(1000), single(400), single(900, name="re_2")], 1300),
        ([told(1000), single(1000, "failed")], 0),
        ([single(1000), told(1000), single(1000, "failed")], 0),
        ([single(1000), told(1500), single(1000, "failed")], 500),
        ([told(9999), single(500, "failed")], 2000),
        ([single(2000), single(2000, name="re_2")], 2500),
        ([single(2000), single(2000, name="re_2"), single(2000, "failed")], 2000),
        ([single(500, "failed"), single(500, name="re_2"), told(500)], 500),
    ],
)
def test_what_is_back_is_the_higher_of_two_figures(story: Any, say: Any, news: list[Any], back: int) -> None:
    story.given(say.paid(2500))
    for one in news:
        story.settle(one)
    story.wallet("alice", spendable=2500 - back)
    assert story.account("gateway:stripe") == ({"USD/2": back - 2500} if back < 2500 else {})


def test_a_figure_that_moves_nothing_is_kept(story: Any, say: Any) -> None:
    story.given(say.paid(2500), single(1000)).when(told(1000)).then(RefundNoted, told_total=1000, single_total=1000)
    story.moving({}).when(told(1000)).then_nothing("repeated")
    assert story.books.payment("stripe:pi_1").version == 1


def test_refunds_of_money_without_an_owner(story: Any, say: Any) -> None:
    story.given(say.paid(2500, by=None)).when(single(1000)).then(UnallocatedReversed, refunded_total=1000)
    story.moving({"platform:unallocated USD/2": -1000, "gateway:stripe USD/2": 1000})
    story.when(single(1000, "failed")).then(UnallocatedRestored, refunded_total=0)
    story.moving({"platform:unallocated USD/2": 1000, "gateway:stripe USD/2": -1000})


def test_a_refund_of_before_its_owner_that_fails_after(story: Any, say: Any) -> None:
    """1000 of 2500 were on their way back, so 1500 bought; they stay, and buy too."""
    story.given(say.paid(2500, by=None), single(1000)).settle(say.paid(2500)).wallet("alice", spendable=1500)
    story.when(single(1000, "failed")).then(PaymentRestored, credits_taken=-1000).wallet("alice", spendable=2500)
    assert story.account("platform:unallocated") == {}
    story.when(told(2500)).then(PaymentReversed, refunded_total=1500, credits_taken=1500)


def test_a_refund_before_its_payment_is_early(story: Any, say: Any) -> None:
    for state in ("pending", "failed"):
        story.when(single(100, state)).then_refused(TooEarly, reference="stripe:pi_1:credit")


@pytest.mark.parametrize(("first", "second"), [("succeeded", "failed"), ("failed", "succeeded")])
def test_one_refund_has_one_amount(story: Any, say: Any, first: str, second: str) -> None:
    story.given(say.paid(2500), single(100, first))
    story.when(single(101, first)).then_refused(ReferenceConflict)
    story.when(single(101, second)).then_refused(ReferenceConflict)
    story.when(single(100, asset="KES/2", name="re_2")).then_refused(Contradiction)


SPENT = Transfer("t-1", "alice", "bob", 2000)


def test_what_was_spent_becomes_debt(story: Any, say: Any) -> None:
    story.given(say.paid(2500), SPENT).when(single(2500)).then(PaymentReversed, credits_taken=2500, credits_forgiven=0)
    story.wallet("alice", spendable=-2000)


@pytest.fixture
def forgiving(new_story: Any, terms: CreditTerms) -> Any:
    return new_story(replace(terms, forgives_spent=True))


@pytest.mark.parametrize("news", [single(2500), told(2500)])
def test_or_it_is_forgiven(forgiving: Any, say: Any, news: Any) -> None:
    forgiving.given(say.paid(2500), SPENT).when(news)
    forgiving.then(PaymentReversed, credits_taken=500, credits_forgiven=2000, spendable=0)
    forgiving.moving(
        {
            "gateway:stripe USD/2": 2500,
            "platform:exchange USD/2": -2500,
            "platform:exchange TFC/2": 500,
            "wallet:alice TFC/2": -500,
        }
    )


def test_what_was_forgiven_is_never_taken_later(forgiving: Any, say: Any) -> None:
    forgiving.given(say.paid(2500), SPENT, told(1000)).saying(credits_taken=500, credits_forgiven=500)
    forgiving.given(say.paid(5000, payment_id="pi_2"))
    forgiving.when(told(1001)).then(PaymentReversed, credits_taken=1, credits_forgiven=0)
    forgiving.when(told(2500)).then(PaymentReversed, credits_taken=1499, credits_forgiven=0)


def test_a_refund_that_was_forgiven_in_part_gives_back_what_it_took(forgiving: Any, say: Any) -> None:
    forgiving.given(say.quote(), say.paid(2500, ours="QREF1"), Transfer("t-1", "alice", "bob", 2700), single(2500))
    forgiving.saying(credits_taken=50, bonus_taken=0, credits_forgiven=2700)
    forgiving.when(single(2500, "failed")).then(PaymentRestored, credits_taken=-50, credits_forgiven=-2700)
    forgiving.wallet("alice", spendable=50)
    assert forgiving.account("platform:promotions") == {"TFC/2": -250}


def test_a_debt_of_before_is_left_as_it_is(forgiving: Any, say: Any) -> None:
    forgiving.given(say.paid(2500), SPENT, ReportDispute("stripe", "pi_1", "dp_1", "opened", 1000, "USD/2"))
    forgiving.wallet("alice", spendable=-500)
    forgiving.when(told(500)).then(PaymentReversed, credits_taken=0, credits_forgiven=500, spendable=-500)
