"""Notices partitions that the bus still says are ours although another owner claimed them in the database.

For a moment that is what every eviction looks like. Where it stays so, the other one is gone again, or belongs to
another bus: nothing of the partition would be applied, by anybody, and nobody would see it. Ending the consumer lets
its process be started anew, and claim the partition anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
import structlog

from chassis.bus.port import TopicPartition
from chassis.bus.retry import passes
from chassis.inbox import still_owned

log = structlog.get_logger(__name__)
FENCED_S = 30.0
"""Longer than a member that was evicted takes to hear of it; also the pace at which two deployments on one database
take its partitions from each other."""
LOOKS_PER_LIMIT = 6
ASK_TIMEOUT_S = 5.0


class ConsumerFenced(Exception):
    """Another owner has claimed a partition that the bus leaves with us."""


class Fence:
    """Looks after ``epochs``, the partitions that are ours as the bus says, each under the epoch of our claim."""

    def __init__(
        self,
        pool: asyncpg.Pool[Any],
        group: str,
        epochs: Mapping[TopicPartition, int],
        monotonic: Callable[[], float],
        limit_s: float = FENCED_S,
    ) -> None:
        self._pool = pool
        self._group = group
        self._epochs = epochs
        self._monotonic = monotonic
        self._limit_s = limit_s
        self._lost_since: dict[tuple[TopicPartition, int], float] = {}

    async def owned(self) -> set[TopicPartition] | None:
        """Those that nobody else claimed; None when the database cannot say.

        An epoch that is lost never comes back: what is owned now was owned whenever something of it was applied.
        """
        epochs = dict(self._epochs)
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                return await still_owned(self._pool, self._group, epochs)
        except Exception as error:
            if not passes(error):
                raise
            log.warning("ownership_unknown", group=self._group, error=str(error))
            return None

    async def watch(self) -> None:
        """Until one is lost for too long. Raises ConsumerFenced."""
        while True:
            await asyncio.sleep(self._limit_s / LOOKS_PER_LIMIT)
            await self.look()

    async def look(self) -> None:
        """Once. Raises ConsumerFenced."""
        asked = dict(self._epochs)
        owned = await self.owned() if asked else set()
        if owned is None:
            return
        now = self._monotonic()
        lost = [(p, epoch) for p, epoch in asked.items() if p not in owned and self._epochs.get(p) == epoch]
        self._lost_since = {one: self._lost_since.get(one, now) for one in lost}
        for (partition, _), since in self._lost_since.items():
            if now - since >= self._limit_s:
                where = f"{partition.topic}[{partition.partition}]"
                raise ConsumerFenced(f"group {self._group}: another owner claimed {where}, which the bus leaves to us")
