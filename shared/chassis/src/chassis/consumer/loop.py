"""What both consumers share: own partitions, fetch, hand over to a sink, tell the bus how far they came, stay alive.

Where a partition starts is read from the service's own database, in which the effects are; the bus's committed
offsets are only a hint for whoever watches from outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol
from uuid import uuid4

import asyncpg
import structlog

from chassis.bus.port import Bus, Consumer, Record, TopicPartition
from chassis.bus.retry import Backoff, passes
from chassis.consumer.delivery import Delivery, Subscription
from chassis.consumer.fencing import FENCED_S, Fence
from chassis.consumer.liveness import STALL_S, Liveness
from chassis.consumer.measuring import Measuring
from chassis.consumer.places import Places
from chassis.errors import OperationalError
from chassis.inbox import claim_partitions
from chassis.runtime import StopSignal

log = structlog.get_logger(__name__)
WATCHES_PER_STALL = 12
LAG_TIMEOUT_S = 5.0
_PLACE = attrgetter("topic", "partition")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once and how long. ``drain_s``: what is in hand may take that long when partitions are lost."""

    fetch_max_records: int = 500
    fetch_wait_s: float = 0.5
    commit_every_s: float = 1.0
    drain_s: float = 5.0
    stall_s: float = STALL_S
    fenced_s: float = FENCED_S


class Sink(Protocol):
    """Takes what was fetched."""

    def raise_failure(self) -> None:
        """Raise the bug that ended part of the work, if one did."""
        ...

    async def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """These are ours from now on."""
        ...

    async def revoked(self, partitions: Collection[TopicPartition], drain_s: float) -> None:
        """Finish or drop what is in hand of these, within ``drain_s``."""
        ...

    async def take(self, deliveries: Sequence[Delivery]) -> None:
        """Work on these, or queue them; in order per partition."""
        ...

    def done_upto(self) -> Mapping[TopicPartition, int]:
        """The next offset of each partition of which something was applied."""
        ...

    def backlog(self) -> Mapping[TopicPartition, int]:
        """Deliveries taken and not applied yet."""
        ...


