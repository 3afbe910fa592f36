"""Money that comes in: the rules of a quote, repeats, and money that waits for its owner."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.commands import AdjustWallet, AllocatePayment, ReversePayment
from ledger.domain.decision import WALLET_MAX
from ledger.domain.events import (
    CreditsPurchased,
    MoneyAllocated,
    MoneyNamed,
    MoneyUnallocated,
    PaymentReversed,
    QuoteKept,
)
from ledger.domain.refusals import NothingToAllocate, ReferenceConflict, WalletLimit


def test_a_payment_becomes_credits_at_the_base_rate(story: Any, say: Any) -> None:
    story.when(say.paid(2500)).then(CreditsPurchased, credits=2500, bonus=0, rule="base_rate", spendable=2500)
    story.moving(
        {
            "gateway:stripe USD/2": -2500,
            "platform:exchange USD/2": 2500,
            "platform:exchange TFC/2": -2500,
            "wallet:alice TFC/2": 2500,
        }
    )
    story.wallet("alice", spendable=2500, held=0, total_purchased=2500, version=1)


@pytest.mark.parametrize(
    ("asset", "received", "bought"),
    [("KES/2", 13_000, 100), ("KES/2", 13_129, 100), ("KES/2", 129, 0), ("JPY/0", 8, 5)],
)
def test_credits_are_rounded_down(story: Any, say: Any, asset: str, received: int, bought: int) -> None:
    story.when(say.paid(received, asset=asset)).then(CreditsPurchased, credits=bought, received=received)
    assert story.account("gateway:stripe") == {asset: -received}


def test_money_of_an_asset_without_a_rate_is_booked_all_the_same(story: Any, say: Any) -> None:
    story.when(say.paid(700, asset="XAU/4")).then(MoneyUnallocated, reason="no_rate", received=700)
    story.moving({"gateway:stripe XAU/4": -700, "platform:unallocated XAU/4": 700})


def test_money_that_a_wallet_cannot_take_is_booked_all_the_same(story: Any, say: Any) -> None:
    story.when(say.paid(WALLET_MAX + 1)).then(MoneyUnallocated, reason="wallet_limit")


def test_money_of_nobody_is_booked_all_the_same(story: Any, say: Any) -> None:
    story.when(say.paid(by=None)).then(MoneyUnallocated, reason="owner_unknown", payment_reference=None)


def test_the_quote_exactly(story: Any, say: Any) -> None:
    story.given(say.quote()).when(say.paid(2500, ours="QREF1", by=None))
    story.then(CreditsPurchased, user_id="alice", credits=2750, bonus=250, rule="quote")
    story.moving(
        {
            "gateway:stripe USD/2": -2500,
            "platform:exchange USD/2": 2500,
            "platform:exchange TFC/2": -2500,
            "platform:promotions TFC/2": -250,
            "wallet:alice TFC/2": 2750,
        }
    )
    assert story.books.quotes["QREF1"].used


def test_underpaid_is_the_base_rate_without_bonus(story: Any, say: Any) -> None:
    story.given(say.quote()).when(say.paid(2499, ours="QREF1"))
    story.then(CreditsPurchased, credits=2499, bonus=0, rule="underpaid")
    assert not story.books.quotes["QREF1"].used


def test_a_quote_that_was_underpaid_can_still_be_paid(story: Any, say: Any) -> None:
    story.given(say.quote(), say.paid(1, ours="QREF1", payment_id="pi_0")).when(say.paid(2500, ours="QREF1"))
    story.then(CreditsPurchased, credits=2750, rule="quote")


def test_overpaid_is_the_quote_and_the_surplus_at_the_base_rate(story: Any, say: Any) -> None:
    story.given(say.quote()).when(say.paid(2600, ours="QREF1"))
    story.then(CreditsPurchased, credits=2850, bonus=250, rule="overpaid")


@pytest.mark.parametrize(("hours", "rule", "bought"), [(1.0, "quote", 2750), (1.001, "expired", 2500)])
def test_a_quote_is_good_up_to_its_hour(story: Any, say: Any, hours: float, rule: str, bought: int) -> None:
    story.given(say.quote()).when(say.paid(2500, ours="QREF1", hours=hours))
    story.then(CreditsPurchased, rule=rule, credits=bought)


def test_another_asset_than_quoted_is_the_base_rate(story: Any, say: Any) -> None:
    story.given(say.quote()).when(say.paid(13_000, ours="QREF1", asset="KES/2"))
    story.then(CreditsPurchased, credits=100, bonus=0, rule="base_rate")
    assert not story.books.quotes["QREF1"].used


def test_a_used_quote_is_the_base_rate(story: Any, say: Any) -> None:
    story.given(say.quote(), say.paid(2500, ours="QREF1")).when(say.paid(2500, ours="QREF1", payment_id="pi_2"))
    story.then(CreditsPurchased, user_id="alice", credits=2500, bonus=0, rule="base_rate")


def test_a_quote_may_be_better_than_any_rate(story: Any, say: Any) -> None:
    story.given(say.quote(price=1, promised=5000, bonus=0)).when(say.paid(1, ours="QREF1"))
    story.then(CreditsPurchased, credits=5000).moving(
        {
            "gateway:stripe USD/2": -1,
            "platform:exchange USD/2": 1,
            "platform:exchange TFC/2": -5000,
            "wallet:alice TFC/2": 5000,
        }
    )


def test_the_quote_names_the_owner_whatever_the_gateway_signed(story: Any, say: Any) -> None:
    story.given(say.quote(to="alice")).when(say.paid(ours="QREF1", by="mallory")).then(
        CreditsPurchased, user_id="alice"
    )


def test_a_quote_is_kept_once(story: Any, say: Any) -> None:
    story.when(say.quote()).then(QuoteKept, price=2500, credits=2500, bonus=250, originator_id="quote:QREF1")
    story.when(say.quote()).then_nothing("repeated")


@pytest.mark.parametrize("change", [{"price": 1}, {"promised": 9999}, {"bonus": 0}, {"to": "mallory"}])
def test_a_quote_is_never_changed(story: Any, say: Any, change: dict[str, Any]) -> None:
    story.given(say.quote()).when(say.quote(**change)).then_refused(ReferenceConflict)


def test_a_payment_told_again_has_no_effect(story: Any, say: Any) -> None:
    story.given(say.paid()).when(say.paid()).then_nothing("repeated")
    story.when(say.paid(by=None)).then_nothing("repeated")
    story.when(say.paid(ours="LATER")).then_nothing("repeated")
    story.wallet("alice", spendable=2500)


@pytest.mark.parametrize("change", [{"received": 2501}, {"asset": "KES/2"}, {"by": "mallory"}])
def test_a_payment_told_again_otherwise_is_a_conflict(story: Any, say: Any, change: dict[str, Any]) -> None:
    story.given(say.paid()).when(say.paid(**change)).then_refused(ReferenceConflict)


def test_quoted_money_waits_for_its_quote_and_gets_it(story: Any, say: Any) -> None:
    story.when(say.paid(2500, ours="QREF1")).then(MoneyUnallocated, reason="quote_unknown")
    story.given(say.quote())
    story.when(AllocatePayment("stripe:pi_1")).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(credits=2750, bonus=250, rule="quote", reference="stripe:pi_1:allocation")
    story.moving(
        {
            "platform:unallocated USD/2": -2500,
            "platform:exchange USD/2": 2500,
            "platform:exchange TFC/2": -2500,
            "platform:promotions TFC/2": -250,
            "wallet:alice TFC/2": 2750,
        }
    )
    assert story.account("platform:unallocated") == {}


def test_whether_the_quote_had_expired_is_judged_by_when_it_was_paid(story: Any, say: Any) -> None:
    story.given(say.paid(2500, ours="QREF1", hours=2), say.quote())
    story.when(AllocatePayment("stripe:pi_1")).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(rule="expired", credits=2500)


def test_a_second_message_that_names_the_user_ends_the_wait(story: Any, say: Any) -> None:
    story.given(say.paid(by=None)).when(say.paid(by="alice")).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(user_id="alice", credits=2500).wallet("alice", spendable=2500)
    story.when(say.paid(by="alice")).then_nothing("repeated")
    story.when(say.paid(by="mallory")).then_refused(ReferenceConflict)


def test_a_second_message_that_brings_our_reference_ends_the_wait(story: Any, say: Any) -> None:
    story.given(say.quote(), say.paid(by=None))
    story.when(say.paid(by="mallory", ours="QREF1")).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(user_id="alice", credits=2750, payment_reference="QREF1")
    story.when(say.paid(by="mallory")).then_nothing("repeated")
    story.when(ReversePayment("stripe", "pi_1", 100, "USD/2")).then(PaymentReversed, payment_reference="QREF1")


def test_our_reference_is_kept_that_a_second_message_brings_before_the_quote(story: Any, say: Any) -> None:
    story.given(say.paid(by=None)).when(say.paid(by="mallory", ours="QREF1"))
    story.then(MoneyNamed, payment_reference="QREF1", originator_id="payment:stripe:pi_1", originator_version=2)
    story.when(say.paid(by=None, ours="QREF1")).then_nothing("still_unallocated")
    story.when(say.paid(by=None, ours="QREF2")).then_nothing("still_unallocated")
    story.when(say.paid(by="mallory")).then_nothing("still_unallocated")
    story.given(say.quote()).when(AllocatePayment("stripe:pi_1")).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(user_id="alice", credits=2750, bonus=250, payment_reference="QREF1")
    story.when(ReversePayment("stripe", "pi_1", 100, "USD/2")).then(PaymentReversed, payment_reference="QREF1")


def test_a_user_in_a_second_message_does_not_overrule_the_missing_quote(story: Any, say: Any) -> None:
    story.given(say.paid(by=None, ours="QREF1")).when(say.paid(by="mallory")).then_nothing("still_unallocated")
    story.when(say.paid(by="mallory", ours="QREF1")).then_nothing("still_unallocated")


def test_an_operator_allocates(story: Any, say: Any) -> None:
    story.given(say.paid(by=None)).when(AllocatePayment("stripe:pi_1", "bob"))
    story.then_all(CreditsPurchased, MoneyAllocated).wallet("bob", spendable=2500, total_purchased=2500)
    story.when(AllocatePayment("stripe:pi_1", "bob")).then_nothing("repeated")
    story.when(AllocatePayment("stripe:pi_1", "carol")).then_refused(ReferenceConflict)
    story.when(AllocatePayment("stripe:pi_1")).then_refused(ReferenceConflict)


def test_an_operator_who_names_another_than_the_quote_gives_no_bonus(story: Any, say: Any) -> None:
    story.given(say.paid(ours="QREF1"), say.quote(to="alice"))
    story.when(AllocatePayment("stripe:pi_1", "bob")).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(user_id="bob", credits=2500, bonus=0)
    assert not story.books.quotes["QREF1"].used


def test_nothing_is_allocated_where_nothing_waits(story: Any, say: Any) -> None:
    story.when(AllocatePayment("stripe:pi_1", "bob")).then_refused(NothingToAllocate)
    story.given(say.paid()).when(AllocatePayment("stripe:pi_1", "bob")).then_nothing("allocated_before")


def test_nothing_is_allocated_to_nobody_nor_without_a_rate(story: Any, say: Any) -> None:
    story.given(say.paid(by=None), say.paid(by=None, asset="XAU/4", payment_id="pi_2"))
    story.when(AllocatePayment("stripe:pi_1")).then_refused(NothingToAllocate)
    story.when(AllocatePayment("stripe:pi_2", "bob")).then_refused(NothingToAllocate)


def test_nothing_is_allocated_beyond_what_a_wallet_takes(story: Any, say: Any) -> None:
    story.given(say.paid(by=None), AdjustWallet("a-1", "bob", WALLET_MAX, "test"))
    story.when(AllocatePayment("stripe:pi_1", "bob")).then_refused(WalletLimit)


def test_a_repeat_of_money_that_its_owner_cannot_take_waits_on(story: Any, say: Any) -> None:
    story.given(say.paid(by=None), AdjustWallet("a-1", "bob", WALLET_MAX, "test"))
    story.when(say.paid(by="bob")).then_nothing("still_unallocated")


def test_only_what_is_left_of_unallocated_money_is_allocated(story: Any, say: Any) -> None:
    story.given(say.paid(2500, by=None), ReversePayment("stripe", "pi_1", 1000, "USD/2"))
    story.when(AllocatePayment("stripe:pi_1", "bob")).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(credits=1500, received=2500, refunded_before=1000)
    assert story.account("platform:unallocated") == {}


def test_nothing_is_left_of_unallocated_money_that_went_back(story: Any, say: Any) -> None:
    story.given(say.paid(2500, by=None), ReversePayment("stripe", "pi_1", 2500, "USD/2"))
    story.when(AllocatePayment("stripe:pi_1", "bob")).then_refused(NothingToAllocate)
    story.when(say.paid(2500, by="bob")).then_nothing("still_unallocated")
