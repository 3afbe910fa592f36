"""Forgets records that are older than the retention. The bus is a road, not an archive: services keep their events.

Deletes page by page from each partition's start, never the bounds. A consumer that is further behind than the
retention gets OffsetOutOfRange, and a person decides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg

from chassis.bus.postgres_log.errors import operational_errors

RETENTION_DAYS = 7
PAGE_MAX_RECORDS = 5_000

# One at a time over all processes; who comes second has nothing to do.
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(1885563237)"
_PARTITIONS = "SELECT topic, partition FROM partitions WHERE start_offset < next_offset ORDER BY topic, partition"
_DELETE_PAGE = """
WITH page AS (
    SELECT "offset", appended_at FROM records
    WHERE topic = $1 AND partition = $2 ORDER BY "offset" LIMIT $4
), kept AS (
    SELECT min("offset") AS first FROM page WHERE appended_at >= clock_timestamp() - $3::interval
), gone AS (
    DELETE FROM records WHERE topic = $1 AND partition = $2
      AND "offset" <= (SELECT max("offset") FROM page)
      AND "offset" < coalesce((SELECT first FROM kept), 9223372036854775807)
    RETURNING "offset"
)
SELECT count(*) AS records, max("offset") + 1 AS start_offset FROM gone
"""
_MOVE_START = "UPDATE partitions SET start_offset = $3 WHERE topic = $1 AND partition = $2"


async def prune(pool: asyncpg.Pool[Any], older_than: timedelta, *, page_max_records: int = PAGE_MAX_RECORDS) -> int:
    """Delete the records older than that; answers how many. Raises OperationalError; what was deleted stays so."""
    with operational_errors("pruning"):
        partitions = await pool.fetch(_PARTITIONS)
        return sum([await _prune_partition(pool, row, older_than, page_max_records) for row in partitions])


async def _prune_partition(pool: asyncpg.Pool[Any], row: Any, older_than: timedelta, page_max: int) -> int:
    total = 0
    while True:
        deleted = await _prune_page(pool, row["topic"], row["partition"], older_than, page_max)
        total += deleted
        if deleted < page_max:
            return total


async def _prune_page(pool: asyncpg.Pool[Any], topic: str, partition: int, age: timedelta, page_max: int) -> int:
    async with pool.acquire() as connection, connection.transaction():
        if not await connection.fetchval(_TRY_LOCK):
            return 0
        deleted = await connection.fetchrow(_DELETE_PAGE, topic, partition, age, page_max)
        if deleted["records"]:
            await connection.execute(_MOVE_START, topic, partition, deleted["start_offset"])
        return int(deleted["records"])
