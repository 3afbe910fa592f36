"""Whoever gets past grants and triggers is found out: these tests switch the triggers off and forge."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from eventstore import verify
from eventstore.hashing import chain
from eventstore.postgres import PostgresEventStore
from eventstore.verify import Fault
from testkit.conformance.eventstore import events

CHANGED = "its hash does not follow from its bytes"
UNCHAINED = "its previous hash is not the hash of the event before"
FORGERIES = {
    "state": ("UPDATE stored_events SET state = state || ' ' WHERE {at}", Fault("b", 3, CHANGED)),
    "topic": ("UPDATE stored_events SET topic = 'test.Other' WHERE {at}", Fault("b", 3, CHANGED)),
    "hash": ("UPDATE stored_events SET hash = sha256(hash) WHERE {at}", Fault("b", 3, CHANGED)),
    "previous hash": ("UPDATE stored_events SET prev_hash = sha256(hash) WHERE {at}", Fault("b", 3, UNCHAINED)),
    "removed": ("DELETE FROM stored_events WHERE {at}", Fault("b", 4, "version 4 follows 2")),
    "removed first": (
        "DELETE FROM stored_events WHERE originator_id = 'b' AND originator_version = 1",
        Fault("b", 2, "version 2 follows 0"),
    ),
    "removed and closed up": (
        "DELETE FROM stored_events WHERE {at};"
        "UPDATE stored_events SET originator_version = 3 WHERE originator_id = 'b' AND originator_version = 4",
        Fault("b", 3, UNCHAINED),
    ),
    "reordered": (
        "UPDATE stored_events SET originator_version = -3 WHERE {at};"
        "UPDATE stored_events SET originator_version = 3 WHERE originator_id = 'b' AND originator_version = 4;"
        "UPDATE stored_events SET originator_version = 4 WHERE originator_id = 'b' AND originator_version = -3",
        Fault("b", 3, UNCHAINED),
    ),
    "moved to another stream": (
        "UPDATE stored_events SET originator_id = 'c', originator_version = 5"
        " WHERE originator_id = 'b' AND originator_version = 5",
        Fault("c", 5, UNCHAINED),
    ),
    "two states swapped": (
        "UPDATE stored_events AS s SET state = o.state FROM stored_events AS o"
        " WHERE s.originator_id = 'b' AND o.originator_id = 'b'"
        " AND (s.originator_version, o.originator_version) IN ((3, 4), (4, 3))",
        Fault("b", 3, CHANGED),
    ),
}


@pytest_asyncio.fixture
async def forger(pool: asyncpg.Pool[Any], owner: Any) -> Any:
    """The owner with the triggers off, over the streams a (2 events), b (5) and c (4)."""
    await PostgresEventStore(pool).append([*events("b", 1, 5), *events("c", 1, 4), *events("a", 1, 2)])
    await owner.execute("ALTER TABLE stored_events DISABLE TRIGGER USER")
    return owner


async def found(conn: Any) -> list[Fault]:
    return [fault async for fault in verify.faults(conn)]


@pytest.mark.asyncio
async def test_a_sound_log_has_no_fault(forger: Any, pool: asyncpg.Pool[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    for page in (1, 3, 5, 11, 5_000):
        monkeypatch.setattr(verify, "PAGE_MAX", page)
        read.clear()
        assert [fault async for fault in verify.faults(pool, read.append)] == []
        assert sum(read) == 11


@pytest.mark.asyncio
async def test_an_empty_log_has_no_fault(pool: asyncpg.Pool[Any]) -> None:
    assert await found(pool) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forgery_is_found(
    forger: Any, pool: asyncpg.Pool[Any], forgery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements, expected = FORGERIES[forgery]
    await forger.execute(statements.format(at="originator_id = 'b' AND originator_version = 3"))
    for page in (1, 3, 5_000):
        monkeypatch.setattr(verify, "PAGE_MAX", page)
        assert await found(pool) == [expected]


@pytest.mark.asyncio
async def test_a_forger_who_reckons_the_hash_anew_breaks_the_event_after(forger: Any, pool: asyncpg.Pool[Any]) -> None:
    row = await forger.fetchrow("SELECT * FROM stored_events WHERE originator_id = 'b' AND originator_version = 3")
    forged = chain(row["prev_hash"], "b", 3, row["topic"], b"forged")
    sql = "UPDATE stored_events SET state = $1, hash = $2 WHERE originator_id = 'b' AND originator_version = 3"
    await forger.execute(sql, b"forged", forged)
    assert await found(pool) == [Fault("b", 4, UNCHAINED)]


@pytest.mark.asyncio
async def test_each_stream_is_judged_by_itself(forger: Any, pool: asyncpg.Pool[Any]) -> None:
    await forger.execute("UPDATE stored_events SET state = 'forged' WHERE originator_version = 2")
    assert await found(pool) == [Fault("a", 2, CHANGED), Fault("b", 2, CHANGED), Fault("c", 2, CHANGED)]
