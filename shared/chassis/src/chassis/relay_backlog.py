"""Shows how much of a relay's source waits to be published, whatever holds the relay up.

Read from the database alone, so that it is known while the bus is away, and in every replica, whichever publishes.
Only measures: what goes wrong makes the number unknown, never the publishing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog

from chassis.metrics import RELAY_WAITING
from chassis.relay import RelaySource, position_of

log = structlog.get_logger(__name__)
SHOW_EVERY_S = 5.0


async def waiting(pool: asyncpg.Pool[Any], source: RelaySource) -> int:
    """How many positions of the source lie after the last published one."""
    async with pool.acquire() as conn:
        # In this order: what is written and published in between must not look like a backlog below zero.
        position = await position_of(conn, source.name)
        return max(0, await source.last_position(conn) - position)


@asynccontextmanager
async def backlog_shown(
    pool: asyncpg.Pool[Any], source: RelaySource, *, every_s: float = SHOW_EVERY_S
) -> AsyncIterator[None]:
    """Show it while the block runs."""
    showing = asyncio.create_task(_show_forever(pool, source, every_s), name=f"backlog-{source.name}")
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.wait([showing])
        _forget(source)


async def _show_forever(pool: asyncpg.Pool[Any], source: RelaySource, every_s: float) -> None:
    while True:
        try:
            RELAY_WAITING.labels(source.name).set(await waiting(pool, source))
        except Exception as error:  # noqa: BLE001 - said; the relay itself raises what is a bug
            log.warning("relay_backlog_unknown", source=source.name, error=repr(error))
            _forget(source)
        await asyncio.sleep(every_s)


def _forget(source: RelaySource) -> None:
    RELAY_WAITING.labels(source.name)
    RELAY_WAITING.remove(source.name)
