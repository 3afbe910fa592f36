"""One member of a consumer group on PostgreSQL: leases by the server's clock, partitions that change hands in order.

All changes of a group happen under its row's lock. Holds no records; what is consumed is nobody's business here but
for the committed offsets, which are a hint.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg

from chassis.bus.assignment import range_assignment
from chassis.bus.bell import Bell
from chassis.bus.log_backend import Evicted, Standing
from chassis.bus.port import TopicPartition
from chassis.bus.postgres_log.channels import GROUPS, NOTIFY
from chassis.bus.postgres_log.errors import operational_errors
from chassis.bus.postgres_log.record_log import columns_of

_ENSURE_GROUP = "INSERT INTO groups (name) VALUES ($1) ON CONFLICT DO NOTHING"
_LOCK_GROUP = "SELECT generation FROM groups WHERE name = $1 FOR NO KEY UPDATE"
_JOIN = """
INSERT INTO group_members (group_name, member, topics, lease_until)
VALUES ($1, $2, $3, clock_timestamp() + $4)
ON CONFLICT (group_name, member) DO UPDATE SET topics = excluded.topics, lease_until = excluded.lease_until
"""
# Stale: somebody else's lease ran out, or a topic was created that nobody was given yet.
_BEAT = """
UPDATE group_members AS m SET lease_until = clock_timestamp() + $3
WHERE m.group_name = $1 AND m.member = $2
RETURNING
    EXISTS (SELECT FROM group_members AS o
            WHERE o.group_name = $1 AND o.member <> $2 AND o.lease_until < clock_timestamp())
    OR (SELECT count(*) FROM partitions AS p WHERE p.topic = ANY (m.topics))
       <> (SELECT count(*) FROM group_partitions AS g WHERE g.group_name = $1 AND g.topic = ANY (m.topics))
    AS stale
"""
_STANDING = """
SELECT topic, partition, coalesce(target = $2, false) AS wanted, coalesce(holder = $2, false) AS held,
       holder IS NULL AS free
FROM group_partitions WHERE group_name = $1 AND (target = $2 OR holder = $2)
"""
_TAKE = """
UPDATE group_partitions SET holder = $2, epoch = epoch + 1
WHERE group_name = $1 AND target = $2 AND holder IS NULL
  AND EXISTS (SELECT FROM group_members WHERE group_name = $1 AND member = $2)
RETURNING topic, partition
"""
_RELEASE = """
UPDATE group_partitions AS g SET holder = NULL
FROM unnest($3::text[], $4::int[]) AS w (topic, partition)
WHERE g.group_name = $1 AND g.holder = $2 AND g.topic = w.topic AND g.partition = w.partition
"""
_LEAVE = "DELETE FROM group_members WHERE group_name = $1 AND member = $2 RETURNING member"
_EVICT = "DELETE FROM group_members WHERE group_name = $1 AND lease_until < clock_timestamp()"
_ADD_PARTITIONS = """
INSERT INTO group_partitions (group_name, topic, partition)
SELECT $1, topic, partition FROM partitions
WHERE topic IN (SELECT unnest(topics) FROM group_members WHERE group_name = $1)
ON CONFLICT DO NOTHING
"""
_FREE_ORPHANS = """
UPDATE group_partitions AS g SET holder = NULL
WHERE g.group_name = $1 AND g.holder IS NOT NULL
  AND NOT EXISTS (SELECT FROM group_members AS m WHERE m.group_name = $1 AND m.member = g.holder)
"""
_MEMBERS = "SELECT member, topics FROM group_members WHERE group_name = $1"
_COUNTS = "SELECT topic, count(*) AS partitions FROM group_partitions WHERE group_name = $1 GROUP BY topic"
_SET_TARGETS = """
UPDATE group_partitions AS g SET target = (
    SELECT w.member FROM unnest($2::text[], $3::int[], $4::text[]) AS w (topic, partition, member)
    WHERE w.topic = g.topic AND w.partition = g.partition)
