from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis.postgres import open_pool
from embedded.provisioning import DatabaseAccess
from eventstore.chaining import rows_of
from eventstore.port import StoredEvent, VersionConflict
from eventstore.postgres import PostgresEventStore
from testkit.conformance.eventstore import EventStoreConformance, assert_chained, events, everything, names
from testkit.waiting_for import eventually

APPENDS_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


class PostgresHarness:
    """Every client has connections of its own; ``within`` is one of yet another pool."""

    def __init__(self, dsn: str, pool: asyncpg.Pool[Any]) -> None:
        self._dsn = dsn
        self._pool = pool
        self._opened: list[asyncpg.Pool[Any]] = []

    async def open(self) -> PostgresEventStore:
        self._opened.append(await open_pool(self._dsn, max_size=2, application_name="test"))
        return PostgresEventStore(self._opened[-1])

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self._pool.acquire() as conn, conn.transaction():
            yield conn

    async def close(self) -> None:
        for pool in self._opened:
            await pool.close()


@pytest.mark.asyncio
class TestPostgresEventStore(EventStoreConformance):
    @pytest_asyncio.fixture
    async def harness(self, events_database: DatabaseAccess, pool: asyncpg.Pool[Any]) -> AsyncIterator[PostgresHarness]:
        opened = PostgresHarness(events_database.app_dsn, pool)
        yield opened
        await opened.close()


@pytest.fixture
def store(pool: asyncpg.Pool[Any]) -> PostgresEventStore:
    return PostgresEventStore(pool)


@pytest.mark.asyncio
async def test_nothing_shows_before_the_commit(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await store.append(events("a", 1), within=conn)
        assert await everything(store) == []
        assert await store.last_position() == 0
    assert names(await everything(store)) == [("a", 1)]


@pytest.mark.asyncio
async def test_a_rolled_back_append_leaves_no_event_and_a_gap_that_readers_pass(
    store: PostgresEventStore, pool: asyncpg.Pool[Any]
) -> None:
    before = await store.append(events("a", 1))
    conn = await pool.acquire()
    transaction = conn.transaction()
    await transaction.start()
    await store.append([*events("a", 2), *events("b", 1)], within=conn)
    await transaction.rollback()
    await pool.release(conn)
    after = await store.append(events("a", 2))
    assert after.position > before.position + 1
    assert names(await store.read_log(before.position, limit=10)) == [("a", 2)]
    assert_chained(await everything(store))


@pytest.mark.asyncio
async def test_an_append_waits_for_the_commit_of_the_one_before(
    store: PostgresEventStore, pool: asyncpg.Pool[Any]
) -> None:
    async def waiting() -> bool:
        return bool(await pool.fetchval(APPENDS_WAITING))

    async with pool.acquire() as conn, conn.transaction():
        first = await store.append(events("first", 1), within=conn)
        second = asyncio.create_task(store.append(events("second", 1)))
        await eventually(waiting)
        assert not second.done()
    assert (await asyncio.wait_for(second, 10)).position > first.position


@pytest.mark.asyncio
async def test_heads_are_read_behind_the_lane(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    """Two that append the next version of one stream: the second sees the first's event and says so."""

    async def waiting() -> bool:
        return bool(await pool.fetchval(APPENDS_WAITING))

    async with pool.acquire() as conn, conn.transaction():
        await store.append(events("a", 1), within=conn)
        second = asyncio.create_task(store.append([StoredEvent("a", 1, "test.Other", b"{}")]))
        await eventually(waiting)
    with pytest.raises(VersionConflict) as refused:
        await asyncio.wait_for(second, 10)
    assert refused.value.actual == 1


@pytest.mark.asyncio
async def test_a_collision_of_positions_is_not_mistaken_for_a_conflict_of_versions(
    store: PostgresEventStore, owner: Any
) -> None:
    await store.append(events("a", 1))
    await owner.execute("ALTER SEQUENCE stored_events_notification_id_seq RESTART WITH 1")
    with pytest.raises(asyncpg.UniqueViolationError, match="notification_id"):
        await store.append(events("a", 2))


@pytest.mark.asyncio
async def test_rows_that_were_chained_before_are_appended_as_they_are(
    store: PostgresEventStore, pool: asyncpg.Pool[Any]
) -> None:
    heads = (await store.append([*events("a", 1, 2), *events("b", 1)])).heads
    rows = rows_of([*events("c", 1), *events("a", 3)], heads)
    async with pool.acquire() as conn, conn.transaction():
        position = await store.append_rows(rows, within=conn)
    log = await everything(store)
    assert names(log) == [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("a", 3)]
    assert position == log[-1].position
    assert_chained(log)


@pytest.mark.asyncio
async def test_rows_that_somebody_overtook_are_a_conflict(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    heads = (await store.append([*events("a", 1), *events("b", 1)])).heads
    rows = rows_of([*events("a", 2), *events("b", 2)], heads)
    await store.append(events("b", 2))
    with pytest.raises(VersionConflict) as refused:
        async with pool.acquire() as conn, conn.transaction():
            await store.append_rows(rows, within=conn)
    assert (refused.value.stream, refused.value.expected) == ("b", 2)
    assert names(await store.load("a")) == [("a", 1)]


@pytest.mark.asyncio
async def test_rows_wait_in_the_lane_as_any_append(store: PostgresEventStore, pool: asyncpg.Pool[Any]) -> None:
    async def waiting() -> bool:
        return bool(await pool.fetchval(APPENDS_WAITING))

    async def append() -> int:
        async with pool.acquire() as conn, conn.transaction():
            return await store.append_rows(rows_of(events("second", 1), {}), within=conn)

    async with pool.acquire() as conn, conn.transaction():
        first = await store.append(events("first", 1), within=conn)
        second = asyncio.create_task(append())
        await eventually(waiting)
        assert not second.done()
    assert await asyncio.wait_for(second, 10) > first.position
