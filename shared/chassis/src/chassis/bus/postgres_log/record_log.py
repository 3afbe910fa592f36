"""Reads the log: bounds of partitions and runs of records. Never writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import asyncpg

from chassis.bus.bell import Bell
from chassis.bus.headers import unpack_headers
from chassis.bus.log_backend import Bounds, Share
from chassis.bus.port import Record, TopicPartition
from chassis.bus.postgres_log.errors import operational_errors

_BOUNDS = """
SELECT p.topic, p.partition, p.start_offset, p.next_offset
FROM unnest($1::text[], $2::int[]) AS w (topic, partition) JOIN partitions AS p USING (topic, partition)
"""
# The running sum lets the first record through whatever its size, then stops at the limit.
_READ = """
SELECT w.topic, w.partition, r."offset", r.key, r.value, r.headers, r.timestamp_ms
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS w (topic, partition, position)
CROSS JOIN LATERAL (
    SELECT page.*, sum(page.size_bytes) OVER (ORDER BY page."offset") - page.size_bytes AS bytes_before
    FROM (
        SELECT "offset", key, value, headers, size_bytes,
               (extract(epoch FROM appended_at) * 1000)::bigint AS timestamp_ms
        FROM records
        WHERE topic = w.topic AND partition = w.partition AND "offset" >= w.position
        ORDER BY "offset" LIMIT $4
    ) AS page
) AS r
WHERE r.bytes_before < $5
ORDER BY w.topic, w.partition, r."offset"
"""


class PostgresRecordLog:
    """A ``RecordLog`` on PostgreSQL."""

    def __init__(self, pool: asyncpg.Pool[Any], news: Bell) -> None:
        self._pool = pool
        self._news = news

    @property
    def news(self) -> Bell:
        """Rings when a notification came."""
        return self._news

    async def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        """See the port."""
        topics, numbers = columns_of(partitions)
        with operational_errors("looking for records"):
            rows = await self._pool.fetch(_BOUNDS, topics, numbers)
        return {
            TopicPartition(row["topic"], row["partition"]): Bounds(row["start_offset"], row["next_offset"])
            for row in rows
        }

    async def read(self, positions: Mapping[TopicPartition, int], share: Share) -> list[Record]:
        """See the port."""
        topics, numbers = columns_of(positions)
        offsets = list(positions.values())
        with operational_errors("reading records"):
            rows = await self._pool.fetch(_READ, topics, numbers, offsets, share.max_records, share.max_bytes)
        return [_record(row) for row in rows]


def columns_of(partitions: Collection[TopicPartition]) -> tuple[list[str], list[int]]:
    """Topics and partition numbers as two parallel arrays."""
    return [partition.topic for partition in partitions], [partition.partition for partition in partitions]


def _record(row: Any) -> Record:
    return Record(
        row["topic"],
        row["key"],
        row["value"],
        unpack_headers(row["headers"]),
        partition=row["partition"],
        offset=row["offset"],
        timestamp_ms=row["timestamp_ms"],
    )
