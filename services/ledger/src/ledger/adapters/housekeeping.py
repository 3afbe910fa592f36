"""Forgets what may be forgotten: idempotency keys past their time and old inbox rows. References stay for ever."""

from __future__ import annotations

from typing import Any

import asyncpg
import structlog

from chassis.clock import Clock
from chassis.inbox import prune_inbox
from chassis.postgres import is_transient
from chassis.runtime import StopSignal
from ledger.adapters.books_sql import PRUNE_KEYS

log = structlog.get_logger(__name__)
EVERY_S = 60.0
ROWS_MAX = 5_000


class Housekeeping:
    """Prunes a little, once a minute."""

    def __init__(self, pool: asyncpg.Pool[Any], clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def run(self, stop: StopSignal) -> None:
        """Prune until stopped; a database that is away is tried again at the next round."""
        while not await stop.wait_for(EVERY_S):
            try:
                await self.run_once()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("housekeeping_failed", error=str(error))

    async def run_once(self) -> None:
        """One round."""
        async with self._pool.acquire() as conn:
            await conn.execute(PRUNE_KEYS, self._clock.now(), ROWS_MAX)
            await prune_inbox(conn)
