"""Messages that came too early, kept under the reference that will end their wait.

Holding and taking are parts of the consumer's transaction; a waiting message has no inbox row, since it had no effect
yet. Who makes a reference releases those that wait for it; a sweep retries the rest with growing pauses, so that one
that began to wait just as its reference was made is not forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.bus.headers import pack_headers, unpack_headers
from chassis.bus.port import Record
from chassis.dead_letters import storable

FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 3600.0
LIST_MAX = 500
REFERENCE_MAX_CHARS = 500

_HOLD = """
INSERT INTO waiting_messages (consumer_group, waits_for, message_id, topic, partition, "offset", timestamp_ms,
                              key, value, headers, attempts, next_attempt_at)
VALUES ($1, $2, $3::uuid, $4, $5, $6, $7, $8, $9, $10, $11, clock_timestamp() + make_interval(secs => $12))
ON CONFLICT (consumer_group, message_id) DO UPDATE
SET waits_for = excluded.waits_for, next_attempt_at = excluded.next_attempt_at,
    attempts = greatest(waiting_messages.attempts, excluded.attempts)
"""
_COLUMNS = """
id, consumer_group, waits_for, message_id, topic, partition, "offset", timestamp_ms, key, value, headers, attempts,
held_at
"""
_RELEASE = f"""
DELETE FROM waiting_messages WHERE id IN (
    SELECT id FROM waiting_messages WHERE consumer_group = $1 AND waits_for = ANY ($2::text[])
    ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
) RETURNING {_COLUMNS}
"""  # noqa: S608 - the columns are ours
_RELEASE_DUE = f"""
DELETE FROM waiting_messages WHERE id IN (
    SELECT id FROM waiting_messages WHERE consumer_group = $1 AND next_attempt_at <= clock_timestamp()
    ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING {_COLUMNS}
"""  # noqa: S608 - the columns are ours
_TAKE = f"""
DELETE FROM waiting_messages WHERE id = (
    SELECT id FROM waiting_messages WHERE id = $1 FOR UPDATE SKIP LOCKED
) RETURNING {_COLUMNS}
"""  # noqa: S608 - the columns are ours
_FIND = """
SELECT id FROM waiting_messages WHERE consumer_group = $1 AND waits_for = ANY ($2::text[]) ORDER BY id LIMIT $3
"""
_FIND_DUE = """
SELECT id FROM waiting_messages WHERE consumer_group = $1 AND next_attempt_at <= clock_timestamp()
ORDER BY next_attempt_at LIMIT $2
"""
_LIST = f"""
SELECT {_COLUMNS} FROM waiting_messages WHERE consumer_group = $1 AND id > $2 ORDER BY id LIMIT $3
"""  # noqa: S608 - the columns are ours


@dataclass(frozen=True, slots=True)
class Held:
    """A waiting message. ``attempts`` counts how often it was tried and found too early."""

    id: int
    waits_for: str
    record: Record
    attempts: int
    held_at: datetime


async def hold(conn: Any, group: str, record: Record, waits_for: str, *, attempts: int = 1) -> None:
    """Keep ``record`` until ``waits_for`` is released or its time comes. A repeat of the same message is one row.

    ``attempts`` is how often it was tried, this time included: the pause before the sweep retries grows with it.
    """
    pause_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(attempts - 1, 20))
    await conn.execute(
        _HOLD,
        group,
        _reference(waits_for),
        _message_id(record),
        record.topic,
        record.partition,
        record.offset,
        record.timestamp_ms,
        record.key,
        record.value,
        pack_headers(record.headers),
        attempts,
        pause_s,
    )


async def release(conn: Any, group: str, waits_for: Collection[str], *, limit: int = LIST_MAX) -> Sequence[Held]:
    """Take out what waits for any of these references, oldest first, to be handled in the caller's transaction.

    If that rolls back, they wait on. Those that somebody else is handling at this moment are left to them.
    """
    return _in_order(await conn.fetch(_RELEASE, group, _references(waits_for), limit)) if waits_for else []


async def release_due(conn: Any, group: str, *, limit: int = LIST_MAX) -> Sequence[Held]:
    """Take out what it is time to try again; else like ``release``."""
    return _in_order(await conn.fetch(_RELEASE_DUE, group, limit))


async def find(conn: Any, group: str, waits_for: Collection[str], *, limit: int = LIST_MAX) -> Sequence[int]:
    """Ids of what waits for any of these references, oldest first: to be taken one by one."""
    return [row["id"] for row in await conn.fetch(_FIND, group, _references(waits_for), limit)] if waits_for else []


async def find_due(conn: Any, group: str, *, limit: int = LIST_MAX) -> Sequence[int]:
    """Ids of what it is time to try again, the longest due first."""
    return [row["id"] for row in await conn.fetch(_FIND_DUE, group, limit)]


async def take(conn: Any, waiting_id: int) -> Held | None:
    """Take one message out, to be handled in the caller's transaction; None when somebody else has it or had it."""
    row = await conn.fetchrow(_TAKE, waiting_id)
    return None if row is None else _held(row)


async def list_waiting(conn: Any, group: str, *, after: int = 0, limit: int = 50) -> Sequence[Held]:
    """What waits, by id, for operators."""
    return _in_order(await conn.fetch(_LIST, group, after, min(limit, LIST_MAX)))


def _reference(text: str) -> str:
    return storable(text, REFERENCE_MAX_CHARS)


def _references(texts: Collection[str]) -> list[str]:
    return sorted({_reference(text) for text in texts})


def _message_id(record: Record) -> str:
    return next(value for name, value in record.headers if name == "ce_id").decode()


def _in_order(rows: Sequence[Any]) -> Sequence[Held]:
    return [_held(row) for row in sorted(rows, key=lambda row: row["id"])]


def _held(row: Any) -> Held:
    record = Record(
        row["topic"],
        row["key"],
        row["value"],
        unpack_headers(row["headers"]),
        partition=row["partition"],
        offset=row["offset"],
        timestamp_ms=row["timestamp_ms"],
    )
    return Held(row["id"], row["waits_for"], record, row["attempts"], row["held_at"])
