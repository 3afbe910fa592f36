"""The database as migrated: the shared tables have their canonical shape, and history cannot be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import pytest

import chassis
import eventstore
from testkit.postgres import DatabaseFactory

CANONICAL = [
    *sorted((Path(chassis.__file__).parent / "sql").glob("*.sql")),
    Path(eventstore.__file__).parent / "schema.sql",
]
SHAPE = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid) AS default_value
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1, 2
"""
RULES = """
SELECT c.relname, pg_get_constraintdef(k.oid) AS rule FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
WHERE c.relnamespace = 'public'::regnamespace
UNION ALL SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT c.relname, pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
          WHERE NOT t.tgisinternal
UNION ALL SELECT table_name, privilege_type FROM information_schema.role_table_grants
          WHERE grantee = 'deployments_app' AND table_schema = 'public'
ORDER BY 1, 2
"""


async def shape(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """Table → its columns, rules, indexes, triggers and grants."""
    conn = await asyncpg.connect(dsn)
    try:
        rows = [*await conn.fetch(SHAPE), *await conn.fetch(RULES)]
    finally:
        await conn.close()
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(tuple(row)[1:])
    return found


@pytest.mark.asyncio
async def test_the_shared_tables_have_their_canonical_shape(database: Any, make_database: DatabaseFactory) -> None:
    reference = make_database("deployments")
    owner = await asyncpg.connect(reference.owner_dsn)
    for file in CANONICAL:
        await owner.execute(file.read_text().replace("{app}", reference.app_role))
    await owner.close()
    expected = await shape(reference.owner_dsn)
    migrated = await shape(database.owner_dsn)
    assert expected.keys() >= {"stored_events", "outbox", "inbox", "consumer_offsets", "dead_letters"}
    assert {table: migrated.get(table) for table in expected} == expected


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "change", ["UPDATE stored_events SET topic = 'x'", "DELETE FROM stored_events", "TRUNCATE stored_events"]
)
async def test_history_cannot_be_changed_by_the_service_nor_by_its_owner(
    house: Any, database: Any, change: str
) -> None:
    await house.request("d-1")
    await house.consume()
    for dsn in (database.app_dsn, database.owner_dsn):
        conn = await asyncpg.connect(dsn)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(change)
        await conn.close()
    assert await house.fetchval("SELECT count(*) FROM stored_events") == 1
