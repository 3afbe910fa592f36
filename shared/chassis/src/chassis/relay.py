"""Publishes a service's log or outbox to the bus, in order, and remembers how far it came.

One active relay per source and database: its position's row is locked while a batch is read, published and noted. A
crash between publishing and noting publishes again, with the same ids: consumers see that it is a repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import asyncpg
import structlog

from chassis.bus.port import OutgoingRecord, Producer
from chassis.bus.retry import Backoff, passes
from chassis.metrics import OUTBOX_RELAYED, RELAY_FAILURES, RELAY_POSITION
from chassis.runtime import StopSignal
from chassis.tracing import publishing

log = structlog.get_logger(__name__)
# Less than the server's limit for an idle transaction: the position's row must still be ours afterwards.
PUBLISH_TIMEOUT_S = 20.0
PRUNE_EVERY_S = 60.0

_ENSURE = "INSERT INTO relay_positions (name) VALUES ($1) ON CONFLICT DO NOTHING"
_LOCK = "SELECT position FROM relay_positions WHERE name = $1 FOR UPDATE SKIP LOCKED"
_MOVE = "UPDATE relay_positions SET position = $2, moved_at = clock_timestamp() WHERE name = $1"
_POSITION = "SELECT position FROM relay_positions WHERE name = $1"


class RelaySource(Protocol):
    """What is to be published, by position."""

    @property
    def name(self) -> str:
        """Unique within the database; the position is stored under it."""
        ...

    async def read_after(self, conn: Any, position: int, limit: int) -> tuple[int, Sequence[OutgoingRecord]]:
        """The last position read (``position`` itself when there is nothing), and what is to be published of it."""
        ...

    async def last_position(self, conn: Any) -> int:
        """The end of the source: 0 or lower than what was published when all of it is forgotten."""
        ...


@runtime_checkable
class PrunableSource(Protocol):
    """A source that may forget what was published."""

    async def prune(self, conn: Any, upto: int) -> int:
        """Forget rows up to that position, as the source sees fit; answers how many."""
        ...


async def position_of(conn: Any, source: str) -> int:
    """The last position published; 0 before the first."""
    return await conn.fetchval(_POSITION, source) or 0


class Relay:
    """Moves one source onto the bus. ``wakeup``, set after a commit, saves the wait until the next poll."""

    def __init__(
        self,
        pool: asyncpg.Pool[Any],
        producer: Producer,
        source: RelaySource,
        *,
        batch: int = 500,
        poll_s: float = 0.1,
        wakeup: asyncio.Event | None = None,
    ) -> None:
        self._pool = pool
        self._producer = producer
        self._source = source
        self._batch = batch
        self._poll_s = poll_s
        self._wakeup = wakeup or asyncio.Event()
        self._prune_at = 0.0
        self._is_known = False

    async def run(self, stop: StopSignal) -> None:
        """Publish until stopped. Failures that pass are repeated with backoff; others are raised."""
        backoff = Backoff()
        while not stop.is_set():
            # Cleared before looking: what is committed from here on rings again.
            self._wakeup.clear()
            try:
                moved = await self.run_once()
                if not moved:
                    await self._prune_sometimes()
            except Exception as error:
                if not passes(error):
                    raise
                RELAY_FAILURES.labels(self._source.name).inc()
                log.warning("relay_failed", source=self._source.name, error=str(error))
                await stop.wait_for(backoff.next_s())
                continue
            backoff.reset()
            if not moved:
                await self._rest(stop)

    async def run_once(self) -> int:
        """Publish one batch. 0 when there is nothing to do, or another relay is at it; else a positive number.

        Raises OperationalError or what PostgreSQL's client raises; the position did not move then.
        """
        await self._ensure_position()
        async with self._pool.acquire() as conn, conn.transaction():
            position = await conn.fetchval(_LOCK, self._source.name)
            if position is None:
                return 0
            reached, records = await self._source.read_after(conn, position, self._batch)
            if reached == position:
                return 0
            await self._publish(records)
            await conn.execute(_MOVE, self._source.name, reached)
        OUTBOX_RELAYED.labels(self._source.name).inc(len(records))
        RELAY_POSITION.labels(self._source.name).set(reached)
        return max(1, len(records))

    async def _ensure_position(self) -> None:
        """A row to lock, committed before it is: another relay's first row must not make us wait for its batch."""
        if not self._is_known:
            await self._pool.execute(_ENSURE, self._source.name)
            self._is_known = True

    async def _publish(self, records: Sequence[OutgoingRecord]) -> None:
        if not records:
            return
        with publishing(self._source.name, records):
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self._producer.publish(records)

    async def _prune_sometimes(self) -> None:
        now = asyncio.get_running_loop().time()
        if not isinstance(self._source, PrunableSource) or now < self._prune_at:
            return
        self._prune_at = now + PRUNE_EVERY_S
        async with self._pool.acquire() as conn:
            upto = await conn.fetchval(_POSITION, self._source.name)
            if upto is not None and await self._source.prune(conn, upto):
                self._prune_at = now

    async def _rest(self, stop: StopSignal) -> None:
        """Until the next poll, a wakeup, or the end."""
        waits = [asyncio.ensure_future(self._wakeup.wait()), asyncio.ensure_future(stop.wait())]
        try:
            await asyncio.wait(waits, timeout=self._poll_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
