"""What holds for any sequence of commands, and the arithmetic of conversion and reversal for any amounts."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.commands import (
    AdjustWallet,
    AllocatePayment,
    BookFee,
    CaptureHold,
    CreditPayment,
    HoldCredits,
    KeepQuote,
    ReportDispute,
    ReportRefund,
    ReturnHold,
    ReversePayment,
    Transfer,
    Worth,
)
from ledger.domain.conversion import CreditTerms, credits_given
from ledger.domain.deciding import apply, decide
from ledger.domain.decision import WALLET_MAX, Decision, wallet_event
from ledger.domain.events import EVENT_TYPES, CreditsHeld, PaymentReversed
from ledger.domain.refusals import Refusal
from ledger.domain.states import Books, Quote, Wallet

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
USERS = st.sampled_from(["alice", "bob", "carol"])
# Few names, so that repeats, conflicts and reversals of the same payment are the rule; amounts of all sizes.
AMOUNTS = st.one_of(st.integers(1, 50), st.integers(1, 5_000), st.integers(1, 2 * WALLET_MAX))
PAYMENTS = st.sampled_from(["pi_1", "pi_2", "pi_3"])
OURS = st.none() | st.sampled_from(["Q1", "Q2"])
ASSETS = st.sampled_from(["USD/2", "USD/2", "KES/2", "XAU/4"])
DEPLOYMENTS = st.sampled_from(["d-1", "d-2"])
TIMES = st.sampled_from([NOON, NOON + 2 * HOUR])
COMMANDS = st.one_of(
    st.builds(CreditPayment, st.just("stripe"), PAYMENTS, AMOUNTS, ASSETS, TIMES, st.none() | USERS, OURS),
    st.builds(
        CreditPayment,
        st.just("stripe"),
        PAYMENTS,
        AMOUNTS,
        ASSETS,
        TIMES,
        st.none() | USERS,
        OURS,
        st.builds(Worth, AMOUNTS, ASSETS),
    ),
    st.builds(
        KeepQuote,
        st.sampled_from(["Q1", "Q2"]),
        USERS,
        st.just("stripe"),
        AMOUNTS,
        st.sampled_from(["USD/2", "XAU/4"]),
        AMOUNTS,
        st.integers(0, 500),
        st.just(NOON + HOUR),
    ),
    st.builds(AllocatePayment, PAYMENTS.map("stripe:{}".format), st.none() | USERS),
    st.builds(ReversePayment, st.just("stripe"), PAYMENTS, AMOUNTS, ASSETS),
    st.builds(
        ReportRefund,
        st.just("stripe"),
        PAYMENTS,
        st.sampled_from(["re_1", "re_2"]),
        AMOUNTS,
        ASSETS,
        st.sampled_from(["pending", "succeeded", "failed"]),
    ),
    st.builds(
        ReportDispute,
        st.just("stripe"),
        PAYMENTS,
        st.sampled_from(["dp_1", "dp_2"]),
        st.sampled_from(["opened", "won", "lost"]),
        AMOUNTS,
        ASSETS,
    ),
    st.builds(BookFee, st.just("stripe"), PAYMENTS, st.sampled_from(["fee_1", "fee_2"]), AMOUNTS, ASSETS),
    st.builds(HoldCredits, USERS, DEPLOYMENTS, st.just("web"), st.just("Web"), st.just(100) | AMOUNTS),
    st.builds(CaptureHold, DEPLOYMENTS, st.integers(0, 30), st.integers(70, 100)),
    st.builds(CaptureHold, DEPLOYMENTS, st.just(10), st.just(90)),
    st.builds(ReturnHold, DEPLOYMENTS),
    st.builds(Transfer, st.sampled_from(["t-1", "t-2", "t-3"]), USERS, USERS, AMOUNTS),
    st.builds(
        AdjustWallet, st.sampled_from(["a-1", "a-2", "a-3"]), USERS, AMOUNTS | AMOUNTS.map(int.__neg__), st.just("test")
    ),
)


def payer(command: Any) -> str | None:
    """Who must have cover for the command."""
    if isinstance(command, HoldCredits):
        return command.user_id
    if isinstance(command, Transfer):
        return command.from_user_id
    if isinstance(command, AdjustWallet) and command.amount < 0:
        return command.user_id
    return None


@settings(max_examples=300, deadline=None)
@given(commands=st.lists(COMMANDS, max_size=25))
def test_any_sequence_keeps_the_books(new_story: Any, commands: list[Any]) -> None:
    """The story itself holds after every step: entries balance, streams have no gaps, wallets are their events and
    their postings, refusals leave no trace, every event has just its fields."""
    story = new_story()
    for command in commands:
        try:
            story.settle(command)
        except Refusal:
            story.unanswered()
            continue
        paid_by = payer(command)
        if paid_by is not None and story.made_something:
            assert story.books.wallet(paid_by).spendable >= 0
        for wallet in story.books.wallets.values():
            assert wallet.held >= 0
            assert abs(wallet.spendable) <= WALLET_MAX
    total = sum(wallet.held for wallet in story.books.wallets.values())
    assert total == sum(charge.amount for charge in story.books.charges.values() if charge.state == "held")


@settings(max_examples=300, deadline=None)
@given(commands=st.lists(COMMANDS, max_size=25))
def test_any_sequence_told_twice_is_told_once(new_story: Any, commands: list[Any]) -> None:
    """At once: whatever was accepted has no effect, or is refused, when it comes again."""
    story = new_story()
    for command in commands:
        for already_told in (False, True):
            try:
                story.settle(command)
            except Refusal:
                story.unanswered()
                continue
            assert not (already_told and story.made_something), command


def test_every_kind_of_event_has_just_the_fields_of_its_class(new_story: Any, say: Any) -> None:
    story = new_story().given(
        say.paid(5000),
        say.quote(),
        HoldCredits("alice", "d-1", "web", "Web", 100),
        CaptureHold("d-1", 10, 90),
        ReturnHold("d-1"),
        HoldCredits("alice", "d-2", "web", "Web", 100),
        ReturnHold("d-2"),
        Transfer("t-1", "alice", "bob", 5),
        AdjustWallet("a-1", "bob", 5, "test"),
        ReversePayment("stripe", "pi_1", 1, "USD/2"),
        say.paid(100, by=None, payment_id="pi_2"),
        ReversePayment("stripe", "pi_2", 50, "USD/2"),
        ReportDispute("stripe", "pi_2", "dp_1", "opened", 20, "USD/2"),
        ReportRefund("stripe", "pi_2", "re_1", 80, "USD/2", "pending"),
        ReportRefund("stripe", "pi_2", "re_1", 80, "USD/2", "failed"),
        AllocatePayment("stripe:pi_2", "bob"),
        say.paid(100, by=None, payment_id="pi_3"),
        say.paid(100, by=None, payment_id="pi_3", ours="QREF9"),
        ReportDispute("stripe", "pi_2", "dp_1", "won", 20, "USD/2"),
        ReportDispute("stripe", "pi_2", "dp_2", "lost", 20, "USD/2"),
        ReportRefund("stripe", "pi_1", "re_1", 1, "USD/2", "pending"),
        ReportRefund("stripe", "pi_1", "re_1", 1, "USD/2", "failed"),
        BookFee("stripe", "pi_1", "fee_1", 103, "USD/2"),
    )
    assert {type(event) for event in story.log} == set(EVENT_TYPES)
    for event in story.log:
        told = vars(event)
        assert set(told) == {field.name for field in fields(event)}
        assert type(event)(**told) == event


def test_a_missing_detail_would_be_seen() -> None:
    event = wallet_event(CreditsHeld, Wallet("alice"), "r", (), amount=1)
    assert set(vars(event)) != {field.name for field in fields(CreditsHeld)}


RATES = st.builds(Fraction, st.integers(1, 10_000), st.integers(1, 10_000))


@given(rate=RATES, first=st.integers(0, 10**15), second=st.integers(0, 10**15))
def test_credits_never_exceed_what_was_paid_for(rate: Fraction, first: int, second: int) -> None:
    terms = CreditTerms("TFC/2", {"X/2": rate})
    bought = [credits_given(terms, "X/2", paid, NOON, None) for paid in (first, second, first + second)]
    one, other, both = [given.credits if given else -1 for given in bought]
    assert one <= first * rate < one + 1
    assert one + other <= both <= one + other + 1


@given(
    rate=RATES,
    price=st.integers(1, 10**9),
    promised=st.integers(0, 10**9),
    bonus=st.integers(0, 10**6),
    received=st.integers(1, 2 * 10**9),
    late=st.booleans(),
    used=st.booleans(),
)
def test_a_quote_is_given_whole_or_not_at_all(
    rate: Fraction, price: int, promised: int, bonus: int, received: int, late: bool, used: bool
) -> None:
    terms = CreditTerms("TFC/2", {"X/2": rate})
    quote = Quote("Q1", "alice", price, "X/2", promised, bonus, NOON, used)
    given = credits_given(terms, "X/2", received, NOON + HOUR if late else NOON, quote)
    assert given is not None
    if late or used or received < price:
        assert (given.credits, given.bonus) == (int(received * rate // 1), 0)
    else:
        assert given.credits == promised + bonus + int((received - price) * rate // 1)
        assert given.bonus == bonus
    assert (given.rule == "quote") == (not late and not used and received == price)


@settings(deadline=None)
@given(
    received=st.integers(1, 10_000),
    price=st.integers(1, 10_000),
    promised=st.integers(0, 20_000),
    bonus=st.integers(0, 3_000),
    targets=st.lists(st.integers(1, 12_000), max_size=12),
    unallocated_refund=st.none() | st.integers(1, 9_999),
)
def test_partial_reversals_sum_to_the_whole(
    terms: CreditTerms,
    received: int,
    price: int,
    promised: int,
    bonus: int,
    targets: list[int],
    unallocated_refund: int | None,
) -> None:
    """Whatever the partial refunds, a full one brings everything back, and never more than was given."""
    books = Books()
    quote = KeepQuote("Q1", "alice", "stripe", price, "USD/2", promised, bonus, NOON)
    paid = CreditPayment("stripe", "pi_1", received, "USD/2", NOON, None, "Q1")
    before = [quote, paid]
    if unallocated_refund is not None:
        before = [paid, ReversePayment("stripe", "pi_1", unallocated_refund, "USD/2"), quote]
    for command in before:
        take(books, terms, command)
    if unallocated_refund is not None and unallocated_refund < received:
        take(books, terms, AllocatePayment("stripe:pi_1"))
    given = books.wallet("alice").total_purchased
    taken = [event for total in (*targets, received) for event in reversed_by(books, terms, total)]
    assert sum(event.credits_taken for event in taken) == given
    payment = books.payment("stripe:pi_1")
    assert payment is not None
    assert (payment.credits_taken, payment.bonus_taken) == (payment.credits, payment.bonus)
    assert books.wallet("alice").spendable == 0


def take(books: Books, terms: CreditTerms, command: Any) -> Decision:
    decision = decide(books, terms, command)
    apply(books, command, decision)
    return decision


def reversed_by(books: Books, terms: CreditTerms, total: int) -> list[PaymentReversed]:
    decision = take(books, terms, ReversePayment("stripe", "pi_1", total, "USD/2"))
    made = [event for event in decision.events if isinstance(event, PaymentReversed)]
    assert all(event.credits_taken >= 0 and event.bonus_taken >= 0 for event in made)
    return made
