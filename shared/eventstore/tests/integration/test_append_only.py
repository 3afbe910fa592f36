"""History cannot be changed: the app's role lacks the rights, and triggers refuse even the table's owner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from embedded.provisioning import DatabaseAccess
from eventstore.postgres import PostgresEventStore
from testkit.conformance.eventstore import events, everything

CHANGES = [
    "UPDATE stored_events SET state = 'forged'",
    "UPDATE stored_events SET recorded_at = now() WHERE originator_id = 'a'",
    "DELETE FROM stored_events WHERE originator_version = 2",
    "TRUNCATE stored_events",
    "TRUNCATE stored_events, projection_checkpoints RESTART IDENTITY CASCADE",
    "INSERT INTO stored_events (originator_id, originator_version, topic, state, prev_hash, hash)"
    " VALUES ('a', 1, 't', '', '', '')"
    " ON CONFLICT (originator_id, originator_version) DO UPDATE SET state = excluded.state",
    "MERGE INTO stored_events s USING (SELECT 'a' AS id) AS n ON s.originator_id = n.id WHEN MATCHED THEN DELETE",
]
WAYS_AROUND = [
    "ALTER TABLE stored_events DISABLE TRIGGER ALL",
    "DROP TRIGGER stored_events_keep_rows ON stored_events",
    "DROP TABLE stored_events",
    "ALTER TABLE stored_events ALTER COLUMN state TYPE text USING 'forged'",
    "CREATE OR REPLACE FUNCTION refuse_change_of_history() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
    "SET session_replication_role = replica",
    "SELECT setval('stored_events_notification_id_seq', 1)",
    "SELECT 1 FROM stored_events FOR UPDATE",
    "DELETE FROM projection_checkpoints",
]


@pytest_asyncio.fixture
async def history(pool: asyncpg.Pool[Any]) -> AsyncIterator[None]:
    """Three events, which are there unchanged in the end."""
    store = PostgresEventStore(pool)
    await store.append([*events("a", 1, 2), *events("b", 1)])
    before = await everything(store)
    yield
    assert await everything(store) == before


@pytest.mark.asyncio
@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("statement", CHANGES)
async def test_the_app_has_no_right_to_change_events(pool: asyncpg.Pool[Any], statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for table stored_events"):
        await pool.execute(statement)


@pytest.mark.asyncio
@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("statement", WAYS_AROUND)
async def test_the_app_has_no_way_around(pool: asyncpg.Pool[Any], statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)


@pytest.mark.asyncio
@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("statement", CHANGES)
async def test_triggers_refuse_the_owner(owner: Any, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=r"stored events are append-only: [A-Z]+ refused"):
        await owner.execute(statement)


@pytest.mark.asyncio
async def test_the_app_s_rights_are_these_and_no_more(owner: Any, events_database: DatabaseAccess) -> None:
    rows = await owner.fetch(
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = $1",
        events_database.app_role,
    )
    assert {(row["table_name"], row["privilege_type"]) for row in rows} == {
        ("stored_events", "SELECT"),
        ("stored_events", "INSERT"),
        ("projection_checkpoints", "SELECT"),
        ("projection_checkpoints", "INSERT"),
        ("projection_checkpoints", "UPDATE"),
    }
