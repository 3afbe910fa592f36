"""The eventsourcing library's own PostgreSQL recorder opens our table and reads the same events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest
import pytest_asyncio
from eventsourcing.persistence import IntegrityError, ProgrammingError
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from embedded.provisioning import DatabaseAccess
from eventstore.port import RecordedEvent
from eventstore.postgres import PostgresEventStore
from testkit.conformance.eventstore import events, everything


def datastore(dsn: str) -> PostgresDatastore:
    parts = urlsplit(dsn)
    return PostgresDatastore(
        dbname=parts.path.removeprefix("/"),
        host=parts.hostname or "",
        port=parts.port or 5432,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        originator_id_type="text",
    )


@pytest.fixture
def as_app(events_database: DatabaseAccess) -> Iterator[PostgresApplicationRecorder]:
    with datastore(events_database.app_dsn) as opened:
        yield PostgresApplicationRecorder(opened)


@pytest.fixture
def as_owner(events_database: DatabaseAccess) -> Iterator[PostgresApplicationRecorder]:
    with datastore(events_database.owner_dsn) as opened:
        yield PostgresApplicationRecorder(opened)


@pytest_asyncio.fixture
async def log(pool: asyncpg.Pool[Any]) -> Sequence[RecordedEvent]:
    """Three appends to two streams, as we read them."""
    store = PostgresEventStore(pool)
    await store.append([*events("wallet:ünï", 1, 3), *events("b", 1)])
    await store.append(events("b", 2, 2))
    return await everything(store)


@pytest.mark.asyncio
async def test_streams_are_the_same(log: Sequence[RecordedEvent], as_app: PostgresApplicationRecorder) -> None:
    for stream in ("wallet:ünï", "b"):
        ours = [event.stored() for event in log if event.stream == stream]
        assert list(as_app.select_events(stream)) == ours
        assert list(as_app.select_events(stream, gt=1, lte=2)) == ours[1:2]
        assert list(as_app.select_events(stream, desc=True, limit=2)) == ours[:0:-1]


@pytest.mark.asyncio
async def test_the_log_is_the_same(log: Sequence[RecordedEvent], as_app: PostgresApplicationRecorder) -> None:
    theirs = as_app.select_notifications(start=None, limit=100)
    assert [(n.id, n.originator_id, n.originator_version, n.topic, n.state) for n in theirs] == [
        (event.position, event.stream, event.version, event.topic, event.state) for event in log
    ]
    after = as_app.select_notifications(start=log[3].position, limit=100, inclusive_of_start=False)
    assert [notification.id for notification in after] == [event.position for event in log[4:]]
    assert as_app.max_notification_id() == log[-1].position


@pytest.mark.asyncio
async def test_its_setup_leaves_our_table_as_it_is(
    log: Sequence[RecordedEvent], as_owner: PostgresApplicationRecorder, owner: Any, pool: asyncpg.Pool[Any]
) -> None:
    shape = """
    SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE table_name = 'stored_events'
    UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename = 'stored_events'
    UNION ALL SELECT tgname FROM pg_trigger WHERE tgrelid = 'stored_events'::regclass
    """
    before = await owner.fetch(shape)
    as_owner.create_table()
    assert await owner.fetch(shape) == before
    assert await everything(PostgresEventStore(pool)) == log


@pytest.mark.asyncio
async def test_it_cannot_write_past_the_hash_chain(
    log: Sequence[RecordedEvent],
    as_app: PostgresApplicationRecorder,
    as_owner: PostgresApplicationRecorder,
    pool: asyncpg.Pool[Any],
) -> None:
    with pytest.raises(ProgrammingError):
        as_app.insert_events(events("b", 4))
    as_owner.create_table()
    with pytest.raises(IntegrityError, match="hash"):
        as_owner.insert_events(events("b", 4))
    assert await everything(PostgresEventStore(pool)) == log