class FetchLoop:
    """One group member's life. Is the bus's listener; made anew for each process."""

    def __init__(
        self,
        pool: asyncpg.Pool[Any],
        bus: Bus,
        group: str,
        topics: Collection[str],
        subscription: Subscription,
        limits: Limits,
    ) -> None:
        self._pool = pool
        self._bus = bus
        self._group = group
        self._topics = tuple(topics)
        self._subscription = subscription
        self._limits = limits
        self._owner = f"{group}-{uuid4().hex[:12]}"
        self._epochs: dict[TopicPartition, int] = {}
        self._fence = Fence(pool, group, self._epochs, _monotonic, limits.fenced_s)
        self._places = Places(group)
        self._measuring = Measuring(pool, group)
        self._resting: set[TopicPartition] = set()
        self._committed: Mapping[TopicPartition, int] = {}
        self._commit_at = 0.0
        self._sink: Sink | None = None
        self._consumer: Consumer | None = None
        self.liveness: Liveness | None = None

    async def run(self, sink: Sink, stop: StopSignal) -> None:
        """Consume until stopped; leaves the group in the end.

        Raises bugs, ConsumerStalled, ConsumerFenced, PlaceLost, and what else the adapter cannot live on with.
        """
        self._sink = sink
        self.liveness = Liveness(_monotonic, self._limits.stall_s)
        consumer = self._consumer = await self._joined(stop)
        if consumer is None:
            return
        self._measuring.begin(lambda: len(consumer.assignment()))
        lives = (self._rounds(consumer, stop), self._watch(consumer), self._fence.watch())
        work = [asyncio.create_task(life) for life in lives]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await consumer.close()
            self._measuring.end()

    def rest(self, partitions: Collection[TopicPartition]) -> None:
        """Fetch nothing from these for now."""
        if partitions and self._consumer is not None:
            self._resting.update(partitions)
            self._consumer.pause(partitions)

    def go_on(self, partitions: Collection[TopicPartition]) -> None:
        """Fetch from these again, where they rested."""
        resting = self._resting.intersection(partitions)
        if resting and self._consumer is not None:
            self._resting -= resting
            self._consumer.resume(resting)

    def owns(self, delivery: Delivery) -> bool:
        """Whether the delivery's ownership is still ours, as far as this process knows."""
        return self._epochs.get(delivery.record.topic_partition) == delivery.epoch

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        """Claim them in the service's database: whoever owned them before is fenced from now on."""
        assert self._sink is not None
        try:
            claims = await claim_partitions(self._pool, self._group, self._owner, partitions)
        except Exception as error:
            if passes(error):
                self._measuring.failed("take")
                raise OperationalError(f"claiming partitions: {error}") from error
            raise
        self._epochs.update({partition: claim.epoch for partition, claim in claims.items()})
        await self._sink.assigned(partitions)
        log.info("partitions_assigned", group=self._group, partitions=len(partitions))
        return self._places.begin(claims)

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Let go of them: finish what is in hand, tell the bus how far it came."""
        assert self._sink is not None
        await self._sink.revoked(partitions, self._limits.drain_s)
        await self._commit()
        self._places.forget(partitions)
        for partition in partitions:
            self._epochs.pop(partition, None)
            self._resting.discard(partition)
        self._measuring.forget_lag(partitions)
        log.info("partitions_revoked", group=self._group, partitions=len(partitions))

    async def _joined(self, stop: StopSignal) -> Consumer | None:
        backoff = Backoff()
        while not stop.is_set():
            consumer = self._consumer = self._bus.consumer(self._group, self._topics, self._group)
            try:
                await consumer.start(self)
            except OperationalError as error:
                log.warning("bus_join_failed", group=self._group, error=error.reason)
                self._measuring.failed("join")
                await consumer.close()
                await stop.wait_for(backoff.next_s())
            else:
                return consumer
        return None

    async def _rounds(self, consumer: Consumer, stop: StopSignal) -> None:
        assert self._sink is not None
        backoff = Backoff()
        while not stop.is_set():
            self._sink.raise_failure()
            try:
                records = await self._places.fetch(consumer, self._limits.fetch_max_records, self._limits.fetch_wait_s)
            except OperationalError as error:
                log.warning("bus_fetch_failed", group=self._group, error=error.reason)
                self._measuring.failed("fetch")
                self._alive().fetched(())
                await stop.wait_for(backoff.next_s())
                continue
            backoff.reset()
            self._alive().fetched(set(map(_PLACE, records)))
            await self._sink.take(self._deliveries(records))
            await self._commit_sometimes()

    def _deliveries(self, records: Sequence[Record]) -> list[Delivery]:
        """With their ownership; what was lost while it was being fetched is dropped."""
        owned = ((record, self._epochs.get(record.topic_partition)) for record in records)
        return [self._subscription.read(record, epoch) for record, epoch in owned if epoch is not None]

    async def _commit_sometimes(self) -> None:
        if _monotonic() >= self._commit_at:
            await self._commit()
            self._commit_at = _monotonic() + self._limits.commit_every_s

    async def _commit(self) -> None:
        assert self._sink is not None
        assert self._consumer is not None
        done = dict(self._sink.done_upto())
        if not done or done == self._committed:
            return
        # What another owner took was fetched here, not applied.
        owned = await self._fence.owned()
        if owned is None:
            return
        try:
            await self._consumer.commit({partition: upto for partition, upto in done.items() if partition in owned})
            self._committed = done
        except OperationalError as error:
            log.warning("bus_commit_failed", group=self._group, error=error.reason)
            self._measuring.failed("commit")

    async def _watch(self, consumer: Consumer) -> None:
        """Measure the lag, and end everything when fetching got stuck."""
        while True:
            await asyncio.sleep(self._limits.stall_s / WATCHES_PER_STALL)
            lag = await self._measured_lag(consumer)
            self._places.judge(lag)
            # What we own and cannot ask about, or could not begin yet, is not known to be well.
            self._alive().judge({p: lag.get(p) for p in self._epochs if p not in self._resting})
            await self._measuring.show_dead_letters()

    async def _measured_lag(self, consumer: Consumer) -> Mapping[TopicPartition, int]:
        assert self._sink is not None
        lag: Mapping[TopicPartition, int] = {}
        owned = frozenset(self._epochs)
        try:
            async with asyncio.timeout(LAG_TIMEOUT_S):
                lag = await consumer.lag()
        except (OperationalError, TimeoutError) as error:
            log.warning("bus_lag_unknown", group=self._group, error=str(error))
        if owned & self._epochs.keys() - lag.keys():
            self._measuring.failed("lag")
        self._measuring.show_lag(lag, self._sink.backlog())
        return lag

    def _alive(self) -> Liveness:
        assert self.liveness is not None
        return self.liveness


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
