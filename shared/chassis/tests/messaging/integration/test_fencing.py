"""A partition that another owner claimed in the database, while the bus leaves it here, does not rest in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from chassis.bus.partitioning import partition_of
from chassis.bus.port import TopicPartition
from chassis.consumer import BatchConsumer, ConsumerFenced, Delivery, Limits
from chassis.consumer.fencing import Fence
from chassis.inbox import advance_offsets, claim_partitions
from chassis.runtime import StopSignal
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
PATIENCE_S = 30.0
LIMITS = Limits(fetch_wait_s=0.05, commit_every_s=0.05, drain_s=1, fenced_s=1.0)
MINE = TopicPartition("payments", partition_of(b"k", 4))


class Engine:
    """Applies what the database says is ours; counts the records that it was handed."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.handed = 0

    async def process(self, deliveries: Sequence[Delivery]) -> None:
        epochs = {delivery.record.topic_partition: delivery.epoch for delivery in deliveries}
        last = {delivery.record.topic_partition: delivery.record for delivery in deliveries}
        async with self._world.pool.acquire() as conn, conn.transaction():
            moved = await advance_offsets(conn, self._world.GROUP, epochs, last)
            for delivery in deliveries:
                if delivery.envelope is not None and delivery.record.topic_partition in moved:
                    await self._world.paid(conn, delivery.envelope)
        self.handed += len(deliveries)


def batches(world: Any, engine: Engine) -> BatchConsumer:
    return BatchConsumer(world.pool, world.bus, world.GROUP, [world.TOPIC], [world.PAID], engine.process, limits=LIMITS)


async def put(world: Any, count: int) -> None:
    await world.publish(*[world.message("k", {"note": f"{number}"}) for number in range(count)])


async def took_effect(world: Any, count: int) -> None:
    async def did() -> bool:
        return bool(await world.count("effects") == count)

    await eventually(did, PATIENCE_S)


async def claim_elsewhere(world: Any) -> None:
    """As a member of another bus does, or one that died right after its claim."""
    await claim_partitions(world.pool, world.GROUP, "elsewhere", [MINE])


def told_the_bus(world: Any) -> int | None:
    """The group's committed offset, the hint for whoever watches from outside."""
    group = world.bus._groups.get(world.GROUP)
    return group.committed.get(MINE) if group is not None else None


@pytest.mark.parametrize("kind", ["messages", "batches"])
async def test_a_consumer_that_stays_fenced_ends_and_a_new_one_loses_nothing(world: Any, kind: str) -> None:
    def consumer() -> Any:
        return batches(world, Engine(world)) if kind == "batches" else world.consumer(limits=LIMITS)

    await put(world, 3)
    running = asyncio.create_task(consumer().run(StopSignal()))
    await took_effect(world, 3)
    await eventually(lambda: told_the_bus(world) == 3, PATIENCE_S)
    await claim_elsewhere(world)
    await put(world, 4)
    with pytest.raises(ConsumerFenced, match=rf"group billing: another owner claimed payments\[{MINE.partition}\]"):
        await asyncio.wait_for(running, PATIENCE_S)
    assert (await world.count("effects"), await world.offsets(), told_the_bus(world)) == (3, 3, 3)
    async with world.running(consumer()):
        await took_effect(world, 7)


async def test_the_bus_is_never_told_of_a_batch_that_was_not_applied(world: Any) -> None:
    engine, stop = Engine(world), StopSignal()
    patient = Limits(fetch_wait_s=0.05, commit_every_s=0.01, drain_s=1, fenced_s=10 * PATIENCE_S)
    consumer = BatchConsumer(
        world.pool, world.bus, world.GROUP, [world.TOPIC], [world.PAID], engine.process, limits=patient
    )
    await put(world, 3)
    running = asyncio.create_task(consumer.run(stop))
    await eventually(lambda: told_the_bus(world) == 3, PATIENCE_S)
    await claim_elsewhere(world)
    await put(world, 4)
    await eventually(lambda: engine.handed == 7, PATIENCE_S)
    stop.set()
    await asyncio.wait_for(running, PATIENCE_S)
    assert (await world.count("effects"), told_the_bus(world)) == (3, 3)


class Watch:
    """A fence under a clock that the test turns."""

    def __init__(self, world: Any, epoch: int) -> None:
        self.now = 0.0
        self.epochs = {MINE: epoch}
        self.fence = Fence(world.pool, world.GROUP, self.epochs, lambda: self.now, limit_s=30.0)

    async def look(self, now: float) -> None:
        self.now = now
        await self.fence.look()


async def claimed_by_us(world: Any) -> int:
    claims = await claim_partitions(world.pool, world.GROUP, "me", [MINE])
    return claims[MINE].epoch


async def test_what_comes_back_in_time_was_an_ordinary_eviction(world: Any) -> None:
    watch = Watch(world, await claimed_by_us(world))
    await watch.look(0)
    await claim_elsewhere(world)
    await watch.look(10)
    assert await watch.fence.owned() == set()
    await watch.look(39)
    watch.epochs[MINE] = await claimed_by_us(world)
    await watch.look(50)
    assert await watch.fence.owned() == {MINE}
    await claim_elsewhere(world)
    await watch.look(60)
    await watch.look(89)
    with pytest.raises(ConsumerFenced):
        await watch.look(90)


async def test_what_the_bus_took_away_too_is_missed_by_nobody(world: Any) -> None:
    watch = Watch(world, await claimed_by_us(world))
    await claim_elsewhere(world)
    await watch.look(0)
    watch.epochs.clear()
    await watch.look(100)


async def test_a_database_that_cannot_say_fences_nobody(world: Any) -> None:
    watch = Watch(world, await claimed_by_us(world))
    await claim_elsewhere(world)
    await world.pool.close()
    assert await watch.fence.owned() is None
    await watch.look(0)
    await watch.look(100)
