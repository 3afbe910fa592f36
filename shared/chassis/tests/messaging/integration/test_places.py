"""A group's place belongs to one log: in another one of the same name nothing is handled, and nothing passed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis.bus.memory import MemoryBus
from chassis.bus.partitioning import partition_of
from chassis.bus.postgres_log import MIGRATIONS, PostgresLogBus
from chassis.consumer import BatchConsumer, Delivery, Limits, PlaceLost
from chassis.inbox import advance_offsets, claim_messages
from chassis.runtime import StopSignal
from testkit.postgres import DatabaseFactory
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
PATIENCE_S = 30.0
PARTITION = partition_of(b"k", 4)
LIMITS = Limits(fetch_wait_s=0.05, commit_every_s=0.05, drain_s=1, stall_s=PATIENCE_S)
SOON = Limits(fetch_wait_s=0.05, commit_every_s=0.05, drain_s=1, stall_s=2.0)
"""Looks at the lag six times a second."""


class OnMemory:
    """A bus in memory; another one is another log."""

    def __init__(self, world: Any) -> None:
        self._world = world

    async def begin(self) -> None:
        self._world.bus = MemoryBus(session_timeout_s=2)
        await self._world.bus.ensure_topics({self._world.TOPIC: 4})

    async def close(self) -> None:
        """Nothing to let go of."""


class OnPostgres:
    """A log in PostgreSQL, whose topic is made anew."""

    def __init__(self, world: Any, database: Any) -> None:
        self._world = world
        self._database = database

    async def begin(self) -> None:
        await self.close()
        await self._forget_all_topics()
        self._world.bus = await PostgresLogBus.connect(self._database.app_dsn, session_timeout_s=2)
        await self._world.bus.ensure_topics({self._world.TOPIC: 4})

    async def _forget_all_topics(self) -> None:
        owner = await asyncpg.connect(self._database.owner_dsn)
        try:
            await owner.execute("TRUNCATE records, topics CASCADE")
        finally:
            await owner.close()

    async def close(self) -> None:
        await self._world.bus.close()


@pytest_asyncio.fixture
async def on_postgres(world: Any, make_database: DatabaseFactory) -> AsyncIterator[OnPostgres]:
    log = OnPostgres(world, make_database("bus", migrations=MIGRATIONS))
    await log.begin()
    yield log
    await log.close()


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def log(request: pytest.FixtureRequest, world: Any, make_database: DatabaseFactory) -> AsyncIterator[Any]:
    """A log that ``begin`` makes anew."""
    on_memory = request.param == "memory"
    log = OnMemory(world) if on_memory else OnPostgres(world, make_database("bus", migrations=MIGRATIONS))
    await log.begin()
    yield log
    await log.close()


class Engine:
    """Applies batches, and keeps every offset that it was handed."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.seen: list[int] = []

    async def process(self, deliveries: Sequence[Delivery]) -> None:
        epochs = {delivery.record.topic_partition: delivery.epoch for delivery in deliveries}
        last = {delivery.record.topic_partition: delivery.record for delivery in deliveries}
        async with self._world.pool.acquire() as conn, conn.transaction():
            moved = await advance_offsets(conn, self._world.GROUP, epochs, last)
            assert moved == set(last)
            envelopes = [delivery.envelope for delivery in deliveries if delivery.envelope is not None]
            assert await claim_messages(conn, self._world.GROUP, [envelope.id for envelope in envelopes])
            for envelope in envelopes:
                await self._world.paid(conn, envelope)
        self.seen += [delivery.record.offset for delivery in deliveries]

    def consumer(self, limits: Limits = LIMITS) -> BatchConsumer:
        world = self._world
        return BatchConsumer(
            world.pool, world.bus, world.GROUP, [world.TOPIC], [world.PAID], self.process, limits=limits
        )


async def put(world: Any, count: int) -> None:
    """That many new messages, all in one partition."""
    producer = world.bus.producer("test")
    await producer.publish([world.message("k", {"note": f"{number}"}) for number in range(count)])


async def handle(world: Any, count: int, engine: Engine | None = None) -> None:
    """Consume until that many took effect."""
    async with world.running((engine or Engine(world)).consumer()):
        await handled(world, count)


