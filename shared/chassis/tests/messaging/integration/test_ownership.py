import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from chassis.bus.port import Record, TopicPartition
from chassis.consumer import BatchConsumer, Delivery, Limits, LostPartition
from chassis.consumer.applying import Applier
from chassis.errors import OperationalError
from chassis.inbox import advance_offsets, claim_messages, claim_partitions, mark_of, prune_inbox, still_owned
from chassis.runtime import StopSignal
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
ZERO = TopicPartition("payments", 0)
ONE = TopicPartition("payments", 1)


def at(offset: int) -> Record:
    """A record that stands there."""
    return Record("payments", b"key", b"value", partition=0, offset=offset, timestamp_ms=7)


async def test_each_claim_fences_the_one_before(world: Any) -> None:
    first = await claim_partitions(world.pool, "g", "first", [ZERO, ONE])
    assert first == {ZERO: (1, None, None), ONE: (1, None, None)}
    assert await advance_offsets(world.pool, "g", {ZERO: 1, ONE: 1}, {ZERO: at(4), ONE: at(6)}) == {ZERO, ONE}
    assert await claim_partitions(world.pool, "g", "second", [ZERO]) == {ZERO: (2, 5, mark_of(at(4)))}
    assert await advance_offsets(world.pool, "g", {ZERO: 1, ONE: 1}, {ZERO: at(5), ONE: at(7)}) == {ONE}
    assert await still_owned(world.pool, "g", {ZERO: 1, ONE: 1}) == {ONE}


async def test_offsets_only_grow(world: Any) -> None:
    await claim_partitions(world.pool, "g", "me", [ZERO])
    assert await advance_offsets(world.pool, "g", {ZERO: 1}, {ZERO: at(4)}) == {ZERO}
    assert await advance_offsets(world.pool, "g", {ZERO: 1}, {ZERO: at(4)}) == set()
    assert await advance_offsets(world.pool, "g", {ZERO: 1}, {ZERO: at(3)}) == set()
    assert await advance_offsets(world.pool, "another", {ZERO: 1}, {ZERO: at(8)}) == set()


async def test_a_message_is_new_once_per_group(world: Any) -> None:
    ids = [str(uuid4()) for _ in range(3)]
    assert await claim_messages(world.pool, "g", [*ids[:2], ids[0]]) == set(ids[:2])
    assert await claim_messages(world.pool, "g", ids) == {ids[2]}
    assert await claim_messages(world.pool, "other", ids) == set(ids)
    assert await claim_messages(world.pool, "g", [ids[0].upper()]) == set()


async def test_concurrent_batches_with_the_same_ids_claim_each_once(world: Any) -> None:
    ids = [str(uuid4()) for _ in range(200)]

    async def claim(order: list[str]) -> set[str]:
        async with world.pool.acquire() as conn, conn.transaction():
            return await claim_messages(conn, "g", order)

    claimed = await asyncio.gather(*[claim(ids if number % 2 else ids[::-1]) for number in range(6)])
    assert sum(map(len, claimed)) == 200
    assert set().union(*claimed) == set(ids)


async def test_only_old_ids_are_forgotten(world: Any) -> None:
    old, young = str(uuid4()), str(uuid4())
    insert = "INSERT INTO inbox VALUES ($1, 'g', now() - make_interval(days => $2))"
    await world.pool.executemany(insert, [(old, 31), (young, 29)])
    assert await prune_inbox(world.pool) == 1
    assert await claim_messages(world.pool, "g", [old, young]) == {old}


async def test_a_zombie_applies_nothing(world: Any) -> None:
    applier = Applier(world.pool, world.GROUP, {world.PAID: world.paid})
    await claim_partitions(world.pool, world.GROUP, "zombie", [ZERO])
    delivery = _delivery(world, applier, epoch=1)
    await claim_partitions(world.pool, world.GROUP, "heir", [ZERO])
    with pytest.raises(LostPartition):
        await applier.apply(delivery)
    assert await world.notes() == []
    assert await world.count("inbox") == 0
    await applier.apply(_delivery(world, applier, epoch=2))
    assert await world.count("effects") == 1


