"""Work that is done round by round until its process ends: looking for what is due.

What may pass by itself (a database or a peer that is away) costs a round and is logged; bugs end the process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from chassis.bus.retry import passes
from chassis.runtime import StopSignal

log = structlog.get_logger("rounds")


async def in_rounds(work: Callable[[], Awaitable[Any]], stop: StopSignal, *, every_s: float, failed: str) -> None:
    """Do ``work`` every ``every_s`` seconds, first after a pause, until stopped. ``failed`` names the log event of a
    round that came to nothing."""
    while not await stop.wait_for(every_s):
        try:
            await work()
        except Exception as error:
            if not passes(error):
                raise
            log.warning(failed, error=str(error))
