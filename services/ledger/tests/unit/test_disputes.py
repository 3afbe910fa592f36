"""Disputes and gateways' fees: credits that are set aside, come back or are gone; what a gateway keeps."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.commands import BookFee, HoldCredits, ReportDispute, ReversePayment, Transfer
from ledger.domain.events import (
    CreditsDisputed,
    CreditsPurchased,
    DisputeLost,
    DisputeWon,
    GatewayFeeBooked,
    MoneyAllocated,
    PaymentReversed,
    UnallocatedDisputed,
)
from ledger.domain.refusals import Contradiction, InsufficientFunds, ReferenceConflict, TooEarly


def dispute(state: str, amount: int = 2500, *, name: str = "dp_1", asset: str = "USD/2") -> ReportDispute:
    return ReportDispute("stripe", "pi_1", name, state, amount, asset)  # type: ignore[arg-type]


def refunded(total: int) -> ReversePayment:
    return ReversePayment("stripe", "pi_1", total, "USD/2")


GONE = {"gateway:stripe USD/2": 2500, "platform:exchange USD/2": -2500}


def test_a_dispute_sets_aside_what_its_money_bought(story: Any, say: Any) -> None:
    story.given(say.quote(), say.paid(2500, ours="QREF1")).when(dispute("opened", 1250))
    story.then(CreditsDisputed, credits_disputed=1375, disputed=1250, reference="stripe:pi_1:dispute:dp_1:opened")
    story.moving({"platform:disputes TFC/2": 1375, "wallet:alice TFC/2": -1375}).wallet("alice", spendable=1375)
    story.when(dispute("opened", 1250)).then_nothing("repeated")


def test_won_gives_back(story: Any, say: Any) -> None:
    story.given(say.paid(2500), dispute("opened")).when(dispute("won")).then(DisputeWon, spendable=2500)
    story.moving({"platform:disputes TFC/2": -2500, "wallet:alice TFC/2": 2500})
    story.when(dispute("won")).then_nothing("repeated")
    story.when(refunded(2500)).then(PaymentReversed, credits_taken=2500)


def test_lost_takes_credits_and_money(story: Any, say: Any) -> None:
    story.given(say.quote(), say.paid(2500, ours="QREF1"), dispute("opened")).when(dispute("lost"))
    story.then(DisputeLost, spendable=0, refunded_total=2500, credits_taken=2750, bonus_taken=250)
    story.moving(
        {
            **GONE,
            "platform:disputes TFC/2": -2750,
            "platform:exchange TFC/2": 2500,
            "platform:promotions TFC/2": 250,
        }
    )
    for account in ("gateway:stripe", "platform:exchange", "platform:promotions", "platform:disputes"):
        assert story.account(account) == {}


def test_lost_without_having_been_opened_does_both(story: Any, say: Any) -> None:
    story.given(say.paid(2500)).when(dispute("lost", 1000)).then(DisputeLost, credits_taken=1000, spendable=1500)
    story.when(dispute("opened", 1000)).then_nothing("dispute_lost").wallet("alice", spendable=1500)


def test_won_without_having_been_opened_is_remembered(story: Any, say: Any) -> None:
    story.given(say.paid(2500)).when(dispute("won")).then(DisputeWon, credits_disputed=0).moving({})
    story.when(dispute("opened")).then_nothing("dispute_won").wallet("alice", spendable=2500)


def test_a_dispute_about_spent_credits_makes_a_debt_that_the_next_purchase_settles(story: Any, say: Any) -> None:
    story.given(say.paid(2500), Transfer("t-1", "alice", "bob", 2000), dispute("opened"))
    story.wallet("alice", spendable=-2000, debt=2000, available=0)
    story.when(HoldCredits("alice", "d-1", "web", "Web", 1)).then_refused(InsufficientFunds)
    story.given(dispute("lost")).wallet("alice", spendable=-2000)
    story.given(say.paid(2500, payment_id="pi_2")).wallet("alice", spendable=500, debt=0)


def test_money_is_not_disputed_that_is_back_already(story: Any, say: Any) -> None:
    story.given(say.paid(2500), refunded(2000)).when(dispute("opened")).then(CreditsDisputed, credits_disputed=500)
    story.when(dispute("lost")).then(DisputeLost, refunded_total=2500, credits_taken=500).wallet("alice", spendable=0)


def test_a_refund_while_a_dispute_is_open_takes_what_was_set_aside(story: Any, say: Any) -> None:
    story.given(say.paid(2500), dispute("opened")).when(refunded(2500))
    story.then(PaymentReversed, credits_taken=2500, credits_disputed=-2500, spendable=0)
    story.moving({**GONE, "platform:disputes TFC/2": -2500, "platform:exchange TFC/2": 2500})
    story.when(dispute("lost")).then(DisputeLost, credits_taken=0, credits_disputed=0).moving({})


def test_a_refund_after_a_lost_dispute_takes_only_what_is_left(story: Any, say: Any) -> None:
    story.given(say.paid(2500), dispute("lost", 1000))
    story.when(refunded(500)).then(PaymentReversed, refunded_total=1500, credits_taken=500)
    story.when(refunded(2500)).then(PaymentReversed, refunded_total=2500, credits_taken=1000)


def test_two_disputes_of_one_payment(story: Any, say: Any) -> None:
    story.given(say.paid(2500), dispute("opened", 1000), dispute("opened", 2000, name="dp_2"))
    assert story.account("platform:disputes") == {"TFC/2": 2500}
    story.given(dispute("won", 1000)).wallet("alice", spendable=500)
    story.given(dispute("lost", 2000, name="dp_2")).wallet("alice", spendable=500)
    assert story.account("platform:disputes") == {}


@pytest.mark.parametrize(("first", "second"), [("won", "lost"), ("lost", "won")])
def test_a_dispute_ends_once(story: Any, say: Any, first: str, second: str) -> None:
    story.given(say.paid(2500), dispute("opened"), dispute(first)).when(dispute(second)).then_refused(Contradiction)


def test_what_a_dispute_may_not_say(story: Any, say: Any) -> None:
    story.when(dispute("opened")).then_refused(TooEarly, reference="stripe:pi_1:credit")
    story.given(say.paid(2500), dispute("opened", 1000))
    story.when(dispute("opened", 1001)).then_refused(ReferenceConflict)
    story.when(dispute("won", asset="KES/2")).then_refused(Contradiction)


def test_a_dispute_about_money_without_an_owner(story: Any, say: Any) -> None:
    story.given(say.paid(2500, by=None))
    story.when(dispute("opened", 1000)).then(UnallocatedDisputed, disputed_total=1000, refunded_total=0).moving({})
    story.when(dispute("lost", 1000)).then(UnallocatedDisputed, disputed_total=0, refunded_total=1000)
    story.moving({"platform:unallocated USD/2": -1000, "gateway:stripe USD/2": 1000})


def test_an_open_dispute_finds_the_owner_that_is_found_later(story: Any, say: Any) -> None:
    story.given(say.paid(2500, by=None), dispute("opened", 1000), dispute("opened", 200, name="dp_2"))
    story.given(dispute("won", 200, name="dp_2"), dispute("opened", 300, name="dp_3")).when(say.paid(2500))
    story.then_all(CreditsPurchased, MoneyAllocated, CreditsDisputed, CreditsDisputed)
    story.wallet("alice", spendable=1200)
    assert story.account("platform:disputes") == {"TFC/2": 1300}
    story.when(dispute("won", 1000)).then(DisputeWon, spendable=2200)


@pytest.mark.parametrize(("amount", "state"), [(103, {"USD/2": -103}), (-103, {"USD/2": 103})])
def test_a_fee_is_booked_once(story: Any, amount: int, state: dict[str, int]) -> None:
    fee = BookFee("stripe", "pi_1", "txn_1", amount, "USD/2")
    story.when(fee).then(GatewayFeeBooked, reference="stripe:fee:txn_1", originator_id="fee:stripe:txn_1")
    story.moving({"platform:fees:stripe USD/2": -amount, "gateway:stripe USD/2": amount})
    story.when(fee).then_nothing("repeated")
    story.when(BookFee("stripe", "pi_1", "txn_1", amount + 1, "USD/2")).then_refused(ReferenceConflict)
    assert story.account("platform:fees:stripe") == state
