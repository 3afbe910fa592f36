"""Feeds a projection from the log: events and checkpoint in one transaction, so that each event counts once.

Several replicas may run the same projection: who holds the checkpoint's row works, the others wait for the next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import asyncpg
import structlog

from chassis.bus.retry import Backoff
from chassis.postgres import is_transient
from chassis.runtime import StopSignal
from eventstore.port import EventStore, RecordedEvent

log = structlog.get_logger(__name__)

BATCH_MAX = 1_000
POLL_S = 0.1

_CREATE = "INSERT INTO projection_checkpoints (name, position) VALUES ($1, 0) ON CONFLICT DO NOTHING"
_CLAIM = "SELECT position FROM projection_checkpoints WHERE name = $1 FOR UPDATE SKIP LOCKED"
_ADVANCE = "UPDATE projection_checkpoints SET position = $2 WHERE name = $1"
_POSITION = "SELECT position FROM projection_checkpoints WHERE name = $1"


class Projection(Protocol):
    """A read model. ``apply`` is a function of the events alone and runs in the checkpoint's transaction."""

    name: str

    async def apply(self, conn: Any, events: Sequence[RecordedEvent]) -> None: ...


async def checkpoint(conn: Any, name: str) -> int:
    """How far the projection came; 0 if it never ran."""
    return int(await conn.fetchval(_POSITION, name) or 0)


class Projector:
    """Runs one projection. ``wakeup`` is set by who appends in this process; polling finds the rest."""

    def __init__(
        self,
        pool: asyncpg.Pool[Any],
        store: EventStore,
        projection: Projection,
        *,
        batch_max: int = BATCH_MAX,
        poll_s: float = POLL_S,
        wakeup: asyncio.Event | None = None,
    ) -> None:
        self._pool = pool
        self._store = store
        self._projection = projection
        self._batch_max = batch_max
        self._poll_s = poll_s
        self._wakeup = wakeup or asyncio.Event()
        self._exists = False

    async def run(self, stop: StopSignal) -> None:
        """Project until stopped. A database that is away is waited for; any other error is a bug and is raised."""
        backoff = Backoff()
        while not stop.is_set():
            # Before the reading: what is appended from here on is either read or wakes the next round.
            self._wakeup.clear()
            try:
                applied = await self.run_once()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("projection_retried", projection=self._projection.name, error=str(error))
                await stop.wait_for(backoff.next_s())
                continue
            backoff.reset()
            if not applied:
                await self._rest(stop)

    async def run_once(self) -> int:
        """Apply one batch; answers how many events it had."""
        name = self._projection.name
        async with self._pool.acquire() as conn:
            if not self._exists:
                await conn.execute(_CREATE, name)
                self._exists = True
            async with conn.transaction():
                position = await conn.fetchval(_CLAIM, name)
                if position is None:
                    return 0
                events = await self._store.read_log(position, limit=self._batch_max, within=conn)
                if not events:
                    return 0
                await self._projection.apply(conn, events)
                await conn.execute(_ADVANCE, name, events[-1].position)
        return len(events)

    async def position(self) -> int:
        """How far the projection came."""
        async with self._pool.acquire() as conn:
            return await checkpoint(conn, self._projection.name)

    async def wait_for(self, position: int, timeout_s: float) -> bool:
        """Whether the projection reached ``position`` within ``timeout_s``: for who must read their own write."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while await self.position() < position:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(self._poll_s / 10)
        return True

    async def _rest(self, stop: StopSignal) -> None:
        waits = [asyncio.ensure_future(self._wakeup.wait()), asyncio.ensure_future(stop.wait())]
        await asyncio.wait(waits, timeout=self._poll_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
