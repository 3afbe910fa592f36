"""What one member of a group shows of itself: how far behind it is, what it owns, what it could not do.

What cannot be known is not shown: a number that was true once looks like one that is true.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import asyncpg
import structlog

from chassis.bus.port import TopicPartition
from chassis.bus.retry import passes
from chassis.dead_letters import count_parked
from chassis.metrics import BUS_FAILURES, CONSUMER_LAG, DEAD_LETTERS, PARTITIONS_OWNED

ASK_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)


class Measuring:
    """The gauges of one member; ``end`` takes them back."""

    def __init__(self, pool: asyncpg.Pool[Any], group: str) -> None:
        self._pool = pool
        self._group = group
        self._shown: set[TopicPartition] = set()

    def begin(self, owned: Callable[[], int]) -> None:
        """Show what is owned, asked anew each time somebody looks."""
        PARTITIONS_OWNED.labels(self._group).set_function(owned)

    def failed(self, what: str) -> None:
        """Count something that the bus did not do, and that is tried again."""
        BUS_FAILURES.labels(self._group, what).inc()

    def show_lag(self, lag: Mapping[TopicPartition, int], queued: Mapping[TopicPartition, int]) -> None:
        """Show what waits on the bus and in the process, and nothing of partitions of which it is unknown."""
        self.forget_lag(self._shown - lag.keys())
        for partition, behind in lag.items():
            CONSUMER_LAG.labels(*self._labels(partition)).set(behind + queued.get(partition, 0))
        self._shown.update(lag)

    def forget_lag(self, partitions: Iterable[TopicPartition]) -> None:
        """These are not ours any more, or nothing is known of them."""
        for partition in self._shown.intersection(partitions):
            CONSUMER_LAG.remove(*self._labels(partition))
            self._shown.discard(partition)

    async def show_dead_letters(self) -> None:
        """Show how many messages of the group are parked, by whatever member and however long ago."""
        try:
            # Whoever measures also watches over the fetches: a pool without a free connection must not stop that.
            async with asyncio.timeout(ASK_TIMEOUT_S):
                parked = await count_parked(self._pool, self._group)
        except Exception as error:
            if not passes(error):
                raise
            log.warning("dead_letters_unknown", group=self._group, error=str(error))
            _drop(DEAD_LETTERS, self._group)
        else:
            DEAD_LETTERS.labels(self._group).set(parked)

    def end(self) -> None:
        """Show nothing any more."""
        self.forget_lag(list(self._shown))
        _drop(PARTITIONS_OWNED, self._group)
        _drop(DEAD_LETTERS, self._group)

    def _labels(self, partition: TopicPartition) -> tuple[str, str, str]:
        return self._group, partition.topic, str(partition.partition)


def _drop(gauge: Any, group: str) -> None:
    """As ``remove``, which complains of what was never shown."""
    gauge.labels(group)
    gauge.remove(group)