WHERE g.group_name = $1
"""
_NEXT_GENERATION = "UPDATE groups SET generation = generation + 1 WHERE name = $1"
_COMMITTED = """
SELECT c.topic, c.partition, c.next_offset
FROM unnest($2::text[], $3::int[]) AS w (topic, partition) JOIN committed_offsets AS c USING (topic, partition)
WHERE c.group_name = $1
"""
_COMMIT = """
INSERT INTO committed_offsets (group_name, topic, partition, next_offset)
SELECT $1, w.topic, w.partition, w.next_offset
FROM unnest($3::text[], $4::int[], $5::bigint[]) AS w (topic, partition, next_offset)
JOIN group_partitions AS g USING (topic, partition)
WHERE g.group_name = $1 AND g.holder = $2
ORDER BY w.topic, w.partition
ON CONFLICT (group_name, topic, partition)
DO UPDATE SET next_offset = excluded.next_offset, committed_at = clock_timestamp()
"""


class PostgresGroupMember:
    """A ``GroupMember`` whose group lives in the bus's database."""

    def __init__(
        self,
        pool: asyncpg.Pool[Any],
        group: str,
        member: str,
        topics: Collection[str],
        session_timeout_s: float,
        changes: Bell,
    ) -> None:
        self._pool = pool
        self._group = group
        self._member = member
        self._topics = sorted(set(topics))
        self._lease = timedelta(seconds=session_timeout_s)
        self._changes = changes

    @property
    def changes(self) -> Bell:
        """Rings when a notification of this group came."""
        return self._changes

    async def join(self) -> None:
        """See the port."""
        with operational_errors("joining a group"):
            await self._pool.execute(_ENSURE_GROUP, self._group)
            async with self._locked() as connection:
                await connection.execute(_JOIN, self._group, self._member, self._topics, self._lease)
                await self._rebalance(connection)

    async def beat(self) -> Standing:
        """See the port."""
        with operational_errors("renewing a lease"):
            stale = await self._pool.fetchval(_BEAT, self._group, self._member, self._lease)
            if stale is None:
                raise Evicted(self._member)
            if stale:
                await self._rebalance_if_stale()
            rows = await self._pool.fetch(_STANDING, self._group, self._member)
        held = (row for row in rows if row["held"])
        wanted = (row for row in rows if row["wanted"])
        return Standing(_partitions(held), _partitions(wanted), any(row["free"] for row in rows))

    async def take(self) -> frozenset[TopicPartition]:
        """See the port."""
        with operational_errors("taking partitions"):
            async with self._locked() as connection:
                return _partitions(await connection.fetch(_TAKE, self._group, self._member))

    async def release(self, partitions: Collection[TopicPartition]) -> None:
        """See the port."""
        with operational_errors("releasing partitions"):
            async with self._locked() as connection:
                await connection.execute(_RELEASE, self._group, self._member, *columns_of(partitions))
                await connection.execute(NOTIFY, GROUPS, self._group)

    async def leave(self) -> None:
        """See the port."""
        with operational_errors("leaving a group"):
            async with self._locked() as connection:
                if await connection.fetchval(_LEAVE, self._group, self._member):
                    await self._rebalance(connection)

    async def committed(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See the port."""
        with operational_errors("reading committed offsets"):
            rows = await self._pool.fetch(_COMMITTED, self._group, *columns_of(partitions))
        return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def commit(self, next_offsets: Mapping[TopicPartition, int]) -> None:
        """See the port."""
        columns = (*columns_of(next_offsets), list(next_offsets.values()))
        with operational_errors("committing offsets"):
            await self._pool.execute(_COMMIT, self._group, self._member, *columns)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[Any]:
        """A transaction that holds the group's lock."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.fetchval(_LOCK_GROUP, self._group)
            yield connection

    async def _rebalance_if_stale(self) -> None:
        async with self._locked() as connection:
            if await connection.fetchval(_BEAT, self._group, self._member, self._lease):
                await self._rebalance(connection)

    async def _rebalance(self, connection: Any) -> None:
        """Evict the dead and say anew who should hold what. Under the group's lock."""
        await connection.execute(_EVICT, self._group)
        await connection.execute(_ADD_PARTITIONS, self._group)
        await connection.execute(_FREE_ORPHANS, self._group)
        members = await connection.fetch(_MEMBERS, self._group)
        counts = await connection.fetch(_COUNTS, self._group)
        targets = range_assignment(
            {row["member"]: row["topics"] for row in members}, {row["topic"]: row["partitions"] for row in counts}
        )
        await connection.execute(_SET_TARGETS, self._group, *columns_of(targets), list(targets.values()))
        await connection.execute(_NEXT_GENERATION, self._group)
        await connection.execute(NOTIFY, GROUPS, self._group)


def _partitions(rows: Iterable[Any]) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(row["topic"], row["partition"]) for row in rows)
