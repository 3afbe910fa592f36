"""Records to be published, written with the change that they tell of, in the caller's transaction.

``enqueue`` must be the transaction's last lock: it holds the outbox lane to the commit, so that position order is
commit order and a relay that reads forward misses nothing. Publishing is the relay's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.bus.headers import pack_headers, unpack_headers
from chassis.bus.port import OutgoingRecord, refuse_too_large

OUTBOX_LANE = 0x6F757462_6F780001
"""Number of the advisory lock, per database."""
RETAIN_S = 24 * 3600
PRUNE_MAX_ROWS = 5_000

_LANE = "SELECT pg_advisory_xact_lock($1)"
_INSERT = """
INSERT INTO outbox (topic, key, value, headers)
SELECT topic, key, value, headers
FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[]) WITH ORDINALITY AS r (topic, key, value, headers, place)
ORDER BY place
"""
_READ = "SELECT position, topic, key, value, headers FROM outbox WHERE position > $1 ORDER BY position LIMIT $2"
_LAST = "SELECT coalesce(max(position), 0) FROM outbox"
_PRUNE = """
DELETE FROM outbox WHERE position IN (
    SELECT position FROM outbox WHERE position <= $1 ORDER BY position LIMIT $3
) AND enqueued_at < clock_timestamp() - make_interval(secs => $2)
"""


async def enqueue(conn: Any, records: Sequence[OutgoingRecord]) -> None:
    """Add ``records`` in order, to be published once ``conn``'s transaction commits.

    Raises RecordTooLarge before anything is written. Call it last: whatever else is locked after it stops every
    other writer of the outbox meanwhile.
    """
    if not records:
        return
    refuse_too_large(records)
    if not conn.is_in_transaction():
        raise RuntimeError("enqueue belongs into the transaction that made the change")
    await conn.execute(_LANE, OUTBOX_LANE)
    await conn.execute(
        _INSERT,
        [record.topic for record in records],
        [record.key for record in records],
        [record.value for record in records],
        [pack_headers(record.headers) for record in records],
    )


class OutboxSource:
    """The outbox as a ``RelaySource``.

    Published rows stay for ``retain_s``, so that a bus that lost its data can be fed again by setting the relay's
    position back.
    """

    name = "outbox"

    def __init__(self, *, retain_s: float = RETAIN_S) -> None:
        self._retain_s = retain_s

    async def read_after(self, conn: Any, position: int, limit: int) -> tuple[int, Sequence[OutgoingRecord]]:
        """The last position read, and the records after ``position``."""
        rows = await conn.fetch(_READ, position, limit)
        records = [
            OutgoingRecord(row["topic"], row["key"], row["value"], unpack_headers(row["headers"])) for row in rows
        ]
        return (rows[-1]["position"] if rows else position), records

    async def last_position(self, conn: Any) -> int:
        """Of what is there: 0 when all was published and forgotten."""
        last: int = await conn.fetchval(_LAST)
        return last

    async def prune(self, conn: Any, upto: int) -> int:
        """Forget old rows that were published; answers how many."""
        status = await conn.execute(_PRUNE, upto, float(self._retain_s), PRUNE_MAX_ROWS)
        return int(status.rpartition(" ")[2])
