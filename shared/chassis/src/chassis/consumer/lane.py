"""One partition's records, applied one after the other, retried in place until they pass.

A lane that waits for its database keeps its order and holds nobody else up: slots are given back during a pause.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from chassis.bus.port import TopicPartition
from chassis.bus.retry import Backoff, passes
from chassis.consumer.applying import Applier, LostPartition
from chassis.consumer.delivery import Delivery
from chassis.metrics import MESSAGE_RETRIES

log = structlog.get_logger(__name__)
SKIP_RUN_MAX = 1_000


class Lane:
    """The queue and the task of one owned partition."""

    def __init__(
        self, partition: TopicPartition, group: str, applier: Applier, slots: asyncio.Semaphore, made: Made
    ) -> None:
        self.partition = partition
        self.done_upto: int | None = None
        self._group = group
        self._applier = applier
        self._slots = slots
        self._made = made
        self._queue: deque[Delivery] = deque()
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"lane-{partition.topic}-{partition.partition}")

    @property
    def backlog(self) -> int:
        """Deliveries that are not applied yet."""
        return len(self._queue)

    def put(self, deliveries: Iterable[Delivery]) -> None:
        """Queue more, in order."""
        self._queue.extend(deliveries)
        self._arrived.set()

    def raise_failure(self) -> None:
        """Raise the bug that ended the lane, if one did."""
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    async def close(self, drain_s: float) -> None:
        """Finish the delivery in hand, or drop it after ``drain_s``; the rest of the queue is not touched."""
        self._closing.set()
        self._arrived.set()
        await asyncio.wait([self._task], timeout=drain_s)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while not self._closing.is_set():
                await self._arrived.wait()
                self._arrived.clear()
                while self._queue and not self._closing.is_set():
                    await self._apply_next()
        except LostPartition:
            log.warning("partition_lost", group=self._group, topic=self.partition.topic, dropped=len(self._queue))
            self._queue.clear()

    async def _apply_next(self) -> None:
        """The next delivery, or a run of skipped ones; leaves the queue only once it is applied."""
        run = self._skipped_run()
        delivery = self._queue[run - 1] if run else self._queue[0]
        references = await self._until_it_passes(delivery)
        if self._closing.is_set() and references is None:
            return
        for _ in range(run or 1):
            self._queue.popleft()
        self.done_upto = delivery.record.offset + 1
        await self._made(self, references or ())

    def _skipped_run(self) -> int:
        run = 0
        for delivery in self._queue:
            if not delivery.is_skipped or run == SKIP_RUN_MAX:
                break
            run += 1
        return run

    async def _until_it_passes(self, delivery: Delivery) -> Sequence[str] | None:
        """The references that were made; None when the lane was closed before the delivery passed."""
        backoff = Backoff()
        while not self._closing.is_set():
            try:
                async with self._slots:
                    return await self._applier.apply(delivery)
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("message_retried", group=self._group, attempt=backoff.attempts, error=str(error))
            MESSAGE_RETRIES.labels(self._group, self.partition.topic).inc()
            await self._pause(backoff.next_s())
        return None

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


Made = Callable[[Lane, Sequence[str]], Awaitable[None]]
"""Told after each commit which references it made."""
