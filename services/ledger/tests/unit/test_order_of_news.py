"""The order of news decides nothing: told in any order, and again, the books come to the same.

Two payments of one reference, and all that can be told of them. Early news wait, as the engine lets them. Where bonus
is promised for several payments together, or comes after a refund, who came first decides how much of it a refund
takes: such news are kept apart here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.commands import (
    AllocatePayment,
    BookFee,
    CreditPayment,
    KeepQuote,
    ReportDispute,
    ReportRefund,
    ReversePayment,
    Transfer,
)
from ledger.domain.conversion import CreditTerms
from ledger.domain.deciding import apply, decide
from ledger.domain.events import LedgerEvent
from ledger.domain.payment_states import Figures
from ledger.domain.refusals import InsufficientFunds, NothingToAllocate, TooEarly
from ledger.domain.states import Books

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERMS = CreditTerms("TFC/2", {"USD/2": Fraction(1)})
THIRDS = CreditTerms("TFC/2", {"USD/2": Fraction(2, 3)})
PRICE = 2500
AMOUNTS = st.sampled_from([1, 333, 1000, 1250, 2499, 2500, 2600])


class Told:
    """Books in memory that hear news one by one; what is early is tried again after each, as the engine does."""

    def __init__(self, news: Sequence[Any], terms: CreditTerms = TERMS) -> None:
        self.terms = terms
        self.books = Books()
        self.log: list[LedgerEvent] = []
        self._early: list[Any] = []
        for one in news:
            self._hear(one)
        # The engine's sweep: money that was on its way back when its quote came, and then stayed.
        if "QREF1" in self.books.quotes:
            self._allocate("QREF1")
        assert not [one for one in self._early if "pi_1" in one.reference], "news of a known payment were left waiting"

    def _hear(self, one: Any) -> None:
        try:
            decision = decide(self.books, self.terms, one)
        except TooEarly:
            self._early.append(one)
            return
        except InsufficientFunds:
            assert isinstance(one, Transfer)
            return
        self._accept(one, decision)
        if isinstance(one, KeepQuote):
            self._allocate(one.payment_reference)
        waiting, self._early = self._early, []
        for early in waiting:
            self._hear(early)

    def _allocate(self, ours: str) -> None:
        waiting = [p.key for p in self.books.payments.values() if (p.user_id, p.payment_reference) == (None, ours)]
        for key in waiting:
            allocation = AllocatePayment(key)
            try:
                self._accept(allocation, decide(self.books, self.terms, allocation))
            except NothingToAllocate:
                continue

    def _accept(self, command: Any, decision: Any) -> None:
        apply(self.books, command, decision)
        self.log.extend(decision.events)
        totals: Counter[str] = Counter()
        for event in decision.events:
            for _, asset, amount in event.postings:
                totals[asset] += amount
        assert not any(totals.values()), f"{command} is off by {totals}"

    def accounts(self) -> dict[str, int]:
        """Every account's balance; what alice and bob have is one sum, since they pass it to and fro."""
        sums: Counter[str] = Counter()
        for event in self.log:
            for account, asset, amount in event.postings:
                sums[f"{'wallets' if account.startswith('wallet:') else account} {asset}"] += amount
        return {name: amount for name, amount in sums.items() if amount}

    def figures(self) -> dict[str, tuple[Figures, int]]:
        found = {key: self.books.payment(key) for key in ("stripe:pi_1", "stripe:pi_2")}
        return {key: (payment.figures, payment.refunded) for key, payment in found.items() if payment is not None}


@dataclass(frozen=True)
class Refund:
    """One refund: how it is told of, and whether it fails in the end."""

    name: str
    amount: int
    one_by_one: bool
    cumulatively: bool
    fails: bool


def refunds_of(payment_id: str, refunds: Sequence[Refund]) -> list[Any]:
    news: list[Any] = []
    total = 0
    for refund in refunds:
        if refund.one_by_one or not refund.cumulatively:
            told = ReportRefund("stripe", payment_id, refund.name, refund.amount, "USD/2", "pending")
            news += [told, replace(told, state="succeeded")]
        if refund.cumulatively:
            total += refund.amount
            news.append(ReversePayment("stripe", payment_id, total, "USD/2"))
        if refund.fails:
            news.append(ReportRefund("stripe", payment_id, refund.name, refund.amount, "USD/2", "failed"))
    return news


REFUNDS = st.lists(
    st.builds(Refund, st.sampled_from(["re_1", "re_2", "re_3"]), AMOUNTS, st.booleans(), st.booleans(), st.booleans()),
    max_size=3,
    unique_by=lambda refund: refund.name,
)


@st.composite
def ways_back(draw: Any, payment_id: str) -> list[Any]:
    """Whatever may be told of a payment after it was paid."""
    news = refunds_of(payment_id, draw(REFUNDS))
    for name in draw(st.sets(st.sampled_from(["dp_1", "dp_2"]))):
        amount, end = draw(AMOUNTS), draw(st.sampled_from(["", "won", "lost"]))
        news += [
            ReportDispute("stripe", payment_id, name, state, amount, "USD/2") for state in ("opened", end) if state
        ]
    for name in draw(st.sets(st.sampled_from(["txn_1", "txn_2"]))):
        news.append(BookFee("stripe", payment_id, f"{payment_id}-{name}", draw(st.sampled_from([103, -20])), "USD/2"))
    return news


