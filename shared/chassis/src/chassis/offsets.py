"""What an operator may see and set of how far consumers and relays came.

Going back is safe: what is heard again is known by its id or its reference. Every change fences the consumer that runs
(see ``chassis.inbox``), which ends and begins at the new place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# Sorted, so that two who lock several rows lock them in the same order; so does chassis.inbox.
_OFFSETS = """
SELECT consumer_group, topic, partition, next_offset, last_record, owner, claimed_at
FROM consumer_offsets ORDER BY 1, 2, 3
"""
_RESET = """
WITH chosen AS (
    SELECT consumer_group, topic, partition FROM consumer_offsets
    WHERE topic = $1 AND ($2::int IS NULL OR partition = $2) AND ($3::text IS NULL OR consumer_group = $3)
    ORDER BY 1, 2, 3 FOR UPDATE
)
UPDATE consumer_offsets AS o
SET next_offset = $4, last_record = NULL, owner = $5, owner_epoch = o.owner_epoch + 1, claimed_at = clock_timestamp()
FROM chosen AS c WHERE (o.consumer_group, o.topic, o.partition) = (c.consumer_group, c.topic, c.partition)
RETURNING o.consumer_group, o.topic, o.partition, o.next_offset, o.last_record, o.owner, o.claimed_at
"""
_RELAYS = "SELECT name, position, moved_at FROM relay_positions ORDER BY name"
# Forward would pass over what was not published yet.
_SET_BACK = """
UPDATE relay_positions SET position = $2, moved_at = clock_timestamp() WHERE name = $1 AND position >= $2
RETURNING name, position, moved_at
"""


@dataclass(frozen=True, slots=True)
class ConsumerOffset:
    """Where a group goes on in one partition; ``next_offset`` None: at the log's earliest record."""

    group: str
    topic: str
    partition: int
    next_offset: int | None
    last_record: str | None
    owner: str
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class RelayPosition:
    """Up to where a source was published."""

    relay: str
    position: int
    moved_at: datetime


async def read_offsets(conn: Any) -> Sequence[ConsumerOffset]:
    """All groups' places, in order."""
    return [ConsumerOffset(*row) for row in await conn.fetch(_OFFSETS)]


async def read_relays(conn: Any) -> Sequence[RelayPosition]:
    """All relays' positions, by name."""
    return [RelayPosition(*row) for row in await conn.fetch(_RELAYS)]


async def reset_offsets(
    conn: Any, topic: str, *, partition: int | None, group: str | None, next_offset: int | None, by: str
) -> Sequence[ConsumerOffset]:
    """Let the topic begin anew at ``next_offset`` (None: at the earliest record), in whatever log is there then.

    Answers what was set: all partitions and groups, or those that are named.
    """
    rows = await conn.fetch(_RESET, topic, partition, group, next_offset, by)
    return sorted((ConsumerOffset(*row) for row in rows), key=lambda one: (one.group, one.partition))


async def set_relay_back(conn: Any, relay: str, position: int) -> RelayPosition | None:
    """Publish what comes after ``position`` again; None when there is no such relay, or it did not come that far."""
    row = await conn.fetchrow(_SET_BACK, relay, position)
    return None if row is None else RelayPosition(*row)
