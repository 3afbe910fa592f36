"""Engines on one real database, and messages as the bus would bring them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import pytest
import pytest_asyncio

from chassis.bus.port import Record, TopicPartition
from chassis.clock import ManualClock
from chassis.inbox import claim_partitions
from chassis.postgres import open_pool
from chassis.runtime import StopSignal
from contracts.amounts import Money
from contracts.messages import (
    GatewayFeeCharged,
    Message,
    PaymentConfirmed,
    PaymentDisputed,
    PaymentInitiated,
    PaymentRefunded,
    RefundReported,
)
from contracts.topics import PAYMENTS
from embedded.provisioning import DatabaseAccess
from eventstore.mapper import EventMapper
from eventstore.postgres import PostgresEventStore
from ledger.adapters.books import GROUP, PostgresBooks
from ledger.application.engine import Engine
from ledger.application.ports import BooksStore
from ledger.application.work import Delivery, Outcome, Settled, Work
from ledger.domain.commands import Command, CreditPayment
from ledger.domain.conversion import CreditTerms
from ledger.domain.events import EVENT_TYPES
from ledger.domain.states import Wallet
from testkit.postgres import DatabaseFactory

MIGRATIONS = Path(__file__).parents[3] / "migrations"
TERMS = CreditTerms("TFC/2", {"USD/2": Fraction(1)})
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = UUID("7a9c2f8e-6a3b-4c55-9f10-9d1f64d6f001")
PARTITION = TopicPartition(PAYMENTS, 0)


class Ledger:
    """One database, and any number of engines that share it."""

    def __init__(self, database: DatabaseAccess) -> None:
        self.database = database
        self.clock = ManualClock(NOON)
        self.pool: asyncpg.Pool[Any]
        self.engine: Engine
        self.epoch = 0
        self._pools: list[asyncpg.Pool[Any]] = []
        self._stop = StopSignal()
        self._running: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        self.engine = await self.another_engine()
        self.pool = self._pools[0]
        self.epoch = await self.claim()

    async def store(self) -> PostgresBooks:
        """The books on a pool of their own, as another process has them."""
        pool = await open_pool(self.database.app_dsn, max_size=4, application_name=f"replica-{len(self._pools)}")
        self._pools.append(pool)
        return PostgresBooks(pool, PostgresEventStore(pool), EventMapper(EVENT_TYPES))

    async def another_engine(self, store: BooksStore | None = None, *, run: bool = True, **limits: int) -> Engine:
        engine = Engine(store or await self.store(), TERMS, self.clock, **limits)
        if run:
            self.start(engine)
        return engine

    def start(self, engine: Engine) -> None:
        self.task(engine.run(self._stop))

    def task(self, work: Any) -> None:
        """Runs until the test ends; it must then end well."""
        self._running.append(asyncio.create_task(work))

    async def claim(self, owner: str = "replica") -> int:
        """Become the owner of the payments partition; the epoch."""
        claims = await claim_partitions(self.pool, GROUP, owner, [PARTITION])
        return claims[PARTITION].epoch

    def run_waiting(self) -> None:
        self.task(self.engine.run_waiting(self._stop))

    async def settle(self, *commands: Command) -> list[Outcome]:
        """As HTTP does, one batch; the outcomes."""
        works = [Work(command=command) for command in commands]
        await self.engine.submit(works).wait()
        return [work.outcome for work in works]

    async def deliver(self, *records: Record, epoch: int | None = None, engine: Engine | None = None) -> list[Work]:
        """As the bus does, one batch."""
        engine = engine or self.engine
        works = [self.work(record, epoch) for record in records]
        await engine.submit(works).wait()
        return works

    def work(self, record: Record, epoch: int | None = None) -> Work:
        message_id = dict(record.headers)["ce_id"].decode()
        return self.engine.reader.work(Delivery(record, self.epoch if epoch is None else epoch, message_id))

    async def wallet(self, user_id: str) -> Wallet:
        row = await self.pool.fetchrow("SELECT * FROM wallets WHERE user_id = $1", user_id)
        return Wallet(user_id) if row is None else Wallet(*(row[name] for name in Wallet._fields))

    async def count(self, table: str) -> int:
        return int(await self.pool.fetchval(f"SELECT count(*) FROM {table}"))

    async def topics(self) -> list[str]:
        """The names of all events, in the order of the log."""
        rows = await self.pool.fetch("SELECT topic FROM stored_events ORDER BY notification_id")
        return [row["topic"].removeprefix("ledger.") for row in rows]

    async def parked(self) -> list[tuple[int, str]]:
        """Offset and reason of each dead letter."""
        rows = await self.pool.fetch('SELECT "offset", reason FROM dead_letters ORDER BY id')
        return [(row["offset"], row["reason"]) for row in rows]

    async def next_offset(self) -> int | None:
        offset = await self.pool.fetchval("SELECT next_offset FROM consumer_offsets WHERE topic = $1", PAYMENTS)
        return None if offset is None else int(offset)

    async def close(self) -> None:
        self._stop.set()
        ended: Sequence[Any] = await asyncio.gather(*self._running, return_exceptions=True)
        for pool in self._pools:
            await pool.close()
        assert [error for error in ended if error is not None] == []


@pytest_asyncio.fixture
async def ledger(make_database: DatabaseFactory) -> AsyncIterator[Ledger]:
    opened = Ledger(make_database("ledger", migrations=MIGRATIONS))
    await opened.open()
    yield opened
    await opened.close()


class Speaker:
    """Messages and commands in few words."""

    @staticmethod
    def record(message: Message, offset: int, *, as_id: str | None = None) -> Record:
        """The message as it stands in the log; another ``as_id`` makes it another message of the same content."""
        identity = uuid5(NAMES, as_id or f"{PAYMENTS}/{offset}")
        envelope = message.in_envelope(source="test", stream="test", version=1, time=NOON)
        headers = dict(envelope.to_headers()) | {"ce_id": str(identity).encode()}
        return Record(
            PAYMENTS, b"key", envelope.data, tuple(headers.items()), partition=0, offset=offset, timestamp_ms=offset
        )

    def confirmed(
        self,
        offset: int,
        payment_id: str = "pi_1",
        *,
        user: str | None = "alice",
        amount: str = "25.00",
        ours: str | None = None,
        as_id: str | None = None,
        asset: str = "USD/2",
        worth: str | None = None,
    ) -> Record:
        message = PaymentConfirmed(
            gateway="stripe",
            gateway_payment_id=payment_id,
            received=Money(asset=asset, amount=amount),
            worth=None if worth is None else Money(asset="USD/2", amount=worth),
            paid_at=NOON,
            reference=ours,
            user_id=user,
        )
        return self.record(message, offset, as_id=as_id)

    def refunded(self, offset: int, total: str, payment_id: str = "pi_1", *, as_id: str | None = None) -> Record:
        message = PaymentRefunded(
            gateway="stripe",
            gateway_payment_id=payment_id,
            refunded_total=Money(asset="USD/2", amount=total),
            refunded_at=NOON,
        )
        return self.record(message, offset, as_id=as_id)

    def refund(self, offset: int, state: Any, amount: str = "10.00", *, name: str = "re_1") -> Record:
        message = RefundReported(
            gateway="stripe",
            gateway_payment_id="pi_1",
            refund_id=name,
            amount=Money(asset="USD/2", amount=amount),
            state=state,
            reported_at=NOON,
        )
        return self.record(message, offset)

    def dispute(self, offset: int, state: Any, amount: str = "10.00") -> Record:
        message = PaymentDisputed(
            gateway="stripe",
            gateway_payment_id="pi_1",
            dispute_id="dp_1",
            state=state,
            amount=Money(asset="USD/2", amount=amount),
            reason="fraudulent",
            reported_at=NOON,
        )
        return self.record(message, offset)

    def fee(self, offset: int, amount: str = "1.03") -> Record:
        message = GatewayFeeCharged(
            gateway="stripe",
            gateway_payment_id="pi_1",
            fee_id="txn_1",
            amount=Money(asset="USD/2", amount=amount),
            charged_at=NOON,
        )
        return self.record(message, offset)

    def initiated(
        self, offset: int, ours: str = "QREF1", *, price: str = "25.00", bonus: str = "2.50", promised: str = "25.00"
    ) -> Record:
        message = PaymentInitiated(
            payment_id="p-1",
            reference=ours,
            user_id="alice",
            gateway="stripe",
            price=Money(asset="USD/2", amount=price),
            credits=Money(asset="TFC/2", amount=promised),
            bonus=Money(asset="TFC/2", amount=bonus),
            expires_at=NOON + timedelta(hours=1),
        )
        return self.record(message, offset)

    @staticmethod
    def paid(received: int = 2500, *, by: str | None = "alice", payment_id: str = "pi_1") -> CreditPayment:
        return CreditPayment("stripe", payment_id, received, "USD/2", NOON, by)

    @staticmethod
    def effects(outcomes: Sequence[Outcome]) -> int:
        """How many of the outcomes made events."""
        return sum(isinstance(outcome, Settled) and outcome.no_effect is None for outcome in outcomes)


@pytest.fixture(scope="session")
def say() -> Speaker:
    return Speaker()