def paid(payment_id: str, received: int, *, late: bool = False, ours: str | None = "QREF1") -> CreditPayment:
    return CreditPayment("stripe", payment_id, received, "USD/2", NOON + timedelta(hours=2 * late), None, ours)


def told_without_our_reference(news: Sequence[Any]) -> list[Any]:
    """The gateway's own word on each payment, beside the one that knows what it was for."""
    return [replace(one, payment_reference=None) for one in news if isinstance(one, CreditPayment)]


def quote(bonus: int) -> KeepQuote:
    return KeepQuote("QREF1", "alice", "stripe", PRICE, "USD/2", PRICE, bonus, NOON + timedelta(hours=1))


SEEDS = st.integers(0, 2**32)


def shuffled(news: Sequence[Any], seed: int) -> list[Any]:
    """In some order, some of it more than once."""
    random = Random(seed)
    told = [*news, *random.choices(news, k=random.randint(0, len(news)))]
    random.shuffle(told)
    return told


def same_books(one: Told, other: Told) -> None:
    assert one.figures() == other.figures()
    assert one.accounts() == other.accounts()


@settings(max_examples=400, deadline=None)
@given(data=st.data(), first=SEEDS, second=SEEDS)
def test_any_order_of_news_comes_to_the_same(data: Any, first: int, second: int) -> None:
    news: list[Any] = [quote(bonus=0)]
    for payment_id in ("pi_1", "pi_2"):
        news.append(paid(payment_id, data.draw(AMOUNTS), late=data.draw(st.booleans())))
        news += data.draw(ways_back(payment_id))
    news += told_without_our_reference(news) if data.draw(st.booleans()) else []
    same_books(Told(shuffled(news, first)), Told(shuffled(news, second)))


@settings(max_examples=400, deadline=None)
@given(data=st.data(), first=SEEDS, second=SEEDS)
def test_a_bonus_goes_back_alike_in_any_order(data: Any, first: int, second: int) -> None:
    """One payment of a quote with a bonus, rounded rates, the quote known before."""
    news = [paid("pi_1", data.draw(AMOUNTS)), *data.draw(ways_back("pi_1"))]
    told = [Told([quote(bonus=333), *shuffled(news, seed)], THIRDS) for seed in (first, second)]
    same_books(*told)


@settings(max_examples=400, deadline=None)
@given(pieces=st.lists(st.tuples(AMOUNTS, st.booleans()), min_size=1, max_size=5), first=SEEDS, second=SEEDS)
def test_pieces_of_a_quote_come_to_the_same_in_any_order(
    pieces: list[tuple[int, bool]], first: int, second: int
) -> None:
    """Also where rounding and a bonus are at stake: the whole is what one payment of the sum would have brought."""
    news: list[Any] = [quote(bonus=333)]
    news += [paid(f"pi_{number}", amount, late=late) for number, (amount, late) in enumerate(pieces, start=1)]
    news += told_without_our_reference(news)
    same_books(Told(shuffled(news, first), THIRDS), Told(shuffled(news, second), THIRDS))


@settings(max_examples=300, deadline=None)
@given(data=st.data(), first=SEEDS, second=SEEDS)
def test_spending_in_between_moves_no_money_of_others(data: Any, first: int, second: int) -> None:
    """What can be spent depends on when; what gateways, exchange and fees have does not, nor what both own together."""
    news: list[Any] = [quote(bonus=0), paid("pi_1", data.draw(AMOUNTS)), *data.draw(ways_back("pi_1"))]
    news += [Transfer(f"t-{amount}", "alice", "bob", amount) for amount in data.draw(st.sets(AMOUNTS))]
    news += [Transfer("t-back", "bob", "alice", 1000)]
    same_books(Told(shuffled(news, first)), Told(shuffled(news, second)))


@given(data=st.data(), seed=SEEDS)
def test_all_that_went_back_leaves_nothing(data: Any, seed: int) -> None:
    news = [paid("pi_1", data.draw(AMOUNTS)), *data.draw(ways_back("pi_1"))]
    news = [one for one in news if not isinstance(one, BookFee)]
    over = [one for one in news if isinstance(one, ReportDispute) and one.state == "opened"]
    ends = [ReportDispute("stripe", "pi_1", one.dispute_id, "lost", one.amount, "USD/2") for one in over]
    ended = {one.dispute_id for one in news if isinstance(one, ReportDispute) and one.state != "opened"}
    whole = ReportRefund("stripe", "pi_1", "re_9", 10_000, "USD/2", "succeeded")
    told = shuffled([*news, *(end for end in ends if end.dispute_id not in ended), whole], seed)
    assert Told([quote(bonus=333), *told]).accounts() == {}
