"""Outbox → relay → PostgreSQL log → consumer → effect, with a member that dies and goes on as a zombie."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from itertools import chain
from typing import Any

import pytest
import pytest_asyncio

from chassis.bus.log_consumer import LogConsumer
from chassis.bus.postgres_log import MIGRATIONS, PostgresLogBus
from chassis.consumer import Limits
from chassis.migrate import migrate
from chassis.outbox import OutboxSource, enqueue
from chassis.relay import Relay
from testkit.postgres import DatabaseFactory
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio


class Capturing:
    """Passes everything on, and keeps the consumers that were made."""

    def __init__(self, bus: PostgresLogBus) -> None:
        self._bus = bus
        self.made: list[LogConsumer] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    def consumer(self, *arguments: Any) -> LogConsumer:
        self.made.append(self._bus.consumer(*arguments))
        return self.made[-1]


@pytest_asyncio.fixture
async def log_bus(make_database: DatabaseFactory) -> AsyncIterator[PostgresLogBus]:
    database = make_database("bus")
    await migrate(database.owner_dsn, MIGRATIONS)
    bus = await PostgresLogBus.connect(database.app_dsn, session_timeout_s=0.6)
    await bus.ensure_topics({"payments": 4, "payments.dead-letter": 1})
    yield bus
    await bus.close()


async def test_a_dead_member_that_goes_on_as_a_zombie_repeats_and_loses_nothing(
    world: Any, log_bus: PostgresLogBus
) -> None:
    doomed = Capturing(log_bus)
    relay = Relay(world.pool, log_bus.producer("relay"), OutboxSource(), batch=20, poll_s=0.01)
    # A zombie that nobody tells anything would end when it sees that it is fenced.
    zombie = world.consumer(bus=doomed, limits=Limits(fetch_wait_s=0.05, commit_every_s=0.05, drain_s=1, fenced_s=600))
    async with world.running(relay, zombie):
        await _put(world, range(100))
        await eventually(lambda: _applied(world, 50))
        await doomed.made[0].abandon()
        async with world.running(world.consumer(bus=log_bus)):
            writing = asyncio.create_task(_put(world, range(100, 400)))
            await eventually(lambda: _has_heir(world))
            await writing
            await eventually(lambda: _applied(world, 400), 30)
    numbers = defaultdict(list)
    for row in await world.rows("SELECT key, note FROM effects ORDER BY place"):
        numbers[row["key"]].append(int(row["note"]))
    assert sorted(chain.from_iterable(numbers.values())) == list(range(400))
    assert all(own == sorted(own) for own in numbers.values())


async def _put(world: Any, numbers: range) -> None:
    for number in numbers:
        async with world.pool.acquire() as conn, conn.transaction():
            await enqueue(conn, [world.message(f"key-{number % 10}", {"note": f"{number}"})])


async def _applied(world: Any, count: int) -> bool:
    return bool(await world.count("effects") >= count)


async def _has_heir(world: Any) -> bool:
    (row,) = await world.rows("SELECT count(*) FILTER (WHERE owner_epoch > 1) AS taken FROM consumer_offsets")
    return bool(row["taken"] == 4)
