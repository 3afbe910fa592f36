"""Listens for the database's notifications and rings the bells of whoever waits in this process.

One connection per bus, remade with backoff when it breaks; while it is away, polling does the work alone.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import asyncpg
import structlog

from chassis.bus.bell import Bell
from chassis.bus.postgres_log.channels import GROUPS, RECORDS
from chassis.bus.retry import Backoff
from chassis.postgres import is_transient

log = structlog.get_logger(__name__)
CLOSE_TIMEOUT_S = 2.0


class Wakeup:
    """Bells that ring with the database's notifications."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.records = Bell()
        self.groups: defaultdict[str, Bell] = defaultdict(Bell)

    def start(self) -> None:
        """Begin to listen in the background. Idempotent, and nothing once it is closed."""
        if self._task is not None or self._closed:
            return
        self._task = asyncio.create_task(self._listen_forever(), name="bus-wakeup")

    async def close(self) -> None:
        """Stop listening. Idempotent."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _listen_forever(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._listen(backoff)
            except Exception as error:
                if not is_transient(error):
                    log.exception("bus_wakeup_failed")
                    raise
                log.warning("bus_wakeup_lost", error=str(error))
            await asyncio.sleep(backoff.next_s())

    async def _listen(self, backoff: Backoff) -> None:
        """Until the connection ends."""
        ended = asyncio.Event()
        connection: Any = await asyncpg.connect(self._dsn, server_settings={"application_name": "bus-wakeup"})
        try:
            connection.add_termination_listener(lambda _: ended.set())
            await connection.add_listener(RECORDS, lambda *_: self.records.ring())
            await connection.add_listener(GROUPS, lambda *said: self.groups[said[-1]].ring())
            backoff.reset()
            await ended.wait()
        finally:
            await connection.close(timeout=CLOSE_TIMEOUT_S)
