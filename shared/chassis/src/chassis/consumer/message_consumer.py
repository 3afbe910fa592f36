"""Consumes messages one by one: one transaction each, partitions side by side, order kept within each.

A bad message is parked and an early one waits; what passes later is retried in place while other partitions go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import asyncpg
import structlog

from chassis.bus.port import Bus, TopicPartition
from chassis.bus.retry import passes
from chassis.consumer.applying import Applier, Handler
from chassis.consumer.delivery import Delivery
from chassis.consumer.lane import Lane
from chassis.consumer.loop import FetchLoop, Limits
from chassis.runtime import StopSignal

log = structlog.get_logger(__name__)
CONCURRENCY = 4
"""Transactions at once; less than the pool's connections."""
LANE_MAX_DELIVERIES = 200
SWEEP_EVERY_S = 2.0
SWEEP_MAX_MESSAGES = 100


class MessageConsumer:
    """A group's handlers by message type, run until stopped.

    ``after_commit`` is called when something was applied (to wake the relay). ``references`` that handlers answer
    release the messages that wait for them.
    """

    def __init__(
        self,
        pool: asyncpg.Pool[Any],
        bus: Bus,
        group: str,
        topics: Collection[str],
        handlers: Mapping[str, Handler],
        *,
        concurrency: int = CONCURRENCY,
        limits: Limits | None = None,
        sweep_every_s: float = SWEEP_EVERY_S,
        after_commit: Callable[[], None] | None = None,
    ) -> None:
        self._group = group
        self._applier = Applier(pool, group, handlers)
        self._loop = FetchLoop(pool, bus, group, topics, self._applier.subscription, limits or Limits())
        self._slots = asyncio.Semaphore(concurrency)
        self._sweep_every_s = sweep_every_s
        self._after_commit = after_commit
        self._lanes: dict[TopicPartition, Lane] = {}

    async def run(self, stop: StopSignal) -> None:
        """Consume until stopped; in the end finishes what is in hand and leaves the group. Raises bugs."""
        tasks = [asyncio.create_task(self._loop.run(self, stop)), asyncio.create_task(self._sweep_forever(stop))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.revoked(list(self._lanes), 0)

    async def sweep_once(self) -> int:
        """Try the waiting messages whose time has come; answers how many were tried."""
        due = await self._applier.due(SWEEP_MAX_MESSAGES)
        await self._apply_waiting(due)
        return len(due)

    def raise_failure(self) -> None:
        """See Sink."""
        for lane in self._lanes.values():
            lane.raise_failure()

    async def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """See Sink."""
        await self.revoked([partition for partition in partitions if partition in self._lanes], 0)
        for partition in partitions:
            self._lanes[partition] = Lane(partition, self._group, self._applier, self._slots, self._made)

    async def revoked(self, partitions: Iterable[TopicPartition], drain_s: float) -> None:
        """See Sink."""
        lanes = [self._lanes[partition] for partition in partitions if partition in self._lanes]
        await asyncio.gather(*(lane.close(drain_s) for lane in lanes))
        for lane in lanes:
            self._lanes.pop(lane.partition, None)

    async def take(self, deliveries: Sequence[Delivery]) -> None:
        """See Sink. A partition whose lane is full rests until it has caught up."""
        for partition, run in groupby(deliveries, key=lambda delivery: delivery.record.topic_partition):
            if (lane := self._lanes.get(partition)) is not None:
                lane.put(run)
        full = [partition for partition, lane in self._lanes.items() if lane.backlog >= LANE_MAX_DELIVERIES]
        self._loop.rest(full)

    def done_upto(self) -> Mapping[TopicPartition, int]:
        """See Sink."""
        return {p: lane.done_upto for p, lane in self._lanes.items() if lane.done_upto is not None}

    def backlog(self) -> Mapping[TopicPartition, int]:
        """See Sink."""
        return {partition: lane.backlog for partition, lane in self._lanes.items()}

    async def _made(self, lane: Lane, references: Sequence[str]) -> None:
        """Something was committed: let the lane's partition go on, wake the relay, and try what waited for it."""
        if lane.backlog < LANE_MAX_DELIVERIES // 2:
            self._loop.go_on([lane.partition])
        if self._after_commit is not None:
            self._after_commit()
        if not references:
            return
        try:
            await self._apply_waiting(await self._applier.waiting_for(references))
        except Exception as error:
            if not passes(error):
                raise
            log.warning("waiting_left_to_the_sweep", group=self._group, error=str(error))

    async def _apply_waiting(self, waiting_ids: Sequence[int]) -> None:
        """Try these, and whatever waits for what they make in turn."""
        todo = list(waiting_ids)
        while todo:
            made = await self._applier.apply_waiting(todo.pop(0))
            if self._after_commit is not None:
                self._after_commit()
            if made:
                todo += await self._applier.waiting_for(made)

    async def _sweep_forever(self, stop: StopSignal) -> None:
        while not await stop.wait_for(self._sweep_every_s):
            try:
                await self.sweep_once()
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("sweep_failed", group=self._group, error=str(error))
