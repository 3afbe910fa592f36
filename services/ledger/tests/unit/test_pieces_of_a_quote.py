"""A quote is filled by all that comes for it: pieces, surplus, coins without a rate, and what comes too late."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.commands import AllocatePayment, ReversePayment, Worth
from ledger.domain.events import CreditsPurchased, MoneyAllocated, MoneyUnallocated

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
        ([800], [(1142, "overpaid")]),
        ([700, 100, 100], [(1000, "quote"), (142, "overpaid"), (143, "overpaid")]),
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


@pytest.mark.parametrize(("earlier", "piece"), [([], 1401), ([700], 701), ([100], 1301)])
def test_a_small_quote_is_no_option_on_any_amount(story: Any, say: Any, earlier: list[int], piece: int) -> None:
    story.given(say.quote(price=700, promised=1000, bonus=0, asset="XAU/4"))
    for number, paid in enumerate(earlier):
        story.given(say.paid(paid, ours="QREF1", payment_id=f"pi_{number}", asset="XAU/4"))
    story.when(say.paid(piece, ours="QREF1", payment_id="pi_9", asset="XAU/4")).then_all(MoneyUnallocated)
    worth = Worth(900, "USD/2")
    story.when(AllocatePayment("stripe:pi_9", worth=worth)).then_all(CreditsPurchased, MoneyAllocated)
    story.saying(credits=900, bonus=0, rule="worth")


def test_twice_a_quote_is_taken_at_its_rate(story: Any, say: Any) -> None:
    story.given(say.quote(price=700, promised=1000, bonus=0, asset="XAU/4"))
    story.when(say.paid(1400, ours="QREF1", asset="XAU/4")).then(CreditsPurchased, credits=2000, rule="overpaid")


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
