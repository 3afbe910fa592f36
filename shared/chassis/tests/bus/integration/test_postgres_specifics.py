"""What only the PostgreSQL log promises: gapless offsets, retention, least privilege, life without notifications."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis.bus import open_bus
from chassis.bus.port import OffsetOutOfRange, OutgoingRecord, TopicPartition, UnknownTopic
from chassis.bus.postgres_log import MIGRATIONS, PostgresLogBus
from chassis.errors import OperationalError
from chassis.migrate import migrate
from chassis.runtime import StopSignal
from embedded.provisioning import DatabaseAccess
from testkit.postgres import DatabaseFactory
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
TOPIC = "payments"
ZERO = TopicPartition(TOPIC, 0)


class Listener:
    def __init__(self, start: int | None = None) -> None:
        self.start = start
        self.owned: set[TopicPartition] = set()

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        self.owned |= partitions
        return dict.fromkeys(partitions, self.start)

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.owned -= partitions


@pytest_asyncio.fixture
async def database(make_database: DatabaseFactory) -> DatabaseAccess:
    made = make_database("bus")
    await migrate(made.owner_dsn, MIGRATIONS)
    return made


@pytest_asyncio.fixture
async def bus(database: DatabaseAccess) -> AsyncIterator[PostgresLogBus]:
    opened = await open_bus(database.app_dsn + "?session_timeout_s=0.8")
    assert isinstance(opened, PostgresLogBus)
    await opened.ensure_topics({TOPIC: 1})
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def owner(database: DatabaseAccess) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database.owner_dsn)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def app(database: DatabaseAccess) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database.app_dsn, server_settings={"application_name": "test"})
    yield connection
    await connection.close()


def numbered(count: int) -> list[OutgoingRecord]:
    return [OutgoingRecord(TOPIC, f"k{number}".encode(), str(number).encode()) for number in range(count)]


async def fetched(bus: PostgresLogBus, count: int, *, group: str = "g", start: int | None = None) -> list[int]:
    consumer = bus.consumer(group, [TOPIC], "c")
    await consumer.start(Listener(start))
    offsets: list[int] = []
    try:
        async with asyncio.timeout(10):
            while len(offsets) < count:
                offsets += [record.offset for record in await consumer.fetch(100, 1)]
    finally:
        await consumer.close()
    return offsets


async def test_offsets_have_no_gap_although_a_publish_failed(bus: PostgresLogBus, owner: Any) -> None:
    producer = bus.producer("p")
    await producer.publish(numbered(3))
    await owner.execute("ALTER TABLE records ADD CONSTRAINT broken CHECK (value <> '4')")
    with pytest.raises(asyncpg.CheckViolationError):
        await producer.publish(numbered(5))
    await owner.execute("ALTER TABLE records DROP CONSTRAINT broken")
    await producer.publish(numbered(2))
    assert await fetched(bus, 5) == [0, 1, 2, 3, 4]


async def test_a_large_batch_is_cut_into_transactions_and_keeps_its_order(bus: PostgresLogBus, owner: Any) -> None:
    await bus.producer("p").publish(numbered(2500))
    values = await owner.fetch('SELECT value FROM records ORDER BY "offset"')
    assert [int(row["value"]) for row in values] == list(range(2500))
    assert await owner.fetchval("SELECT count(DISTINCT xmin::text) FROM records") == 3


async def test_an_append_waits_for_the_one_before_it(bus: PostgresLogBus, owner: Any) -> None:
    """A record is never visible before one with a smaller offset."""
    transaction = owner.transaction()
    await transaction.start()
    await owner.execute("LOCK TABLE records IN SHARE MODE")
    first = asyncio.create_task(bus.producer("p").publish([OutgoingRecord(TOPIC, b"k", b"first")]))
    await eventually(lambda: _advisory_locks(owner, granted=True))
    second = asyncio.create_task(bus.producer("q").publish([OutgoingRecord(TOPIC, b"k", b"second")]))
    await eventually(lambda: _advisory_locks(owner, granted=False))
    await transaction.commit()
    await asyncio.gather(first, second)
    values = await owner.fetch('SELECT value FROM records ORDER BY "offset"')
    assert [row["value"] for row in values] == [b"first", b"second"]


async def test_retention_forgets_the_old_and_keeps_the_bounds(bus: PostgresLogBus, owner: Any) -> None:
    producer = bus.producer("p")
    await producer.publish(numbered(10))
    await owner.execute("UPDATE records SET appended_at = now() - interval '8 days' WHERE \"offset\" < 6")
    assert await bus.prune() == 6
    assert await bus.prune() == 0
    assert await fetched(bus, 4, group="new") == [6, 7, 8, 9]
    assert await bus.prune(timedelta(0)) == 4
    await producer.publish(numbered(1))
    assert await fetched(bus, 1, group="newer") == [10]


async def test_who_is_behind_the_retention_is_told(bus: PostgresLogBus) -> None:
    await bus.producer("p").publish(numbered(10))
    assert await bus.prune(timedelta(0)) == 10
    with pytest.raises(OffsetOutOfRange) as refused:
        await fetched(bus, 1, start=4)
    assert (refused.value.partition, refused.value.position) == (ZERO, 4)


async def test_the_retention_task_prunes_and_stops(bus: PostgresLogBus, owner: Any) -> None:
    await bus.producer("p").publish(numbered(3))
    await owner.execute("UPDATE records SET appended_at = now() - interval '8 days'")
    stop = StopSignal()
    task = asyncio.create_task(bus.run_retention(stop, every_s=3600))
    await eventually(lambda: _count(owner, "records", 0))
    stop.set()
    await asyncio.wait_for(task, 5)


async def test_the_app_can_neither_rewrite_records_nor_drop_topics(
    bus: PostgresLogBus, database: DatabaseAccess
) -> None:
    await bus.producer("p").publish(numbered(1))
    app = await asyncpg.connect(database.app_dsn)
    try:
        for statement in ("UPDATE records SET value = ''", "DELETE FROM topics", "TRUNCATE records"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.execute(statement)
    finally:
        await app.close()


async def test_polling_alone_finds_everything(bus: PostgresLogBus) -> None:
    await bus._wakeup.close()
    consumer = bus.consumer("g", [TOPIC], "c")
    await consumer.start(Listener())
    waiting = asyncio.create_task(consumer.fetch(10, 10))
    await bus.producer("p").publish(numbered(1))
    assert len(await asyncio.wait_for(waiting, 5)) == 1
    await consumer.close()


async def test_the_listening_connection_comes_back(bus: PostgresLogBus, app: Any) -> None:
    bus.consumer("g", [TOPIC], "c")
    await eventually(lambda: _listens(bus))
    killed = await app.fetch(_KILL.format("= 'bus-wakeup'"))
    assert len(killed) == 1
    await eventually(lambda: _listens(bus))


async def test_a_lost_connection_passes_and_the_member_stays(bus: PostgresLogBus, app: Any) -> None:
    consumer, listener = bus.consumer("g", [TOPIC], "c"), Listener()
    await consumer.start(listener)
    assert await app.fetch(_KILL.format("<> 'test'"))
    await eventually(lambda: _publishes(bus))
    offsets: list[int] = []
    async with asyncio.timeout(10):
        while not offsets:
            try:
                offsets += [record.offset for record in await consumer.fetch(10, 1)]
            except OperationalError:
                continue
    assert offsets[0] == 0
    assert listener.owned == {ZERO}
    await consumer.close()


async def test_a_member_whose_lease_ran_out_gives_its_partitions_up(bus: PostgresLogBus, owner: Any) -> None:
    frozen, listener = bus.consumer("g", [TOPIC], "frozen"), Listener()
    await frozen.start(listener)
    await frozen._membership.abandon()
    heir, hears = bus.consumer("g", [TOPIC], "heir"), Listener()
    await heir.start(hears)
    assert hears.owned == set(), "the lease still runs"
    await eventually(lambda: hears.owned == {ZERO})
    await frozen.commit({ZERO: 5})
    assert await owner.fetchval("SELECT count(*) FROM committed_offsets") == 0
    epochs = await owner.fetchrow("SELECT holder LIKE 'heir%' AS heir, epoch FROM group_partitions")
    assert tuple(epochs) == (True, 2)
    await heir.close()
    await frozen.close()


async def test_a_topic_that_appears_later_is_consumed_too(bus: PostgresLogBus) -> None:
    consumer, listener = bus.consumer("g", [TOPIC, "later"], "c"), Listener()
    await consumer.start(listener)
    with pytest.raises(UnknownTopic):
        await bus.producer("p").publish([OutgoingRecord("later", b"k", b"")])
    await bus.ensure_topics({"later": 2})
    await eventually(lambda: len(listener.owned) == 3)
    await consumer.close()


async def test_concurrent_services_create_the_same_topics(bus: PostgresLogBus, owner: Any) -> None:
    topics = {"a": 3, "b": 2, "c": 1}
    await asyncio.gather(*[bus.ensure_topics(topics) for _ in range(5)])
    assert await owner.fetchval("SELECT count(*) FROM partitions WHERE topic <> $1", TOPIC) == 6


async def test_a_database_that_is_away_is_an_operational_error() -> None:
    with pytest.raises(OperationalError):
        await open_bus("postgresql://nobody:x@127.0.0.1:9/bus")


_KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name {} AND datname = current_database() AND usename = current_user
"""


async def _listens(bus: PostgresLogBus) -> bool:
    """Publish, and see whether the bell rang."""
    seen = bus._wakeup.records.count
    await bus.producer("p").publish(numbered(1))
    return await bus._wakeup.records.wait(seen, 0.5)


async def _advisory_locks(owner: Any, *, granted: bool) -> bool:
    sql = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted = $1
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    return bool(await owner.fetchval(sql, granted))


async def _count(owner: Any, table: str, count: int) -> bool:
    return bool(await owner.fetchval(f"SELECT count(*) FROM {table}") == count)


async def _publishes(bus: PostgresLogBus) -> bool:
    try:
        await bus.producer("p").publish(numbered(1))
    except OperationalError:
        return False
    return True
