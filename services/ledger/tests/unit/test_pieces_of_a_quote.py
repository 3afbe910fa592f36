"""A quote is filled by all that comes for it: pieces, surplus, coins without a rate, and what comes too late."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.commands import AllocatePayment, CreditPayment, ReversePayment, Worth
from ledger.domain.events import CreditsPurchased, MoneyAllocated, MoneyUnallocated, PaymentReversed
from ledger.domain.refusals import NothingToAllocate

TOO_LATE = 2


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([2500], [(2750, 250, "quote")]),
        ([2499], [(2499, 0, "underpaid")]),
        ([2600], [(2850, 250, "overpaid")]),
        ([1000, 1500], [(1000, 0, "underpaid"), (1750, 250, "topped_up")]),
        ([1000, 1600], [(1000, 0, "underpaid"), (1850, 250, "overpaid")]),
        ([1, 2500], [(1, 0, "underpaid"), (2750, 250, "quote")]),
        ([800, 800, 900], [(800, 0, "underpaid"), (800, 0, "underpaid"), (1150, 250, "topped_up")]),
        ([1000, 1500, 70], [(1000, 0, "underpaid"), (1750, 250, "topped_up"), (70, 0, "base_rate")]),
    ],
)
def test_pieces_of_an_asset_with_a_rate(
    story: Any, say: Any, pieces: list[int], expected: list[tuple[int, int, str]]
) -> None:
    story.given(say.quote())
    for number, (piece, (credits_bought, bonus, rule)) in enumerate(zip(pieces, expected, strict=True)):
        story.when(say.paid(piece, ours="QREF1", payment_id=f"pi_{number}"))
        story.then(CreditsPurchased, credits=credits_bought, bonus=bonus, rule=rule, user_id="alice")
    filled = story.books.quotes["QREF1"]
    assert (filled.received, filled.used) == (sum(pieces), sum(pieces) >= 2500)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([700], [(1000, "quote")]),
        ([100], [(142, "underpaid")]),
        ([100, 100, 500], [(142, "underpaid"), (143, "underpaid"), (715, "topped_up")]),
    ],
)
def test_pieces_of_an_asset_without_a_rate_buy_at_the_quotes_own(
    story: Any, say: Any, pieces: list[int], expected: list[tuple[int, str]]
) -> None:
    """1000 for 700: 142.857… for each hundred, of which no piece but the last loses anything."""
    story.given(say.quote(price=700, promised=1000, bonus=0, asset="XAU/4"))
    for number, (piece, (bought, rule)) in enumerate(zip(pieces, expected, strict=True)):
        story.when(say.paid(piece, ours="QREF1", payment_id=f"pi_{number}", asset="XAU/4"))
        story.then(CreditsPurchased, credits=bought, rule=rule)


@pytest.mark.parametrize(
    ("earlier", "piece", "bought", "rule"),
    [
        ([], 800, 1000 + 10, "overpaid"),
        ([], 1400, 1000 + 40, "overpaid"),
        ([], 70_000, 1000 + 80, "overpaid"),
        ([100], 1200, 858 + 40, "overpaid"),
        ([100, 100], 1200, 715 + 47, "overpaid"),
        ([700], 100, 81, "worth"),
        ([700], 701, 81, "worth"),
        ([100, 600], 1, 81, "worth"),
    ],
)
def test_what_is_beyond_a_quote_buys_by_its_worth_alone(
    story: Any, say: Any, earlier: list[int], piece: int, bought: int, rule: str
) -> None:
    """The piece is worth 81 credits, when 700 were quoted at 1000: the market fell. However much comes beyond the
    price, its share of them is rounded down; without its worth the piece waits."""
    quote = say.quote(price=700, promised=1000, bonus=0, asset="XAU/4")
    story.given(quote, *(paid_in_gold(say, paid, f"pi_{number}") for number, paid in enumerate(earlier)))
    story.when(paid_in_gold(say, piece, "pi_9")).then_all(MoneyUnallocated).saying(reason="no_rate")
    assert story.books.quotes["QREF1"].received == sum(earlier), "what waits fills nothing yet"
    story.when(AllocatePayment("stripe:pi_9", worth=Worth(81, "XAU/4"))).then_refused(NothingToAllocate)
    story.when(AllocatePayment("stripe:pi_9", worth=Worth(81, "USD/2"))).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(credits=bought, bonus=0, rule=rule)


def paid_in_gold(say: Any, units: int, payment_id: str, worth: int | None = None) -> CreditPayment:
    told = None if worth is None else Worth(worth, "USD/2")
    paid: CreditPayment = say.paid(units, ours="QREF1", payment_id=payment_id, asset="XAU/4", worth=told)
    return paid


def test_a_bonus_quote_that_is_overpaid_moves_this(story: Any, say: Any) -> None:
    story.given(say.quote(price=700, promised=1000, bonus=50, asset="XAU/4"))
    story.when(paid_in_gold(say, 900, "pi_1", worth=450)).then(CreditsPurchased, credits=1150, bonus=50)
    story.moving(
        {
            "gateway:stripe XAU/4": -900,
            "platform:exchange XAU/4": 900,
            "platform:exchange TFC/2": -1100,
            "platform:promotions TFC/2": -50,
            "wallet:alice TFC/2": 1150,
        }
    )
    story.when(ReversePayment("stripe", "pi_1", 450, "XAU/4")).then(PaymentReversed, credits_taken=575, bonus_taken=25)
    story.when(ReversePayment("stripe", "pi_1", 900, "XAU/4")).then(PaymentReversed, credits_taken=575, bonus_taken=25)
    story.when(paid_in_gold(say, 200, "pi_2", worth=100)).then(CreditsPurchased, credits=100, rule="worth")


def test_wallets_rounding_does_not_wait(story: Any, say: Any) -> None:
    """A credit's smallest unit is quoted at ten of gold's."""
    story.given(say.quote(price=7000, promised=700, bonus=20, asset="XAU/4"))
    story.when(paid_in_gold(say, 7010, "pi_1")).then_all(MoneyUnallocated)
    story.when(paid_in_gold(say, 7009, "pi_2")).then(CreditsPurchased, credits=720, bonus=20, rule="overpaid")
    story.when(paid_in_gold(say, 9, "pi_3")).then_all(MoneyUnallocated)


def test_a_quote_of_a_bonus_alone_takes_nothing_for_rounding(story: Any, say: Any) -> None:
    story.given(say.quote(price=7000, promised=0, bonus=20, asset="XAU/4"))
    story.when(paid_in_gold(say, 7001, "pi_1")).then_all(MoneyUnallocated)


@given(
    price=st.integers(1, 10_000),
    promised=st.integers(1, 10_000),
    bonus=st.integers(0, 1_000),
    pieces=st.lists(st.tuples(st.integers(1, 30_000), st.integers(1, 10_000)), min_size=1, max_size=6),
    is_told_at_once=st.booleans(),
)
def test_whatever_comes_the_quote_is_given_for_its_price_only(
    new_story: Any,
    say: Any,
    price: int,
    promised: int,
    bonus: int,
    pieces: list[tuple[int, int]],
    is_told_at_once: bool,
) -> None:
    """And for the rest its worth, never more; sent back whole, nothing is left of it."""
    story = new_story()
    story.given(say.quote(price=price, promised=promised, bonus=bonus, asset="XAU/4"))
    came, given_for, worth_of_surplus = 0, 0, Fraction(0)
    for number, (units, worth) in enumerate(pieces):
        name = f"pi_{number}"
        story.settle(paid_in_gold(say, units, name, worth if is_told_at_once else None))
        if story.books.payment(f"stripe:{name}").user_id is None:
            story.settle(AllocatePayment(f"stripe:{name}", worth=Worth(worth, "USD/2")))
        came += units
        given_for += story.books.payment(f"stripe:{name}").credits
        worth_of_surplus += Fraction(worth * min(units, max(0, came - price)), units)
    whole = promised + bonus if came >= price else promised * came // price
    # Each piece is rounded down, and of the one that reaches the price less than a unit may count as nothing.
    rounding = len(pieces) + max((Fraction(worth * price, units * promised) for units, worth in pieces), default=0)
    assert whole + worth_of_surplus - rounding <= given_for <= whole + worth_of_surplus
    for number, (units, _) in enumerate(pieces):
        story.settle(ReversePayment("stripe", f"pi_{number}", units, "XAU/4"))
    left = [story.account(name) for name in ("wallet:alice", "platform:exchange", "platform:promotions")]
    assert not any(amount for balances in left for amount in balances.values())


def test_what_waited_unallocated_counts_as_pieces(story: Any, say: Any) -> None:
    story.given(say.paid(1000, ours="QREF1"), say.quote(), say.paid(1500, ours="QREF1", payment_id="pi_2"))
    story.saying(credits=1500, rule="underpaid")
    story.when(AllocatePayment("stripe:pi_1")).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(credits=1250, bonus=250, rule="topped_up")


def test_late_pieces_do_not_fill_it(story: Any, say: Any) -> None:
    story.given(say.quote(), say.paid(2499, ours="QREF1"))
    story.when(say.paid(1, ours="QREF1", payment_id="pi_2", hours=TOO_LATE)).then(CreditsPurchased, rule="expired")
    story.when(say.paid(1, ours="QREF1", payment_id="pi_3")).then(CreditsPurchased, credits=251, rule="topped_up")


def test_pieces_of_another_asset_do_not_fill_it(story: Any, say: Any) -> None:
    story.given(say.quote(), say.paid(13_000, ours="QREF1", payment_id="pi_2", asset="KES/2"))
    assert story.books.quotes["QREF1"].received == 0
    story.when(say.paid(2500, ours="QREF1")).then(CreditsPurchased, credits=2750, rule="quote")


def test_what_an_operator_gave_to_another_does_not_fill_it(story: Any, say: Any) -> None:
    story.given(say.paid(ours="QREF1"), say.quote(), AllocatePayment("stripe:pi_1", "bob"))
    assert story.books.quotes["QREF1"].received == 0


def test_a_quote_worse_than_the_rate_takes_nothing_back(story: Any, say: Any) -> None:
    story.given(say.quote(promised=2000, bonus=10), say.paid(2400, ours="QREF1"))
    story.when(say.paid(100, ours="QREF1", payment_id="pi_2")).then(CreditsPurchased, credits=10, bonus=10)


@pytest.mark.parametrize(
    ("kept", "hours", "asset", "rule", "bought"),
    [
        (True, TOO_LATE, "USD/2", "expired", 2500),
        (True, TOO_LATE, "XAU/4", "worth", 4321),
        (False, 0, "XAU/4", "worth", 4321),
        (False, 0, "USD/2", "base_rate", 2500),
        (True, 0, "ETH/18", "worth", 4321),
    ],
)
def test_worth_is_the_last_resort(
    story: Any, say: Any, kept: bool, hours: float, asset: str, rule: str, bought: int
) -> None:
    if kept:
        story.given(say.quote(asset=asset if asset != "ETH/18" else "XAU/4"))
    ours = "QREF1" if kept else None
    story.when(say.paid(2500, asset=asset, hours=hours, ours=ours, worth=Worth(4321, "USD/2")))
    story.then(CreditsPurchased, credits=bought, bonus=0, rule=rule)


@pytest.mark.parametrize("worth", [None, Worth(4321, "XAU/4")])
def test_without_any_rate_it_waits(story: Any, say: Any, worth: Worth | None) -> None:
    story.given(say.quote(asset="XAU/4"))
    story.when(say.paid(2500, asset="XAU/4", hours=TOO_LATE, ours="QREF1", worth=worth))
    story.then(MoneyUnallocated, reason="no_rate")


def test_what_waited_is_worth_what_it_was_told_to_be(story: Any, say: Any) -> None:
    worth = Worth(4000, "USD/2")
    story.given(say.paid(2500, asset="XAU/4", hours=TOO_LATE, ours="QREF1", worth=worth), say.quote(asset="XAU/4"))
    story.given(ReversePayment("stripe", "pi_1", 500, "XAU/4"))
    story.when(AllocatePayment("stripe:pi_1")).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(credits=3200, rule="worth")


def test_a_later_message_may_bring_the_worth(story: Any, say: Any) -> None:
    story.given(say.paid(2500, asset="XAU/4"))
    story.when(say.paid(2500, asset="XAU/4")).then_nothing("still_unallocated")
    story.when(say.paid(2500, asset="XAU/4", worth=Worth(4000, "USD/2"))).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(credits=4000, rule="worth")
