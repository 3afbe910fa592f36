"""Messages that were given up on: kept with their reason, listed, read, redriven.

Parking is part of the consumer's transaction: the row, and through the outbox the copy on ``<topic>.dead-letter``. A
parked message has no inbox row, since it had no effect; so its redrive, which carries the original ``ce_id``, passes
the inbox of the group that parked it. A header names that group: all other groups skip the redriven record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.bus.headers import pack_headers, unpack_headers
from chassis.bus.port import RECORD_MAX_BYTES, Headers, OutgoingRecord, Record
from chassis.errors import PoisonMessage
from chassis.outbox import enqueue
from contracts.topics import dead_letter_topic

REDRIVEN_FOR = "gridledger_redriven_for"
"""Header of a redriven record: the only group that it is for."""
DETAIL_MAX_CHARS = 2_000
LIST_MAX = 500
_ATTRIBUTE_MAX_CHARS = 255

_PARK = """
INSERT INTO dead_letters (consumer_group, topic, partition, "offset", key, value, headers,
                          message_id, message_type, reason, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id
"""
_COLUMNS = """
id, consumer_group, topic, partition, "offset", key, value, headers, message_id, message_type, reason, detail, status,
parked_at, settled_at, settled_by
"""
_LIST = f"""
SELECT {_COLUMNS} FROM dead_letters
WHERE id > $1 AND ($2::text IS NULL OR status = $2) ORDER BY id LIMIT $3
"""  # noqa: S608 - the columns are ours
_COUNT = "SELECT count(*) FROM dead_letters WHERE status = 'parked' AND consumer_group = $1"
_READ = f"SELECT {_COLUMNS} FROM dead_letters WHERE id = $1"  # noqa: S608 - the columns are ours
_SETTLE = f"""
UPDATE dead_letters SET status = $2, settled_at = clock_timestamp(), settled_by = $3
WHERE id = ANY ($1::bigint[]) AND status = 'parked' RETURNING {_COLUMNS}
"""  # noqa: S608 - the columns are ours


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message given up on. ``settled_by`` names who redrove or discarded it."""

    id: int
    consumer_group: str
    record: Record
    message_id: str | None
    message_type: str | None
    reason: str
    detail: str
    status: str
    parked_at: datetime
    settled_at: datetime | None
    settled_by: str | None


async def park(conn: Any, group: str, record: Record, error: PoisonMessage) -> int:
    """Keep ``record`` with the error's reason and detail; answers the dead letter's id. Call it last (outbox lane)."""
    detail = storable(error.detail, DETAIL_MAX_CHARS)
    parked: int = await conn.fetchval(
        _PARK,
        group,
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value,
        pack_headers(record.headers),
        _attribute(record, "ce_id"),
        _attribute(record, "ce_type"),
        error.reason,
        detail,
    )
    await enqueue(conn, [_copy(group, record, error.reason, detail)])
    return parked


async def list_parked(
    conn: Any, *, after: int = 0, limit: int = 50, status: str | None = "parked"
) -> Sequence[DeadLetter]:
    """Dead letters by id, those after ``after``; of every status when that is None."""
    return [_dead_letter(row) for row in await conn.fetch(_LIST, after, status, min(limit, LIST_MAX))]


async def count_parked(conn: Any, group: str) -> int:
    """How many messages of the group are parked now."""
    parked: int = await conn.fetchval(_COUNT, group)
    return parked


async def read(conn: Any, dead_letter_id: int) -> DeadLetter | None:
    """One dead letter, whatever its status."""
    row = await conn.fetchrow(_READ, dead_letter_id)
    return None if row is None else _dead_letter(row)


async def redrive(conn: Any, dead_letter_ids: Sequence[int], *, by: str) -> Sequence[int]:
    """Send parked messages again to their topic, for their group only; answers the ids that were still parked.

    In the caller's transaction; ``by`` names the operator. A message that fails again is parked anew.
    """
    rows = await conn.fetch(_SETTLE, sorted(dead_letter_ids), "redriven", by)
    letters = sorted((_dead_letter(row) for row in rows), key=lambda letter: letter.id)
    await enqueue(conn, [_again(letter) for letter in letters])
    return [letter.id for letter in letters]


async def discard(conn: Any, dead_letter_ids: Sequence[int], *, by: str) -> Sequence[int]:
    """Give parked messages up for good; they stay readable. Answers the ids that were still parked."""
    return sorted(row["id"] for row in await conn.fetch(_SETTLE, sorted(dead_letter_ids), "discarded", by))


def storable(text: str, max_chars: int) -> str:
    """``text`` as PostgreSQL can store it: no NUL, no lone surrogates, not longer than that."""
    encodable = text.replace("\x00", "\\u0000").encode("utf-8", "backslashreplace").decode()
    return encodable[:max_chars]


def _attribute(record: Record, name: str) -> str | None:
    value = next((value for header, value in record.headers if header == name), None)
    return None if value is None else storable(value.decode("utf-8", "backslashreplace"), _ATTRIBUTE_MAX_CHARS)


def _copy(group: str, record: Record, reason: str, detail: str) -> OutgoingRecord:
    """What goes to the dead-letter topic. One that grew too large goes without its value; the row has it."""
    about: Headers = (
        ("dead_letter_reason", reason.encode()),
        ("dead_letter_detail", detail.encode()),
        ("dead_letter_group", group.encode()),
        ("dead_letter_origin", f"{record.topic}/{record.partition}/{record.offset}".encode()),
    )
    topic = dead_letter_topic(record.topic)
    copy = OutgoingRecord(topic, record.key, record.value, record.headers + about)
    if copy.size_bytes <= RECORD_MAX_BYTES:
        return copy
    return OutgoingRecord(topic, record.key[:_ATTRIBUTE_MAX_CHARS], b"", (*about, ("dead_letter_truncated", b"true")))


def _again(letter: DeadLetter) -> OutgoingRecord:
    record = letter.record
    original = tuple(header for header in record.headers if header[0] != REDRIVEN_FOR)
    headers = (*original, (REDRIVEN_FOR, letter.consumer_group.encode()))
    return OutgoingRecord(record.topic, record.key, record.value, headers)


def _dead_letter(row: Any) -> DeadLetter:
    record = Record(
        row["topic"],
        row["key"],
        row["value"],
        unpack_headers(row["headers"]),
        partition=row["partition"],
        offset=row["offset"],
        timestamp_ms=int(row["parked_at"].timestamp() * 1000),
    )
    return DeadLetter(
        id=row["id"],
        consumer_group=row["consumer_group"],
        record=record,
        message_id=row["message_id"],
        message_type=row["message_type"],
        reason=row["reason"],
        detail=row["detail"],
        status=row["status"],
        parked_at=row["parked_at"],
        settled_at=row["settled_at"],
        settled_by=row["settled_by"],
    )
