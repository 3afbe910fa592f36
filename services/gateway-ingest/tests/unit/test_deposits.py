"""What becomes of a deposit while blocks come and go, and what the books are told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_ingest.domain import deposits as rules
from gateway_ingest.domain.deposits import Block, Deposit, State, Transfer, Watched
from gateway_ingest.domain.facts import Amount, Confirmed, Odd, Pending, Reading, RefundTold, content_hash

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TX = "ab" * 32
TRANSFER = Transfer(TX, "1", "0014aa", Amount(5_000, "BTC", 8))
WATCHED = Watched("0014aa", "GLREFERENCE", 3)


def block(number: int, branch: str = "a", time: datetime = NOON) -> Block:
    return Block(number, f"{branch}{number}", f"{branch}{number - 1}", time)


def new(confirmations: int = 3, *, seen_at: datetime | None = None, **transfer: object) -> Deposit:
    return rules.seen("bitcoin", replace(TRANSFER, **transfer), replace(WATCHED, confirmations=confirmations), seen_at)


def finding(deposit: Deposit) -> object:
    assert deposit.untold
    return rules.news_of(deposit).finding


def confirmed(number: int = 10, branch: str = "a") -> Deposit:
    return rules.told(rules.at_height(rules.mined(new(), block(number, branch)), number + 2))


def test_it_is_believed_after_as_many_blocks_as_were_agreed() -> None:
    first = rules.at_height(rules.mined(new(), block(10)), 10)
    assert finding(first) == Pending(f"bitcoin.{TX}.1", "unconfirmed", TRANSFER.amount, 1, 3, "GLREFERENCE")
    second = rules.at_height(rules.told(first), 11)
    assert finding(second) == Pending(f"bitcoin.{TX}.1", "unconfirmed", TRANSFER.amount, 2, 3, "GLREFERENCE")
    third = rules.at_height(rules.told(second), 12)
    assert finding(third) == Confirmed(f"bitcoin.{TX}.1", TRANSFER.amount, "GLREFERENCE")
    assert rules.news_of(third).occurred_at == NOON
    assert rules.at_height(rules.told(third), 13) == rules.told(third)


def test_what_is_in_no_block_is_never_believed() -> None:
    assert new(0).required == 1
    for agreed in (0, 1):
        waiting = rules.at_height(rules.in_pool(new(agreed)), 1_000_000)
        assert waiting.state is State.UNCONFIRMED
    assert finding(rules.at_height(rules.mined(new(0), block(10)), 10)) == Confirmed(
        f"bitcoin.{TX}.1", TRANSFER.amount, "GLREFERENCE"
    )


def test_new_bitcoins_count_only_when_they_can_be_spent() -> None:
    mined = rules.mined(new(is_coinbase=True), block(10))
    assert rules.at_height(mined, 108).state is State.UNCONFIRMED
    assert rules.at_height(mined, 109).state is State.CONFIRMED


def test_a_fork_takes_back_what_was_believed_and_gives_it_back_when_it_is_believed_again() -> None:
    gone = rules.lost(confirmed())
    payment = f"bitcoin.{TX}.1"
    assert finding(gone) == RefundTold(payment, "fork.a10", TRANSFER.amount, "succeeded", "chain fork")
    again = rules.mined(rules.told(gone), block(11, "b"))
    assert not rules.at_height(again, 12).untold
    back = rules.at_height(again, 13)
    assert finding(back) == RefundTold(payment, "fork.a10", TRANSFER.amount, "failed", "chain fork")


def test_a_chain_that_swings_back_and_forth_names_each_refund_anew() -> None:
    deposit, refunds = confirmed(), []
    for _ in range(3):
        deposit = rules.lost(deposit)
        refunds.append(deposit.fork)
        deposit = rules.told(rules.at_height(rules.mined(rules.told(deposit), block(10)), 12))
    assert refunds == ["fork.a10", "fork.a10.2", "fork.a10.3"]


def test_what_was_never_believed_is_only_withdrawn() -> None:
    seen = rules.told(rules.at_height(rules.mined(new(), block(10)), 10))
    gone = rules.lost(seen)
    assert finding(gone) == Pending(f"bitcoin.{TX}.1", "withdrawn", TRANSFER.amount, 0, 3, "GLREFERENCE")
    assert rules.lost(rules.told(gone)) == rules.told(gone)


@pytest.mark.parametrize(
    ("seen_before", "counts_from"),
    [
        (timedelta(minutes=50), NOON - timedelta(minutes=50)),
        (timedelta(hours=3), NOON),
        (timedelta(minutes=-5), NOON),
        (None, NOON),
    ],
)
def test_a_payment_counts_from_when_it_was_seen_but_not_for_ever(
    seen_before: timedelta | None, counts_from: datetime
) -> None:
    seen_at = None if seen_before is None else NOON - seen_before
    deposit = rules.at_height(rules.mined(rules.in_pool(new(seen_at=seen_at)), block(10)), 12)
    assert rules.news_of(deposit).occurred_at == counts_from


def test_where_many_blocks_are_needed_not_each_is_told() -> None:
    deposit, told = rules.mined(new(128), block(10)), []
    for height in range(10, 10 + 128):
        deposit = rules.at_height(deposit, height)
        if deposit.untold:
            told.append(deposit.told_confirmations)
            deposit = rules.told(deposit)
    assert told[0] == 1
    assert told[-1] == 128
    assert len(told) <= rules.TOLD_STEPS_MAX + 1


@pytest.mark.parametrize("units", [0, 10**38])
def test_an_amount_that_the_books_cannot_take_is_odd(units: int) -> None:
    deposit = rules.at_height(rules.mined(new(amount=Amount(units, "DAI", 18)), block(10)), 12)
    assert finding(deposit) == Odd("amount_out_of_range")


def test_another_amount_is_another_payment_once_the_books_know_the_first() -> None:
    more = replace(TRANSFER, amount=Amount(5_001, "BTC", 8))
    assert rules.is_same_payment(new(), more)
    assert rules.is_same_payment(rules.lost(confirmed()), TRANSFER)
    assert not rules.is_same_payment(rules.lost(confirmed()), more)


MOVES = st.lists(st.sampled_from(["mine", "grow", "lose", "pool"]), max_size=40)


@given(MOVES, st.integers(0, 9))
def test_whatever_the_chain_does_the_books_hold_what_is_believed(moves: list[str], required: int) -> None:
    deposit, height, news = new(required), 10, list[Reading]()
    for number, move in enumerate(moves):
        height += 1
        deposit = moved(deposit, move, height, branch=str(number % 3))
        if deposit.untold:
            news.append(rules.news_of(deposit))
            deposit = rules.told(deposit)
        assert credited(news) == (deposit.state is State.CONFIRMED)
    told = {reading.event_id: content_hash(reading) for reading in news}
    assert len(told) == len(news), "two different news under one id: the second would be lost"


def moved(deposit: Deposit, move: str, height: int, branch: str) -> Deposit:
    match move:
        case "mine" if deposit.block_hash is None:
            return rules.at_height(rules.mined(deposit, block(height, branch)), height)
        case "lose":
            return rules.lost(deposit)
        case "pool" if deposit.state is State.WITHDRAWN:
            return rules.in_pool(deposit)
        case _:
            return rules.at_height(deposit, height)


def credited(news: list[Reading]) -> bool:
    """As the ledger understands it: credited once, less every refund that did not fail."""
    confirmations = [one for one in news if isinstance(one.finding, Confirmed)]
    assert len(confirmations) <= 1
    refunds: dict[str, str] = {}
    for one in news:
        if isinstance(one.finding, RefundTold):
            assert confirmations, "a refund of what was never credited"
            refunds[one.finding.refund_id] = one.finding.state
    taken = [refund for refund, state in refunds.items() if state == "succeeded"]
    assert len(taken) <= 1
    return bool(confirmations) and not taken
