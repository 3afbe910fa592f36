"""Appends records to the log: gapless offsets per partition, visible in commit order.

An advisory lock per topic and partition, taken in order of its number and held to the commit, lets one append at a
time into a partition: whoever reads forward misses none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import asyncpg

from chassis.bus.headers import pack_headers
from chassis.bus.partitioning import partition_of
from chassis.bus.port import OutgoingRecord, TopicPartition, UnknownTopic, refuse_too_large
from chassis.bus.postgres_log.channels import NOTIFY, RECORDS
from chassis.bus.postgres_log.errors import operational_errors

APPEND_MAX_RECORDS = 1000
APPEND_MAX_BYTES = 8 * 1024 * 1024

_PARTITIONS_OF = "SELECT partitions FROM topics WHERE name = $1"
_LOCK = "SELECT pg_advisory_xact_lock(number) FROM unnest($1::bigint[]) AS number"
_ADVANCE = """
UPDATE partitions AS p SET next_offset = p.next_offset + n.added
FROM unnest($1::text[], $2::int[], $3::int[]) AS n (topic, partition, added)
WHERE p.topic = n.topic AND p.partition = n.partition
RETURNING p.topic, p.partition, p.next_offset - n.added AS first_offset
"""
_INSERT = """
INSERT INTO records (topic, partition, "offset", key, value, headers, size_bytes)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[], $7::int[])
"""

Placed = tuple[TopicPartition, OutgoingRecord]


class PostgresProducer:
    """A ``Producer`` on the PostgreSQL log."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool
        self._partitions: dict[str, int] = {}

    async def start(self) -> None:
        """See the port."""
        with operational_errors("starting a producer"):
            await self._pool.fetchval("SELECT 1")

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """See the port."""
        refuse_too_large(records)
        with operational_errors("publishing"):
            placed = [await self._place(record) for record in records]
            for chunk in _chunks(placed):
                await self._append(chunk)

    async def close(self) -> None:
        """The pool is the bus's."""

    async def _place(self, record: OutgoingRecord) -> Placed:
        count = self._partitions.get(record.topic)
        if count is None:
            count = await self._pool.fetchval(_PARTITIONS_OF, record.topic)
            if count is None:
                raise UnknownTopic(record.topic)
            self._partitions[record.topic] = count
        return TopicPartition(record.topic, partition_of(record.key, count)), record

    async def _append(self, placed: Sequence[Placed]) -> None:
        counts = Counter(partition for partition, _ in placed)
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, sorted(_lock_number(partition) for partition in counts))
            first = await _advance(connection, counts)
            await connection.execute(_INSERT, *_columns(placed, first))
            await connection.execute(NOTIFY, RECORDS, "")


async def _advance(connection: Any, counts: Counter[TopicPartition]) -> dict[TopicPartition, int]:
    """Reserve the offsets; answers the first one per partition."""
    topics = [partition.topic for partition in counts]
    numbers = [partition.partition for partition in counts]
    rows = await connection.fetch(_ADVANCE, topics, numbers, list(counts.values()))
    return {TopicPartition(row["topic"], row["partition"]): row["first_offset"] for row in rows}


def _columns(placed: Sequence[Placed], first: dict[TopicPartition, int]) -> tuple[list[Any], ...]:
    upcoming = dict(first)
    offsets = []
    for partition, _ in placed:
        offsets.append(upcoming[partition])
        upcoming[partition] += 1
    return (
        [partition.topic for partition, _ in placed],
        [partition.partition for partition, _ in placed],
        offsets,
        [record.key for _, record in placed],
        [record.value for _, record in placed],
        [pack_headers(record.headers) for _, record in placed],
        [record.size_bytes for _, record in placed],
    )


def _chunks(placed: Sequence[Placed]) -> Iterator[list[Placed]]:
    """Runs that fit into one transaction, in order."""
    chunk: list[Placed] = []
    size = 0
    for entry in placed:
        record_size = entry[1].size_bytes
        if chunk and (len(chunk) == APPEND_MAX_RECORDS or size + record_size > APPEND_MAX_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += record_size
    if chunk:
        yield chunk


def _lock_number(partition: TopicPartition) -> int:
    """A stable 64-bit number; two partitions with the same one would only wait for each other."""
    name = f"{partition.topic}\x1f{partition.partition}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), signed=True)