async def test_a_commit_whose_answer_was_lost_is_not_applied_again(world: Any) -> None:
    applier = Applier(world.pool, world.GROUP, {world.PAID: world.paid})
    await claim_partitions(world.pool, world.GROUP, "me", [ZERO])
    delivery = _delivery(world, applier, epoch=1)
    await applier.apply(delivery)
    await applier.apply(delivery)
    assert await world.count("effects") == 1


async def test_a_zombie_parks_and_holds_nothing_either(world: Any) -> None:
    applier = Applier(world.pool, world.GROUP, {world.PAID: world.paid})
    await claim_partitions(world.pool, world.GROUP, "zombie", [ZERO])
    await claim_partitions(world.pool, world.GROUP, "heir", [ZERO])
    with pytest.raises(LostPartition):
        await applier.apply(_delivery(world, applier, epoch=1, value=b"{"))
    assert await world.count("dead_letters") == await world.count("outbox") == 0


class Engine:
    """A service's engine: one transaction for a whole batch."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.batches: list[int] = []
        self.failures = 0

    async def process(self, deliveries: list[Delivery]) -> None:
        if self.failures:
            self.failures -= 1
            raise OperationalError("away")
        async with self._world.pool.acquire() as conn, conn.transaction():
            await self._apply(conn, deliveries)
        self.batches.append(len(deliveries))

    async def _apply(self, conn: Any, deliveries: list[Delivery]) -> None:
        epochs = {delivery.record.topic_partition: delivery.epoch for delivery in deliveries}
        last = {delivery.record.topic_partition: delivery.record for delivery in deliveries}
        moved = await advance_offsets(conn, self._world.GROUP, epochs, last)
        ours = [d.envelope for d in deliveries if d.envelope and d.record.topic_partition in moved]
        new = await claim_messages(conn, self._world.GROUP, [envelope.id for envelope in ours])
        for envelope in ours:
            if envelope.id in new:
                new.discard(envelope.id)
                await self._world.paid(conn, envelope)


def _batches(world: Any, engine: Engine) -> BatchConsumer:
    limits = Limits(fetch_wait_s=0.05, drain_s=1)
    return BatchConsumer(world.pool, world.bus, world.GROUP, [world.TOPIC], [world.PAID], engine.process, limits=limits)


async def test_a_batch_takes_effect_once_and_is_retried_whole(world: Any) -> None:
    engine = Engine(world)
    engine.failures = 2
    records = [world.message(f"key-{number % 7}", {"note": f"{number}"}) for number in range(100)]
    await world.publish(*records, *records[:30], world.message(kind="gridledger.payments.Other.v1"))
    async with world.running(_batches(world, engine)):
        await eventually(lambda: _offsets(world, 131))
    assert sorted(map(int, await world.notes())) == list(range(100))
    assert engine.failures == 0
    assert len(engine.batches) < 10


async def test_batch_consumers_that_share_a_group_repeat_nothing(world: Any) -> None:
    records = [world.message(f"key-{number % 40}", {"note": f"{number}"}) for number in range(200)]
    await world.publish(*records[:50])
    async with world.running(_batches(world, Engine(world))):
        await eventually(lambda: _offsets(world, 50))
        async with world.running(_batches(world, Engine(world))):
            await world.publish(*records[50:])
            await eventually(lambda: _offsets(world, 200))
    assert sorted(map(int, await world.notes())) == list(range(200))


async def test_a_bug_in_the_engine_ends_the_task(world: Any) -> None:
    async def broken(deliveries: Any) -> None:
        raise asyncpg.UndefinedTableError("bug")

    await world.publish(world.message())
    consumer = BatchConsumer(world.pool, world.bus, world.GROUP, [world.TOPIC], [world.PAID], broken)
    with pytest.raises(asyncpg.UndefinedTableError):
        await asyncio.wait_for(consumer.run(StopSignal()), 10)


def _delivery(world: Any, applier: Applier, *, epoch: int, value: bytes | None = None) -> Delivery:
    message = world.message(value=value)
    record = Record(message.topic, message.key, message.value, message.headers, partition=0, offset=3, timestamp_ms=0)
    return applier.subscription.read(record, epoch)


async def _offsets(world: Any, count: int) -> bool:
    return bool(await world.offsets() == count)
