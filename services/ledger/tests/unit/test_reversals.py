"""Money that goes back: cumulative targets, bonus in proportion, debt, refunds of what nobody owned yet."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.commands import AllocatePayment, HoldCredits, ReversePayment, Transfer
from ledger.domain.events import CreditsPurchased, PaymentReversed, UnallocatedReversed
from ledger.domain.refusals import Contradiction, InsufficientFunds, TooEarly


def refunded(total: int, asset: str = "USD/2") -> ReversePayment:
    return ReversePayment("stripe", "pi_1", total, asset)


def test_a_full_refund_takes_everything_back(story: Any, say: Any) -> None:
    story.given(say.paid(2500)).when(refunded(2500)).then(PaymentReversed, credits_taken=2500, spendable=0)
    story.moving(
        {
            "gateway:stripe USD/2": 2500,
            "platform:exchange USD/2": -2500,
            "platform:exchange TFC/2": 2500,
            "wallet:alice TFC/2": -2500,
        }
    )
    assert story.account("gateway:stripe") == story.account("platform:exchange") == {}


def test_refunds_are_cumulative_targets(story: Any, say: Any) -> None:
    story.given(say.paid(2500))
    story.when(refunded(1000)).then(PaymentReversed, credits_taken=1000, refunded_total=1000)
    story.when(refunded(1500)).then(PaymentReversed, credits_taken=500, refunded_total=1500)
    story.when(refunded(1500)).then_nothing("repeated")
    story.when(refunded(1200)).then_nothing("reversed_before")
    story.when(refunded(1000)).then_nothing("repeated")
    story.when(refunded(2500)).then(PaymentReversed, credits_taken=1000).wallet("alice", spendable=0, version=4)


def test_more_than_was_paid_is_never_taken(story: Any, say: Any) -> None:
    story.given(say.paid(2500)).when(refunded(9999)).then(PaymentReversed, credits_taken=2500, refunded_total=2500)
    story.when(refunded(2500)).then_nothing("reversed_before")
    story.when(refunded(10_000)).then_nothing("reversed_before")
    assert story.account("gateway:stripe") == {}


def test_the_bonus_goes_back_in_proportion(story: Any, say: Any) -> None:
    story.given(say.quote(), say.paid(2500, ours="QREF1"))
    story.when(refunded(1250)).then(PaymentReversed, credits_taken=1375, bonus_taken=125)
    story.moving(
        {
            "gateway:stripe USD/2": 1250,
            "platform:exchange USD/2": -1250,
            "platform:exchange TFC/2": 1250,
            "platform:promotions TFC/2": 125,
            "wallet:alice TFC/2": -1375,
        }
    )
    story.when(refunded(2500)).then(PaymentReversed, credits_taken=1375, bonus_taken=125)
    assert story.account("platform:promotions") == {}


def test_shares_are_rounded_down_until_the_last(story: Any, say: Any) -> None:
    story.given(say.paid(10, asset="JPY/0"))
    story.wallet("alice", spendable=6)
    story.when(refunded(1, "JPY/0")).then(PaymentReversed, credits_taken=0)
    story.when(refunded(9, "JPY/0")).then(PaymentReversed, credits_taken=5)
    story.when(refunded(10, "JPY/0")).then(PaymentReversed, credits_taken=1).wallet("alice", spendable=0)


def test_a_reversal_may_leave_a_debt_that_the_next_credit_settles(story: Any, say: Any) -> None:
    story.given(say.paid(2500), Transfer("t-1", "alice", "bob", 2000)).when(refunded(2500))
    story.then(PaymentReversed, spendable=-2000).wallet("alice", available=0, debt=2000)
    story.when(HoldCredits("alice", "d-1", "web", "Web", 1)).then_refused(
        InsufficientFunds, required=1, available=0, version=3
    )
    story.when(say.paid(2500, payment_id="pi_2")).then(CreditsPurchased, spendable=500)
    story.wallet("alice", available=500, debt=0)


def test_a_refund_before_its_payment_is_early(story: Any, say: Any) -> None:
    story.when(refunded(100)).then_refused(TooEarly, reference="stripe:pi_1:credit")
    story.given(say.paid(2500)).when(refunded(100)).then(PaymentReversed, credits_taken=100)


def test_a_refund_in_another_currency_contradicts(story: Any, say: Any) -> None:
    story.given(say.paid(2500)).when(refunded(100, "KES/2")).then_refused(Contradiction)


def test_money_that_nobody_owned_goes_back_to_the_gateway(story: Any, say: Any) -> None:
    story.given(say.paid(2500, by=None))
    story.when(refunded(1000)).then(UnallocatedReversed, refunded_total=1000)
    story.moving({"platform:unallocated USD/2": -1000, "gateway:stripe USD/2": 1000})
    story.when(refunded(400)).then_nothing("reversed_before")
    story.when(refunded(9999)).then(UnallocatedReversed, refunded_total=2500)
    assert story.account("platform:unallocated") == story.account("gateway:stripe") == {}


@pytest.mark.parametrize(("total", "taken"), [(1000, 0), (1001, 1), (1750, 750), (2500, 1500), (3000, 1500)])
def test_after_a_partial_refund_of_unallocated_money(story: Any, say: Any, total: int, taken: int) -> None:
    """1000 of 2500 had gone back before 1500 credits were given for the rest."""
    story.given(say.paid(2500, by=None), refunded(1000), AllocatePayment("stripe:pi_1", "bob"))
    story.wallet("bob", spendable=1500).when(refunded(total))
    if taken == 0:
        story.then_nothing("repeated")
        return
    story.then(PaymentReversed, credits_taken=taken, user_id="bob").wallet("bob", spendable=1500 - taken)


def test_a_quote_after_a_partial_refund_is_underpaid(story: Any, say: Any) -> None:
    story.given(say.paid(2500, ours="QREF1"), refunded(500), say.quote(), AllocatePayment("stripe:pi_1"))
    story.wallet("alice", spendable=2000)
    story.when(refunded(2500)).then(PaymentReversed, credits_taken=2000, bonus_taken=0).wallet("alice", spendable=0)
    assert story.account("gateway:stripe") == story.account("platform:exchange") == {}
