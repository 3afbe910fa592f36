"""Credits that go out: holds and what becomes of them, transfers, adjustments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest

from ledger.domain.commands import AdjustWallet, CaptureHold, HoldCredits, ReturnHold, ReversePayment, Transfer
from ledger.domain.decision import WALLET_MAX
from ledger.domain.events import (
    CreditsAdjusted,
    CreditsHeld,
    CreditsReceived,
    CreditsRefunded,
    CreditsSent,
    HoldCaptured,
    HoldReleased,
)
from ledger.domain.refusals import (
    Contradiction,
    InsufficientFunds,
    ReferenceConflict,
    SameWallet,
    TooEarly,
    WalletLimit,
)

HOLD = HoldCredits("alice", "d-1", "web", "Web server", 1000)
QUEUED = CaptureHold("d-1", 100, 900)
FAILED = ReturnHold("d-1")


def test_a_hold_sets_credits_aside(story: Any, say: Any) -> None:
    story.given(say.paid(2500)).when(HOLD)
    story.then(CreditsHeld, spendable=1500, held=1000, service_id="web", service_name="Web server")
    story.moving({"wallet:alice TFC/2": -1000, "wallet:alice:held TFC/2": 1000})


def test_everything_can_be_held_and_not_one_more(story: Any, say: Any) -> None:
    story.given(say.paid(999)).when(HOLD).then_refused(InsufficientFunds, required=1000, available=999, version=1)
    story.given(say.paid(1, payment_id="pi_2")).when(HOLD).then(CreditsHeld, spendable=0)
    other = HoldCredits("alice", "d-2", "web", "Web server", 1)
    story.when(other).then_refused(InsufficientFunds, required=1, available=0, version=3)


def test_a_wallet_without_events_has_no_cover(story: Any) -> None:
    story.when(HOLD).then_refused(InsufficientFunds, required=1000, available=0, version=0)


def test_a_deployment_is_held_for_once(story: Any, say: Any) -> None:
    story.given(say.paid(2500), HOLD).when(HOLD).then_nothing("repeated")
    story.when(HoldCredits("alice", "d-1", "web", "Web server", 999)).then_refused(ReferenceConflict)
    story.when(HoldCredits("bob", "d-1", "web", "Web server", 1000)).then_refused(ReferenceConflict)


def test_a_capture_splits_the_hold(story: Any, say: Any) -> None:
    story.given(say.paid(2500), HOLD).when(QUEUED).then(HoldCaptured, spendable=1500, held=0, amount=1000)
    story.moving({"wallet:alice:held TFC/2": -1000, "platform:commission TFC/2": 100, "grid:payable TFC/2": 900})
    story.wallet("alice", total_spent=1000, total_refunded=0)


@pytest.mark.parametrize(("commission", "grid"), [(0, 1000), (1000, 0)])
def test_a_part_may_be_nothing(story: Any, say: Any, commission: int, grid: int) -> None:
    story.given(say.paid(2500), HOLD).when(CaptureHold("d-1", commission, grid)).then(HoldCaptured)
    assert story.account("platform:commission") == ({"TFC/2": commission} if commission else {})


@pytest.mark.parametrize(("commission", "grid"), [(100, 899), (100, 901), (-1, 1001), (1001, -1), (0, 0)])
def test_parts_that_are_not_the_hold_contradict(story: Any, say: Any, commission: int, grid: int) -> None:
    story.given(say.paid(2500), HOLD).when(CaptureHold("d-1", commission, grid)).then_refused(Contradiction)


def test_a_release_gives_the_hold_back(story: Any, say: Any) -> None:
    story.given(say.paid(2500), HOLD).when(FAILED).then(HoldReleased, spendable=2500, held=0, amount=1000)
    story.moving({"wallet:alice:held TFC/2": -1000, "wallet:alice TFC/2": 1000})
    story.wallet("alice", total_spent=0, total_refunded=0)


def test_a_refund_takes_from_where_the_capture_put_it(story: Any, say: Any) -> None:
    story.given(say.paid(2500), HOLD, QUEUED).when(FAILED).then(CreditsRefunded, spendable=2500, commission=100)
    story.moving({"platform:commission TFC/2": -100, "grid:payable TFC/2": -900, "wallet:alice TFC/2": 1000})
    story.wallet("alice", total_spent=1000, total_refunded=1000)


@pytest.mark.parametrize("command", [QUEUED, FAILED])
def test_what_comes_before_its_hold_is_early(story: Any, command: Any) -> None:
    story.when(command).then_refused(TooEarly, reference="deployment:d-1:charge")


def test_another_split_of_what_was_captured_is_a_conflict(story: Any, say: Any) -> None:
    story.given(say.paid(2500), HOLD, QUEUED).when(CaptureHold("d-1", 200, 800)).then_refused(ReferenceConflict)


def test_a_hold_is_captured_although_a_reversal_made_a_debt(story: Any, say: Any) -> None:
    story.given(say.paid(1000), HOLD, ReversePayment("stripe", "pi_1", 1000, "USD/2"))
    story.wallet("alice", spendable=-1000, held=1000, debt=1000)
    story.when(QUEUED).then(HoldCaptured, spendable=-1000, held=0)
    story.when(FAILED).then(CreditsRefunded, spendable=0, held=0)


def lawful_end(arrivals: Sequence[Any]) -> tuple[str, int]:
    """What becomes of a hold, by the order in which the messages about it count: early ones count once it exists."""
    early = arrivals[: arrivals.index(HOLD)]
    late = arrivals[arrivals.index(HOLD) + 1 :]
    state = "held"
    for command in (*early, *late):
        if command is QUEUED and state == "held":
            state = "captured"
        elif command is FAILED and state in ("held", "captured"):
            state = {"held": "released", "captured": "refunded"}[state]
    return state, {"held": 1500, "captured": 1500, "released": 2500, "refunded": 2500}[state]


@pytest.mark.parametrize("order", sorted(set(permutations("HQQQFFF")), key="".join), ids="".join)
def test_a_hold_has_one_life_in_every_order(story: Any, say: Any, order: tuple[str, ...]) -> None:
    """The hold, queued three times, failed three times: whatever comes early waits, and whatever repeats is nothing."""
    arrivals = [{"H": HOLD, "Q": QUEUED, "F": FAILED}[letter] for letter in order]
    story.given(say.paid(2500))
    for command in with_waiting(story, arrivals):
        if command is QUEUED:
            story.wallet("alice", total_spent=1000 if state_of(story) in ("captured", "refunded") else 0)
    assert (state_of(story), story.books.wallet("alice").spendable) == lawful_end(arrivals)
    assert story.books.wallet("alice").held == (1000 if state_of(story) == "held" else 0)
    taken = story.account("platform:commission"), story.account("grid:payable")
    assert taken == (({"TFC/2": 100}, {"TFC/2": 900}) if state_of(story) == "captured" else ({}, {}))
    assert story.books.wallet("alice").version == len(story.log) <= 4


def state_of(story: Any) -> str:
    return str(story.books.charges["d-1"].state)


def with_waiting(story: Any, arrivals: Sequence[Any]) -> Any:
    """Give each command when it comes; early ones again as soon as the hold exists, as the engine does."""
    waiting: list[Any] = []
    for command in arrivals:
        if "d-1" not in story.books.charges and command is not HOLD:
            story.when(command).then_refused(TooEarly)
            waiting.append(command)
            continue
        story.settle(command)
        yield command
        while waiting:
            story.settle(waiting.pop(0))


def test_a_transfer_moves_credits(story: Any, say: Any) -> None:
    story.given(say.paid(2500)).when(Transfer("t-1", "alice", "bob", 700)).then_all(CreditsSent, CreditsReceived)
    story.moving({"wallet:alice TFC/2": -700, "wallet:bob TFC/2": 700})
    story.wallet("alice", spendable=1800, version=2).wallet("bob", spendable=700, version=1, total_purchased=0)


def test_a_transfer_happens_once(story: Any, say: Any) -> None:
    story.given(say.paid(2500), Transfer("t-1", "alice", "bob", 700))
    story.when(Transfer("t-1", "alice", "bob", 700)).then_nothing("repeated")
    story.when(Transfer("t-1", "alice", "bob", 701)).then_refused(ReferenceConflict)
    story.when(Transfer("t-1", "alice", "carol", 700)).then_refused(ReferenceConflict)


def test_a_transfer_needs_cover_and_another_wallet(story: Any, say: Any) -> None:
    story.given(say.paid(100))
    story.when(Transfer("t-1", "alice", "bob", 101)).then_refused(InsufficientFunds, required=101, available=100)
    story.when(Transfer("t-1", "alice", "alice", 1)).then_refused(SameWallet)


def test_held_credits_cannot_be_transferred(story: Any, say: Any) -> None:
    story.given(say.paid(1000), HOLD)
    story.when(Transfer("t-1", "alice", "bob", 1)).then_refused(InsufficientFunds, available=0)


def test_nobody_is_given_more_than_a_wallet_takes(story: Any) -> None:
    story.given(AdjustWallet("a-1", "alice", WALLET_MAX, "test"), AdjustWallet("a-2", "bob", 1, "test"))
    story.when(AdjustWallet("a-3", "alice", 1, "test")).then_refused(WalletLimit)
    story.when(Transfer("t-1", "bob", "alice", 1)).then_refused(WalletLimit)


def test_an_operator_gives_and_takes(story: Any) -> None:
    story.when(AdjustWallet("a-1", "alice", 500, "goodwill")).then(CreditsAdjusted, spendable=500, reason="goodwill")
    story.moving({"platform:adjustments TFC/2": -500, "wallet:alice TFC/2": 500})
    story.when(AdjustWallet("a-2", "alice", -501, "mistake")).then_refused(
        InsufficientFunds, required=501, available=500
    )
    story.when(AdjustWallet("a-2", "alice", -500, "mistake")).then(CreditsAdjusted, spendable=0, amount=-500)
    assert story.account("platform:adjustments") == {}


def test_an_adjustment_happens_once(story: Any) -> None:
    story.given(AdjustWallet("a-1", "alice", 500, "goodwill"))
    story.when(AdjustWallet("a-1", "alice", 500, "goodwill")).then_nothing("repeated")
    story.when(AdjustWallet("a-1", "alice", 501, "goodwill")).then_refused(ReferenceConflict)


def test_a_debt_can_be_settled_by_an_operator(story: Any, say: Any) -> None:
    story.given(say.paid(1000), Transfer("t-1", "alice", "bob", 1000), ReversePayment("stripe", "pi_1", 1000, "USD/2"))
    story.when(AdjustWallet("a-1", "alice", -1, "mistake")).then_refused(InsufficientFunds, available=0)
    story.when(AdjustWallet("a-1", "alice", 1000, "settled")).then(CreditsAdjusted, spendable=0)
