"""The event store on PostgreSQL.

Every append takes the log's lane, an advisory lock, before positions are drawn, and holds it to the commit: so commit
order is log order, and a follower that reads forward by position misses nothing. The table itself is append-only by
grants and triggers (``schema.sql``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from eventstore.chaining import Rows, rows_of, streams_of
from eventstore.port import Appended, RecordedEvent, StoredEvent, StreamHead, VersionConflict

LOG_LANE = 0x6C6F675F_6C616E65
"""Number of the advisory lock, per database."""

COPY_FROM_ROWS = 100
"""From so many rows on, COPY is faster than an insert of arrays: less to encode, less to plan (measured)."""

_COPIED = ("originator_id", "originator_version", "topic", "state", "prev_hash", "hash")
_LANE = "SELECT pg_advisory_xact_lock($1)"
_INSERT = """
WITH appended AS (
    INSERT INTO stored_events (originator_id, originator_version, topic, state, prev_hash, hash)
    SELECT stream, version, topic, state, prev_hash, hash
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[])
         WITH ORDINALITY AS e (stream, version, topic, state, prev_hash, hash, place)
    ORDER BY place
    RETURNING notification_id
) SELECT max(notification_id) FROM appended
"""
_HEADS = """
SELECT s.stream, e.originator_version, e.hash FROM unnest($1::text[]) AS s (stream)
CROSS JOIN LATERAL (
    SELECT originator_version, hash FROM stored_events
    WHERE originator_id = s.stream ORDER BY originator_version DESC LIMIT 1
) AS e
"""
_COLUMNS = "notification_id, originator_id, originator_version, topic, state, recorded_at, prev_hash, hash"
_LOAD = f"""
SELECT {_COLUMNS} FROM stored_events
WHERE originator_id = $1 AND originator_version > $2 AND originator_version <= $3
ORDER BY originator_version {{order}} LIMIT $4
"""  # noqa: S608 - the columns are ours
_LOAD_OLDEST_FIRST = _LOAD.format(order="ASC")
_LOAD_NEWEST_FIRST = _LOAD.format(order="DESC")
_READ_LOG = f"""
SELECT {_COLUMNS} FROM stored_events WHERE notification_id > $1 ORDER BY notification_id LIMIT $2
"""  # noqa: S608 - the columns are ours
_LAST = "SELECT coalesce(max(notification_id), 0) FROM stored_events"
_VERSION_MAX = 2**63 - 1
_STREAM_AND_VERSION = "stored_events_pkey"


class PostgresEventStore:
    """See ``eventstore.port.EventStore``. ``pool`` serves the calls that bring no connection."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def append(
        self, events: Sequence[StoredEvent], *, heads: Mapping[str, StreamHead] | None = None, within: Any = None
    ) -> Appended:
        if not events:
            return Appended(await self.last_position(within), {})
        if within is not None:
            return await self._append(within, events, heads or {})
        async with self._pool.acquire() as conn, conn.transaction():
            return await self._append(conn, events, heads or {})

    async def load(
        self,
        stream: str,
        *,
        after: int = 0,
        upto: int | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        within: Any = None,
    ) -> list[RecordedEvent]:
        query = _LOAD_NEWEST_FIRST if newest_first else _LOAD_OLDEST_FIRST
        async with self._connection(within) as conn:
            return _recorded(await conn.fetch(query, stream, after, _VERSION_MAX if upto is None else upto, limit))

    async def read_log(self, after: int, *, limit: int, within: Any = None) -> list[RecordedEvent]:
        async with self._connection(within) as conn:
            return _recorded(await conn.fetch(_READ_LOG, after, limit))

    async def last_position(self, within: Any = None) -> int:
        async with self._connection(within) as conn:
            return int(await conn.fetchval(_LAST))

    @asynccontextmanager
    async def _connection(self, within: Any) -> AsyncIterator[Any]:
        if within is not None:
            yield within
            return
        async with self._pool.acquire() as conn:
            yield conn

    async def append_rows(self, rows: Rows, *, within: Any) -> int:
        """Append what ``eventstore.chaining.rows_of`` made of heads that the caller has locked; answers the position.

        For a caller that has other work to do while the rows are written.
        """
        await within.execute(_LANE, LOG_LANE)
        return await self._insert(within, rows)

    async def _append(self, conn: Any, events: Sequence[StoredEvent], known: Mapping[str, StreamHead]) -> Appended:
        unknown = streams_of(events).difference(known)
        # Heads are read behind the lane: nobody can append between the reading and the commit.
        await conn.execute(_LANE, LOG_LANE)
        heads = {**known, **await self.heads(unknown, within=conn)} if unknown else known
        rows = rows_of(events, heads)
        return Appended(await self._insert(conn, rows), rows.heads)

    async def heads(self, streams: Collection[str], *, within: Any) -> dict[str, StreamHead]:
        """The heads of those streams that have events."""
        rows = await within.fetch(_HEADS, sorted(streams))
        return {row["stream"]: StreamHead(row["originator_version"], row["hash"]) for row in rows}

    async def _insert(self, conn: Any, rows: Rows) -> int:
        try:
            if len(rows.streams) < COPY_FROM_ROWS:
                return int(await conn.fetchval(_INSERT, *rows[:6]))
            records = zip(*rows[:6], strict=True)
            await conn.copy_records_to_table("stored_events", records=records, columns=_COPIED)
            # The lane is ours, so the last position is the one just drawn.
            return await self.last_position(conn)
        except asyncpg.UniqueViolationError as taken:
            if taken.constraint_name != _STREAM_AND_VERSION:
                raise
            raise VersionConflict(*_taken(rows, taken.detail or ""), None) from taken


def _taken(rows: Rows, detail: str) -> tuple[str, int]:
    """The stream and version that the server's ``detail`` names in its language's words; the first if it does not."""
    added = list(zip(rows.streams, rows.versions, strict=True))
    return next((each for each in added if f"=({each[0]}, {each[1]})" in detail), added[0])


def _recorded(rows: Sequence[Any]) -> list[RecordedEvent]:
    return [RecordedEvent(*row) for row in rows]
