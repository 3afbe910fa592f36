"""Makes an effect happen once: offsets moved by compare-and-swap under an owner's epoch, and ids already handled.

Every function runs in the caller's transaction, the one of the effect. The epoch fences zombies: a consumer that lost
its partition moves no offset, and so applies nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import asyncpg
import structlog

from chassis.bus.headers import pack_headers
from chassis.bus.port import Record, TopicPartition
from chassis.bus.retry import passes
from chassis.runtime import StopSignal

log = structlog.get_logger(__name__)

INBOX_RETAIN_DAYS = 30
PRUNE_MAX_ROWS = 10_000
PRUNE_EVERY_S = 300.0

# Sorted, as everywhere here, so that two who lock several rows lock them in the same order.
_CLAIM = """
INSERT INTO consumer_offsets (consumer_group, topic, partition, owner, owner_epoch)
SELECT $1, topic, partition, $2, 1 FROM unnest($3::text[], $4::int[]) AS w (topic, partition) ORDER BY 2, 3
ON CONFLICT (consumer_group, topic, partition) DO UPDATE
SET owner = excluded.owner, owner_epoch = consumer_offsets.owner_epoch + 1, claimed_at = clock_timestamp()
RETURNING topic, partition, owner_epoch, next_offset, last_record
"""
_ADVANCE = """
UPDATE consumer_offsets AS o SET next_offset = n.next_offset, last_record = n.last_record
FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::text[])
  AS n (topic, partition, epoch, next_offset, last_record)
WHERE o.consumer_group = $1 AND o.topic = n.topic AND o.partition = n.partition
  AND o.owner_epoch = n.epoch AND (o.next_offset IS NULL OR o.next_offset < n.next_offset)
RETURNING o.topic, o.partition
"""
_OWNED = """
SELECT o.topic, o.partition FROM consumer_offsets AS o
JOIN unnest($2::text[], $3::int[], $4::bigint[]) AS n (topic, partition, epoch) USING (topic, partition)
WHERE o.consumer_group = $1 AND o.owner_epoch = n.epoch
"""
# Answers the known ones, as they were given: mostly none. An id in capitals is the same id, so it is compared as uuid.
_CLAIM_MESSAGES = """
WITH arrived AS (
    SELECT given, given::uuid AS message_id FROM unnest($2::text[]) AS m (given)
), claimed AS (
    INSERT INTO inbox (message_id, consumer_group) SELECT message_id, $1 FROM arrived ORDER BY message_id
    ON CONFLICT DO NOTHING RETURNING message_id
)
SELECT given FROM arrived WHERE message_id NOT IN (SELECT message_id FROM claimed)
"""
_PRUNE = """
DELETE FROM inbox WHERE ctid IN (
    SELECT ctid FROM inbox WHERE received_at < now() - make_interval(days => $1) LIMIT $2
)
"""


class Claim(NamedTuple):
    """What a new owner of a partition gets: its epoch, and where to go on (None: nothing was consumed yet).

    ``last_record``: the mark of the record before that, by which its log is known again; None where nobody kept one.
    """

    epoch: int
    next_offset: int | None
    last_record: str | None = None


def mark_of(record: Record) -> str:
    """What tells the record from any other that may ever stand at its offset: where, when, and a digest of what.

    Stored marks are compared with it, so it must never change. Begins with the offset: a mark that was left behind by
    whoever moved an offset without it is seen to be of another place.
    """
    digest = blake2b(digest_size=16)
    for part in (record.key, record.value, pack_headers(record.headers)):
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return f"{record.offset}/{record.timestamp_ms}/{digest.hexdigest()}"


async def claim_partitions(
    conn: Any, group: str, owner: str, partitions: Collection[TopicPartition]
) -> Mapping[TopicPartition, Claim]:
    """Become the owner of ``partitions``: whoever owned them before is fenced from now on."""
    topics, numbers = _columns(partitions)
    rows = await conn.fetch(_CLAIM, group, owner, topics, numbers)
    return {_partition(row): Claim(row["owner_epoch"], row["next_offset"], row["last_record"]) for row in rows}


async def advance_offsets(
    conn: Any, group: str, epochs: Mapping[TopicPartition, int], last_records: Mapping[TopicPartition, Record]
) -> set[TopicPartition]:
    """Move offsets past these records under the owner's epochs; answers the partitions that moved.

    One that did not move was lost to another owner, or stands there already (``still_owned`` tells which): in both
    cases the records up to that offset must not be applied.
    """
    topics, numbers = _columns(last_records)
    claimed = [epochs[partition] for partition in last_records]
    next_offsets = [record.offset + 1 for record in last_records.values()]
    marks = [mark_of(record) for record in last_records.values()]
    rows = await conn.fetch(_ADVANCE, group, topics, numbers, claimed, next_offsets, marks)
    return {_partition(row) for row in rows}


async def still_owned(conn: Any, group: str, epochs: Mapping[TopicPartition, int]) -> set[TopicPartition]:
    """Those of ``epochs`` that nobody claimed since."""
    topics, numbers = _columns(epochs)
    return {_partition(row) for row in await conn.fetch(_OWNED, group, topics, numbers, list(epochs.values()))}


async def claim_messages(conn: Any, group: str, message_ids: Iterable[str]) -> set[str]:
    """The ids that are new; from now on (once committed) they are known. Ids are UUIDs in their canonical text.

    Raises a data error for one that is no UUID. Ids are claimed in order, so that concurrent batches cannot deadlock.
    """
    ids = set(message_ids)
    known = await conn.fetch(_CLAIM_MESSAGES, group, list(ids))
    return ids.difference(row["given"] for row in known) if known else ids


async def prune_inbox(conn: Any, *, retain_days: int = INBOX_RETAIN_DAYS) -> int:
    """Forget ids older than that, up to PRUNE_MAX_ROWS; answers how many.

    A repeat that comes later than that would be applied again, were there no references for ever behind the inbox.
    """
    status = await conn.execute(_PRUNE, retain_days, PRUNE_MAX_ROWS)
    return int(status.rpartition(" ")[2])


async def run_inbox_pruning(pool: asyncpg.Pool[Any], stop: StopSignal, *, every_s: float = PRUNE_EVERY_S) -> None:
    """Prune now and then until stopped: a task of the process that consumes."""
    while not stop.is_set():
        try:
            pruned = await prune_inbox(pool)
        except Exception as error:
            if not passes(error):
                raise
            log.warning("inbox_prune_failed", error=str(error))
            pruned = 0
        if pruned < PRUNE_MAX_ROWS:
            await stop.wait_for(every_s)


def _columns(partitions: Iterable[TopicPartition]) -> tuple[list[str], list[int]]:
    listed = list(partitions)
    return [partition.topic for partition in listed], [partition.partition for partition in listed]


def _partition(row: Any) -> TopicPartition:
    return TopicPartition(row["topic"], row["partition"])
