"""A service's database with the canonical tables, a bus in memory, and a table of effects."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
import structlog

import chassis
from chassis.bus.memory import MemoryBus
from chassis.bus.port import OutgoingRecord
from chassis.consumer import Handler, Limits, MessageConsumer
from chassis.outbox import OutboxSource
from chassis.postgres import open_pool
from chassis.relay import Relay
from chassis.runtime import StopSignal
from contracts.envelope import Envelope
from testkit.postgres import DatabaseFactory

TOPIC = "payments"
DEAD = "payments.dead-letter"
GROUP = "billing"
PAID = "gridledger.payments.Paid.v1"
REFUNDED = "gridledger.payments.Refunded.v1"
CANONICAL_SQL = Path(chassis.__file__).parent / "sql"
EFFECTS = "CREATE TABLE effects (place bigserial, message_id uuid UNIQUE, key text, note text)"


class World:
    """What the tests of this folder speak in."""

    TOPIC, DEAD, GROUP, PAID, REFUNDED = TOPIC, DEAD, GROUP, PAID, REFUNDED

    def __init__(self, pool: asyncpg.Pool[Any], bus: MemoryBus, owner_dsn: str, app_dsn: str) -> None:
        self.pool = pool
        self.app_dsn = app_dsn
        self.owner_dsn = owner_dsn
        self.bus = bus

    def message(
        self,
        key: str = "k",
        data: Any = None,
        *,
        kind: str = PAID,
        message_id: str | None = None,
        value: bytes | None = None,
        topic: str = TOPIC,
    ) -> OutgoingRecord:
        """A well-formed message."""
        body = json.dumps(data if data is not None else {"note": key}).encode() if value is None else value
        envelope = Envelope(message_id or str(uuid4()), kind, "test", datetime.now(UTC), key, body)
        return OutgoingRecord(topic, key.encode(), body, envelope.to_headers())

    async def publish(self, *records: OutgoingRecord) -> None:
        await self.bus.producer("test").publish(records)

    async def paid(self, conn: Any, envelope: Envelope) -> None:
        """A handler: one row for one message."""
        note = json.loads(envelope.data)["note"]
        await conn.execute(
            "INSERT INTO effects (message_id, key, note) VALUES ($1, $2, $3)", envelope.id, envelope.subject, note
        )

    def consumer(self, handlers: Mapping[str, Handler] | None = None, **more: Any) -> MessageConsumer:
        limits = Limits(fetch_wait_s=0.05, commit_every_s=0.05, drain_s=1)
        options = {"limits": limits, "sweep_every_s": 60.0, "group": GROUP, "bus": self.bus} | more
        group, bus = options.pop("group"), options.pop("bus")
        return MessageConsumer(self.pool, bus, group, [TOPIC], handlers or {PAID: self.paid}, **options)

    @asynccontextmanager
    async def running(self, *tasks: Any) -> AsyncIterator[StopSignal]:
        """Run consumers or relays; in the end stop them and raise what they raised."""
        stop = StopSignal()
        running = [asyncio.create_task(task.run(stop)) for task in tasks]
        try:
            yield stop
        finally:
            stop.set()
            results = await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 20)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            raise failures[0]

    def relay(self, **options: Any) -> Relay:
        return Relay(self.pool, self.bus.producer("relay"), OutboxSource(), poll_s=0.01, **options)

    async def notes(self) -> list[str]:
        return [row["note"] for row in await self.pool.fetch("SELECT note FROM effects ORDER BY place")]

    async def count(self, table: str) -> int:
        return int(await self.pool.fetchval(f"SELECT count(*) FROM {table}"))

    async def offsets(self, group: str = GROUP) -> int:
        """Records that the group's offsets are past, over all partitions."""
        sql = "SELECT coalesce(sum(next_offset), 0) FROM consumer_offsets WHERE consumer_group = $1"
        return int(await self.pool.fetchval(sql, group))

    async def forget_everything(self) -> None:
        """Empty the database, as its owner."""
        owner = await asyncpg.connect(self.owner_dsn)
        await owner.execute("TRUNCATE effects, inbox, consumer_offsets")
        await owner.close()

    async def forget_tables(self, *names: str) -> None:
        """Drop them, as the database's owner."""
        owner = await asyncpg.connect(self.owner_dsn)
        await owner.execute(f"DROP TABLE {', '.join(names)}")
        await owner.close()

    async def rows(self, sql: str, *arguments: Any) -> Sequence[Any]:
        return await self.pool.fetch(sql, *arguments)


@pytest_asyncio.fixture
async def world(make_database: DatabaseFactory) -> AsyncIterator[World]:
    database = make_database("messaging")
    owner = await asyncpg.connect(database.owner_dsn)
    for path in sorted(CANONICAL_SQL.glob("*.sql")):
        await owner.execute(path.read_text().replace("{app}", database.app_role))
    await owner.execute(f"{EFFECTS}; GRANT SELECT, INSERT ON effects TO {database.app_role}")
    await owner.execute(f"GRANT USAGE ON SEQUENCE effects_place_seq TO {database.app_role}")
    await owner.close()
    pool = await open_pool(database.app_dsn, max_size=12, application_name="test")
    bus = MemoryBus(session_timeout_s=2)
    await bus.ensure_topics({TOPIC: 4, DEAD: 1})
    yield World(pool, bus, database.owner_dsn, database.app_dsn)
    await pool.close()


@pytest.fixture
def operators_terminal(world: Any, monkeypatch: Any) -> Iterator[None]:
    """The environment that an operator types commands in; no other variable is there."""
    for name in [*os.environ]:
        if name != "PATH":
            monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", world.app_dsn)
    monkeypatch.setenv("BUS_URL", "kafka://nowhere:1")
    monkeypatch.setenv("SERVICE_TOKEN", "token")
    monkeypatch.setenv("PORT", "1234")
    monkeypatch.setenv("USER", "olga")
    # A command sets up logging for its process; here it would go on writing to one test's outputs.
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
