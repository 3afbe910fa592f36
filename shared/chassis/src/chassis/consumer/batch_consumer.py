"""Consumes whole fetched batches: for a service whose own engine makes one transaction of many messages.

The engine moves the offsets, claims the inbox rows, parks and holds inside of that transaction (chassis.inbox,
chassis.dead_letters, chassis.waiting); this loop fetches, retries what passes, and drops what was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import asyncpg
import structlog

from chassis.bus.port import Bus, TopicPartition
from chassis.bus.retry import Backoff, passes
from chassis.consumer.delivery import Delivery, Subscription
from chassis.consumer.loop import FetchLoop, Limits
from chassis.metrics import MESSAGE_RETRIES
from chassis.runtime import StopSignal
from chassis.tracing import handling_batch

log = structlog.get_logger(__name__)

Process = Callable[[Sequence[Delivery]], Awaitable[None]]
"""Applies all deliveries once, each under its epoch: ``advance_offsets`` with ``delivery.epoch`` says which are still
ours. Raises what passes later (nothing may be applied then, or all: a repeat must be harmless), or a bug."""


class BatchConsumer:
    """A group whose batches go to ``process``, one batch at a time, until stopped."""

    def __init__(
        self,
        pool: asyncpg.Pool[Any],
        bus: Bus,
        group: str,
        topics: Collection[str],
        types: Collection[str],
        process: Process,
        *,
        limits: Limits | None = None,
    ) -> None:
        self._group = group
        self._process = process
        self.subscription = Subscription(group, types)
        self._loop = FetchLoop(pool, bus, group, topics, self.subscription, limits or Limits())
        self._done: dict[TopicPartition, int] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._stop: StopSignal | None = None

    async def run(self, stop: StopSignal) -> None:
        """Consume until stopped, then leave the group. Raises bugs."""
        self._stop = stop
        await self._loop.run(self, stop)

    def raise_failure(self) -> None:
        """See Sink: a failure of ``process`` is raised by ``take`` itself."""

    async def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """See Sink."""
        for partition in partitions:
            self._done.pop(partition, None)

    async def revoked(self, partitions: Collection[TopicPartition], drain_s: float) -> None:
        """See Sink: waits for the batch in hand; beyond ``drain_s`` the epochs keep it from being applied."""
        try:
            async with asyncio.timeout(drain_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("batch_outlived_its_partitions", group=self._group)

    async def take(self, deliveries: Sequence[Delivery]) -> None:
        """See Sink."""
        if not deliveries:
            return
        self._idle.clear()
        try:
            await self._until_it_passes(deliveries)
        finally:
            self._idle.set()

    def done_upto(self) -> Mapping[TopicPartition, int]:
        """See Sink."""
        return self._done

    def backlog(self) -> Mapping[TopicPartition, int]:
        """See Sink."""
        return {}

    async def _until_it_passes(self, deliveries: Sequence[Delivery]) -> None:
        assert self._stop is not None
        backoff = Backoff()
        while not self._stop.is_set():
            owned = [delivery for delivery in deliveries if self._loop.owns(delivery)]
            try:
                if owned:
                    with handling_batch(self._group, owned):
                        await self._process(owned)
            except Exception as error:
                if not passes(error):
                    raise
                self._retried(owned[0], backoff, error)
                await self._stop.wait_for(backoff.next_s())
            else:
                self._done.update({d.record.topic_partition: d.record.offset + 1 for d in owned})
                return

    def _retried(self, first: Delivery, backoff: Backoff, error: Exception) -> None:
        log.warning("batch_retried", group=self._group, attempt=backoff.attempts, error=str(error))
        MESSAGE_RETRIES.labels(self._group, first.record.topic).inc()
        if self._loop.liveness is not None:
            self._loop.liveness.busy()
