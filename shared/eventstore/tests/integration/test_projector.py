from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from chassis.runtime import StopSignal
from embedded.provisioning import DatabaseAccess
from eventstore.port import RecordedEvent
from eventstore.postgres import PostgresEventStore
from eventstore.projector import Projector, checkpoint
from testkit.conformance.eventstore import events
from testkit.waiting_for import eventually

NAME = "counted"
LONG_S = 60.0


class Counted:
    """A read model: a row for each event, and no key that would hide one counted twice."""

    name = NAME

    def __init__(self, before: Callable[[Sequence[RecordedEvent]], Awaitable[None]] | None = None) -> None:
        self._before = before
        self.batches: list[int] = []

    async def apply(self, conn: Any, batch: Sequence[RecordedEvent]) -> None:
        await conn.executemany("INSERT INTO counted VALUES ($1)", [(event.position,) for event in batch])
        if self._before is not None:
            await self._before(batch)
        self.batches.append(len(batch))


class Failing:
    """Raises each of ``errors`` once, then lets pass."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def __call__(self, batch: Sequence[RecordedEvent]) -> None:
        if self.errors:
            raise self.errors.pop(0)


@pytest_asyncio.fixture
async def store(pool: asyncpg.Pool[Any], owner: Any, events_database: DatabaseAccess) -> PostgresEventStore:
    await owner.execute(f"CREATE TABLE counted (position bigint); GRANT ALL ON counted TO {events_database.app_role}")
    return PostgresEventStore(pool)


async def counted(pool: asyncpg.Pool[Any]) -> list[int]:
    return [row["position"] for row in await pool.fetch("SELECT position FROM counted ORDER BY ctid")]


async def positions(store: PostgresEventStore) -> list[int]:
    return [event.position for event in await store.read_log(0, limit=100_000)]


@asynccontextmanager
async def running(*projectors: Projector) -> AsyncIterator[StopSignal]:
    """Run them; in the end stop them and raise what they raised."""
    stop = StopSignal()
    tasks = [asyncio.create_task(projector.run(stop)) for projector in projectors]
    try:
        yield stop
    finally:
        stop.set()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    for result in results:
        if isinstance(result, BaseException):
            raise result


@pytest.mark.asyncio
async def test_events_are_applied_in_order_and_batches(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    await store.append([*events("a", 1, 4), *events("b", 1, 3)])
    projection = Counted()
    projector = Projector(pool, store, projection, batch_max=3)
    assert await projector.position() == 0
    assert [await projector.run_once() for _ in range(4)] == [3, 3, 1, 0]
    assert projection.batches == [3, 3, 1]
    assert await counted(pool) == await positions(store)
    assert await projector.position() == await store.last_position()


@pytest.mark.asyncio
async def test_another_projector_goes_on_at_the_checkpoint(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    await store.append(events("a", 1, 4))
    await Projector(pool, store, Counted(), batch_max=3).run_once()
    restarted = Projector(pool, store, Counted(), batch_max=3)
    assert [await restarted.run_once(), await restarted.run_once()] == [1, 0]
    assert await counted(pool) == await positions(store)


@pytest.mark.asyncio
async def test_projections_have_checkpoints_of_their_own(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    last = (await store.append(events("a", 1, 2))).position
    other = Counted()
    other.name = "other"
    await Projector(pool, store, other).run_once()
    assert (await checkpoint(pool, "other"), await checkpoint(pool, NAME)) == (last, 0)
    assert await Projector(pool, store, Counted()).run_once() == 2


@pytest.mark.asyncio
async def test_effect_and_checkpoint_are_one(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    await store.append(events("a", 1, 5))
    projector = Projector(pool, store, Counted(Failing(RuntimeError("after the rows"))), batch_max=3)
    with pytest.raises(RuntimeError, match="after the rows"):
        await projector.run_once()
    assert (await counted(pool), await projector.position()) == ([], 0)
    assert [await projector.run_once(), await projector.run_once()] == [3, 2]
    assert await counted(pool) == await positions(store)


@pytest.mark.asyncio
async def test_a_checkpoint_that_cannot_be_written_undoes_the_effect(
    store: PostgresEventStore, pool: asyncpg.Pool[Any], owner: Any
) -> None:
    await store.append(events("a", 1, 2))
    await owner.execute("ALTER TABLE projection_checkpoints ADD CONSTRAINT still CHECK (position = 0)")
    with pytest.raises(asyncpg.CheckViolationError):
        await Projector(pool, store, Counted()).run_once()
    assert await counted(pool) == []


@pytest.mark.asyncio
async def test_who_finds_the_checkpoint_taken_leaves_it_to_the_other(
    store: PostgresEventStore, pool: asyncpg.Pool[Any]
) -> None:
    await store.append(events("a", 1, 2))
    entered, leave = asyncio.Event(), asyncio.Event()

    async def linger(batch: Sequence[RecordedEvent]) -> None:
        entered.set()
        await leave.wait()

    working = asyncio.create_task(Projector(pool, store, Counted(linger)).run_once())
    await asyncio.wait_for(entered.wait(), 10)
    assert await asyncio.wait_for(Projector(pool, store, Counted()).run_once(), 10) == 0
    leave.set()
    assert await asyncio.wait_for(working, 10) == 2
    assert await counted(pool) == await positions(store)


@pytest.mark.asyncio
async def test_two_projectors_count_each_event_once_in_order(
    store: PostgresEventStore, pool: asyncpg.Pool[Any]
) -> None:
    first, second = Counted(), Counted()
    projectors = [Projector(pool, store, each, batch_max=2, poll_s=0.001) for each in (first, second)]
    async with running(*projectors):
        for turn in range(40):
            await store.append([*events("a", 3 * turn + 1, 3), *events(f"b-{turn}", 1)])
        assert await projectors[0].wait_for(await store.last_position(), 20)
    assert await counted(pool) == await positions(store)
    assert sum(first.batches) + sum(second.batches) == 160


@pytest.mark.asyncio
async def test_what_passes_is_retried_and_counts_once(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    await store.append(events("a", 1, 3))
    projection = Counted(Failing(asyncpg.DeadlockDetectedError("once"), ConnectionResetError("twice")))
    with capture_logs() as logs:
        async with running(projector := Projector(pool, store, projection)):
            assert await projector.wait_for(await store.last_position(), 20)
    assert [entry["error"] for entry in logs if entry["event"] == "projection_retried"] == ["once", "twice"]
    assert await counted(pool) == await positions(store)


@pytest.mark.asyncio
async def test_a_bug_in_a_projection_ends_it_loudly(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    await store.append(events("a", 1))
    projector = Projector(pool, store, Counted(Failing(KeyError("no such account"))))
    with pytest.raises(KeyError, match="no such account"):
        await asyncio.wait_for(projector.run(StopSignal()), 20)
    assert await projector.position() == 0


@pytest.mark.asyncio
async def test_who_waits_for_a_position_reads_their_own_write(
    store: PostgresEventStore, pool: asyncpg.Pool[Any]
) -> None:
    async with running(projector := Projector(pool, store, Counted(), poll_s=0.01)):
        for version in (1, 2, 3):
            position = (await store.append(events("a", version))).position
            assert await projector.wait_for(position, 20)
            assert position in await counted(pool)


@pytest.mark.asyncio
async def test_who_waits_in_vain_is_told(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    position = (await store.append(events("a", 1))).position
    projector = Projector(pool, store, Counted())
    assert not await projector.wait_for(position, 0.05)
    await projector.run_once()
    assert await projector.wait_for(position, 0)
    assert not await projector.wait_for(position + 1, 0)


@pytest.mark.asyncio
async def test_a_wakeup_spares_the_poll(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    wakeup = asyncio.Event()
    async with running(projector := Projector(pool, store, Counted(), poll_s=LONG_S, wakeup=wakeup)):
        for version in (1, 2):
            position = (await store.append(events("a", version))).position
            wakeup.set()
            assert await eventually(lambda wanted=position: reached(projector, wanted))


async def reached(projector: Projector, position: int) -> bool:
    return await projector.position() >= position


class AppendsBehindTheReader(PostgresEventStore):
    """While the first empty page is on its way, somebody appends and rings."""

    def __init__(self, pool: asyncpg.Pool[Any], wakeup: asyncio.Event) -> None:
        super().__init__(pool)
        self._wakeup = wakeup

    async def read_log(self, after: int, *, limit: int, within: Any = None) -> list[RecordedEvent]:
        page = await super().read_log(after, limit=limit, within=within)
        if not page and await self.last_position() == 0:
            await self.append(events("a", 1))
            self._wakeup.set()
        return page


@pytest.mark.asyncio
@pytest.mark.usefixtures("store")
async def test_a_wakeup_while_reading_is_not_lost(pool: asyncpg.Pool[Any]) -> None:
    wakeup = asyncio.Event()
    store = AppendsBehindTheReader(pool, wakeup)
    async with running(projector := Projector(pool, store, Counted(), poll_s=LONG_S, wakeup=wakeup)):
        assert await eventually(lambda: reached(projector, 1))


@pytest.mark.asyncio
async def test_a_resting_projector_stops_at_once(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    await store.append(events("a", 1))
    async with running(projector := Projector(pool, store, Counted(), poll_s=LONG_S)):
        assert await eventually(lambda: reached(projector, 1))
