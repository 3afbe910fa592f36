"""The engine on PostgreSQL against the bare domain in memory, which is proven against a model of its own.

Hypothesis invents batches. Whether in one batch or several, what the engine reads, locks and writes back must come to
what deciding one command after the other comes to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from chassis.clock import ManualClock
from chassis.postgres import open_pool
from eventstore.mapper import EventMapper
from eventstore.postgres import PostgresEventStore
from ledger.adapters.books import PostgresBooks
from ledger.adapters.books_rows import charge_of, dispute_of, payment_of, quote_of, wallet_of
from ledger.application.engine import Engine
from ledger.application.work import Settled, Work
from ledger.domain import commands
from ledger.domain.conversion import CreditTerms
from ledger.domain.deciding import apply, decide
from ledger.domain.decision import Decision
from ledger.domain.events import EVENT_TYPES, LedgerEvent
from ledger.domain.refusals import NothingToAllocate, Refusal, WalletLimit
from ledger.domain.states import Books
from testkit.loop_thread import LoopThread
from testkit.postgres import DatabaseFactory

MIGRATIONS = Path(__file__).parents[3] / "migrations"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERMS = CreditTerms("TFC/2", {"USD/2": Fraction(1)})
USERS = st.sampled_from(["alice", "bob"])
AMOUNTS = st.sampled_from([1, 100, 1000, 2500])
PAYMENTS = st.sampled_from(["pi_1", "pi_2"])
OURS = st.sampled_from(["Q1", "Q2"])
DEPLOYMENTS = st.sampled_from(["d-1", "d-2"])
KEYS = st.integers(1, 6).map(str)
COMMANDS = st.one_of(
    st.builds(
        commands.CreditPayment,
        st.just("stripe"),
        PAYMENTS,
        st.sampled_from([2500, 1000]),
        st.sampled_from(["USD/2", "USD/2", "XAU/4"]),
        st.sampled_from([NOON, NOON + timedelta(hours=2)]),
        st.none() | USERS,
        st.none() | OURS,
    ),
    st.builds(
        commands.KeepQuote,
        OURS,
        USERS,
        st.just("stripe"),
        st.sampled_from([2500, 1000]),
        st.just("USD/2"),
        st.just(2500),
        st.just(30),
        st.just(NOON + timedelta(hours=1)),
    ),
    st.builds(commands.AllocatePayment, PAYMENTS.map("stripe:{}".format), st.none() | USERS),
    st.builds(commands.ReversePayment, st.just("stripe"), PAYMENTS, st.integers(1, 3000), st.just("USD/2")),
    st.builds(
        commands.ReportRefund,
        st.just("stripe"),
        PAYMENTS,
        st.sampled_from(["re_1", "re_2"]),
        st.sampled_from([1, 1000]),
        st.just("USD/2"),
        st.sampled_from(["pending", "succeeded", "failed"]),
    ),
    st.builds(
        commands.ReportDispute,
        st.just("stripe"),
        PAYMENTS,
        st.sampled_from(["dp_1", "dp_2"]),
        st.sampled_from(["opened", "won", "lost"]),
        st.just(1000),
        st.just("USD/2"),
    ),
    st.builds(commands.BookFee, st.just("stripe"), PAYMENTS, KEYS, st.just(103), st.just("USD/2")),
    st.builds(commands.HoldCredits, USERS, DEPLOYMENTS, st.just("web"), st.just("Web"), AMOUNTS),
    st.builds(commands.CaptureHold, DEPLOYMENTS, st.just(10), st.sampled_from([90, 990, 2490])),
    st.builds(commands.ReturnHold, DEPLOYMENTS),
    st.builds(commands.Transfer, KEYS, USERS, USERS, AMOUNTS),
    st.builds(commands.AdjustWallet, KEYS, USERS, AMOUNTS | AMOUNTS.map(int.__neg__), st.just("test")),
)
Told = tuple[str, list[LedgerEvent]]


class Domain:
    """One command after the other, all states in memory for ever."""

    def __init__(self) -> None:
        self.books = Books()
        self.log: list[LedgerEvent] = []

    def settle(self, command: Any) -> Told:
        try:
            decision = decide(self.books, TERMS, command)
        except Refusal as refusal:
            return refusal.code, []
        self.accept(command, decision)
        if isinstance(command, commands.KeepQuote):
            self.allocate_what_waits(command.payment_reference)
        if decision.no_effect == "repeated":
            return "repeated", [self.books.stored[command.reference]]
        return decision.no_effect or "done", list(decision.events)

    def accept(self, command: Any, decision: Decision) -> None:
        apply(self.books, command, decision)
        self.log.extend(decision.events)

    def allocate_what_waits(self, ours: str) -> None:
        waiting = [
            payment
            for payment in self.books.payments.values()
            if (payment.user_id, payment.payment_reference) == (None, ours)
        ]
        for payment in sorted(waiting, key=lambda payment: payment.key):
            allocation = commands.AllocatePayment(payment.key)
            try:
                self.accept(allocation, decide(self.books, TERMS, allocation))
            except (NothingToAllocate, WalletLimit):
                continue


class OnPostgres:
    """The engine with a database of its own, in a loop of its own."""

    def __init__(self, thread: LoopThread, dsn: str) -> None:
        self._thread = thread
        self._pool = thread.call(open_pool(dsn, max_size=2, application_name="against-domain"))
        self._mapper = EventMapper(EVENT_TYPES)
        store = PostgresBooks(self._pool, PostgresEventStore(self._pool), self._mapper)
        self._engine = Engine(store, TERMS, ManualClock(NOON))

    def settle(self, batch: Sequence[Any]) -> list[Told]:
        works = [Work(command=command) for command in batch]
        outcomes = self._thread.call(self._engine._once(works))
        return [self._told(outcomes[work]) for work in works]

    @staticmethod
    def _told(outcome: Any) -> Told:
        if isinstance(outcome, Refusal):
            return outcome.code, []
        assert isinstance(outcome, Settled)
        return outcome.no_effect or "done", list(outcome.events)

    def log(self) -> list[LedgerEvent]:
        store = PostgresEventStore(self._pool)
        recorded = self._thread.call(store.read_log(0, limit=10_000))
        return [self._mapper.to_domain_event(one.stored()) for one in recorded]

    def rows(self, table: str) -> list[Any]:
        return list(self._thread.call(self._pool.fetch(f"SELECT * FROM {table} ORDER BY 1")))

    def close(self) -> None:
        self._thread.call(self._pool.close())


class EngineAgainstDomain(RuleBasedStateMachine):
    """Both get every command; the engine gets them in batches."""

    def __init__(self, thread: LoopThread, make_database: DatabaseFactory) -> None:
        super().__init__()
        self.domain = Domain()
        self.engine = OnPostgres(thread, make_database("ledger", migrations=MIGRATIONS).app_dsn)

    @rule(batch=st.lists(COMMANDS, min_size=1, max_size=8))
    def settle(self, batch: list[Any]) -> None:
        assert self.engine.settle(batch) == [self.domain.settle(command) for command in batch]

    @rule(
        ours=OURS,
        owner=USERS,
        pid=PAYMENTS,
        total=st.integers(1, 2500),
        in_one=st.booleans(),
        order=st.permutations(range(6)),
    )
    def settle_a_payment(self, ours: str, owner: str, pid: str, total: int, in_one: bool, order: list[int]) -> None:
        parts = [
            commands.KeepQuote(ours, owner, "stripe", 2500, "USD/2", 2500, 30, NOON),
            commands.CreditPayment("stripe", pid, 2500, "USD/2", NOON, None, ours),
            commands.ReversePayment("stripe", pid, total, "USD/2"),
            commands.ReportDispute("stripe", pid, "dp_3", "opened", total, "USD/2"),
            commands.ReportRefund("stripe", pid, "re_3", total, "USD/2", "succeeded"),
            commands.ReportRefund("stripe", pid, "re_3", total, "USD/2", "failed"),
        ]
        arrived = [parts[number] for number in order]
        for batch in [arrived] if in_one else [[command] for command in arrived]:
            self.settle(batch=batch)

    def teardown(self) -> None:
        try:
            self.compare()
        finally:
            self.engine.close()

    def compare(self) -> None:
        books = self.domain.books
        assert self.engine.log() == self.domain.log
        wallets = [wallet_of(row) for row in self.engine.rows("wallets")]
        assert {w.user_id: w for w in wallets if w.version} == {u: w for u, w in books.wallets.items() if w.version}
        assert {c.deployment_id: c for c in map(charge_of, self.engine.rows("charges"))} == books.charges
        assert {q.payment_reference: q for q in map(quote_of, self.engine.rows("quotes"))} == books.quotes
        assert {d.key: d for d in map(dispute_of, self.engine.rows("disputes"))} == books.disputes
        for payment in map(payment_of, self.engine.rows("payments")):
            assert payment == books.payment(payment.key)
        known = {
            row["reference"]: (row["stream"], row["version"], row["content_hash"])
            for row in self.engine.rows("command_references")
        }
        assert known == books.references


def test_the_engine_comes_to_what_the_domain_comes_to(make_database: DatabaseFactory) -> None:
    thread = LoopThread("against-domain")
    # Not made smaller on failure: every try takes a database, and a dozen small batches can be read as they are.
    few = settings(
        max_examples=25,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.reuse, Phase.generate],
    )
    try:
        run_state_machine_as_test(lambda: EngineAgainstDomain(thread, make_database), settings=few)
    finally:
        thread.close()