async def handled(world: Any, count: int) -> None:
    """Wait until that many took effect."""

    async def are() -> bool:
        return bool(await world.count("effects") == count)

    await eventually(are, PATIENCE_S)


async def claimed_again(world: Any) -> bool:
    return bool(await world.pool.fetchval("SELECT min(owner_epoch) FROM consumer_offsets") == 2)


async def refused(world: Any, consumer: Any) -> str:
    """Why the consumer ended; it handled and moved nothing."""
    before = await world.count("effects"), await world.offsets()
    with pytest.raises(PlaceLost) as lost:
        await asyncio.wait_for(consumer.run(StopSignal()), PATIENCE_S)
    assert (await world.count("effects"), await world.offsets()) == before
    return str(lost.value)


async def test_a_topic_made_anew_that_outgrew_the_place_is_refused_by_both_consumers(world: Any, log: Any) -> None:
    await put(world, 40)
    await handle(world, 40)
    await log.begin()
    await put(world, 50)
    for consumer in (Engine(world).consumer(), world.consumer(limits=LIMITS)):
        reason = await refused(world, consumer)
        assert f"group {world.GROUP} finds its place in {world.TOPIC}[{PARTITION}] no more" in reason
        assert "at offset 39 stands another record" in reason
        assert "docs/runbooks/a-topic-was-lost.md" in reason


@pytest.mark.parametrize(("anew", "reason"), [(10, "has offsets 0 to 10, not 39"), (39, "it ends before offset 39")])
async def test_a_topic_made_anew_that_is_shorter_is_refused(world: Any, log: Any, anew: int, reason: str) -> None:
    await put(world, 40)
    await handle(world, 40)
    await log.begin()
    await put(world, anew)
    assert reason in await refused(world, Engine(world).consumer(SOON))


async def test_in_its_own_log_a_group_goes_on_and_is_handed_nothing_twice(world: Any, log: Any) -> None:
    await put(world, 3)
    await handle(world, 3)
    waiting, next_one = Engine(world), Engine(world)
    async with world.running(waiting.consumer()):
        await eventually(lambda: claimed_again(world), PATIENCE_S)
        await put(world, 2)
        await handled(world, 5)
    await put(world, 1)
    await handle(world, 6, next_one)
    assert (waiting.seen, next_one.seen) == ([3, 4], [5])


@pytest.mark.parametrize("mark", ["NULL", "'17/0/of-a-version-that-knew-no-marks'"])
async def test_a_place_without_a_mark_of_its_own_is_believed(world: Any, mark: str) -> None:
    await put(world, 3)
    await handle(world, 3)
    await world.pool.execute(f"UPDATE consumer_offsets SET last_record = {mark}")
    log = OnMemory(world)
    await log.begin()
    await put(world, 5)
    engine = Engine(world)
    await handle(world, 5, engine)
    assert engine.seen == [3, 4]
    marks = await world.rows("SELECT last_record FROM consumer_offsets WHERE next_offset = 5")
    assert marks[0]["last_record"].startswith("4/")


async def test_a_log_that_forgot_only_what_was_handled_is_gone_on_in(world: Any, on_postgres: OnPostgres) -> None:
    await put(world, 5)
    await handle(world, 5)
    assert await world.bus.prune(timedelta()) == 5
    await put(world, 2)
    engine = Engine(world)
    await handle(world, 7, engine)
    assert engine.seen == [5, 6]


async def test_a_log_that_forgot_what_was_not_handled_is_refused(world: Any, on_postgres: OnPostgres) -> None:
    await put(world, 5)
    await handle(world, 5)
    await put(world, 1)
    assert await world.bus.prune(timedelta()) == 6
    await put(world, 1)
    assert "has offsets 6 to 7, not 4, after which it was to go on" in await refused(world, Engine(world).consumer())


async def test_an_offset_beyond_the_log_is_refused_without_a_mark_too(world: Any) -> None:
    await put(world, 3)
    await handle(world, 3)
    await world.pool.execute("UPDATE consumer_offsets SET next_offset = 8, last_record = NULL WHERE next_offset = 3")
    with pytest.raises(PlaceLost, match="has offsets 0 to 3, not 8"):
        await asyncio.wait_for(world.consumer().run(StopSignal()), PATIENCE_S)
