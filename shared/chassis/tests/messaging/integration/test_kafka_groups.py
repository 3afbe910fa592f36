"""Groups of consumers on a real Kafka: whatever the brokers and the rebalances do, each message takes effect once."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import TopicPartition as ClientPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from chassis.bus.kafka import KafkaBus
from chassis.bus.kafka.consumer import KafkaConsumer
from chassis.bus.port import RECORD_MAX_BYTES
from chassis.consumer import ConsumerStalled, Limits, PlaceLost
from chassis.outbox import OutboxSource
from chassis.relay import Relay
from chassis.runtime import StopSignal
from contracts.envelope import Envelope
from testkit.conformance.bus_harness import joined, publish
from testkit.kafka import KafkaCluster, KafkaFactory
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
PATIENCE_S = 60.0
SESSION_TIMEOUT_S = 2


@pytest.fixture
def cluster(make_kafka: KafkaFactory) -> KafkaCluster:
    """Of the test's own: every test speaks of the same topics."""
    return make_kafka()


@pytest_asyncio.fixture
async def on_kafka(world: Any, cluster: KafkaCluster) -> AsyncIterator[Any]:
    """The world of this folder, on that cluster."""
    world.bus = await KafkaBus.connect(f"{cluster.url}?session_timeout_s={SESSION_TIMEOUT_S}")
    await world.bus.ensure_topics({world.TOPIC: 4, world.DEAD: 1})
    yield world
    await world.bus.close()


def numbered(world: Any, count: int) -> list[Any]:
    return [world.message(f"key-{number % 9}", {"note": f"{number}"}) for number in range(count)]


async def has_effects(world: Any, count: int) -> bool:
    found = await world.count("effects")
    assert found == count
    return True


async def assert_each_once_in_order(world: Any, count: int) -> None:
    notes = defaultdict(list)
    for row in await world.rows("SELECT key, note FROM effects ORDER BY place"):
        notes[row["key"]].append(int(row["note"]))
    assert sorted(number for numbers in notes.values() for number in numbers) == list(range(count))
    assert all(numbers == sorted(numbers) for numbers in notes.values())


async def test_rebalances_while_messages_are_in_hand_repeat_and_lose_nothing(on_kafka: Any) -> None:
    world, calls = on_kafka, Counter[str]()

    async def paid(conn: Any, envelope: Envelope) -> None:
        calls[envelope.id] += 1
        await asyncio.sleep(0.005)
        await world.paid(conn, envelope)

    def member() -> Any:
        return world.running(world.consumer({world.PAID: paid}))

    await publish(world.bus, numbered(world, 600))
    async with AsyncExitStack() as staying:
        await staying.enter_async_context(member())
        for done in (60, 180, 300, 420):
            await eventually(lambda done=done: reached(world, done), PATIENCE_S)
            async with member():
                await eventually(lambda done=done: reached(world, done + 60), PATIENCE_S)
        await eventually(lambda: has_effects(world, 600), PATIENCE_S)
    await assert_each_once_in_order(world, 600)
    owners = await world.rows("SELECT max(owner_epoch) AS epoch FROM consumer_offsets")
    assert owners[0]["epoch"] > 4, "there were no rebalances"


async def reached(world: Any, count: int) -> bool:
    return bool(await world.count("effects") >= count)


async def test_a_handler_slower_than_the_session_keeps_its_partitions(on_kafka: Any) -> None:
    world, calls = on_kafka, Counter[str]()
    may_end = asyncio.Event()

    async def paid(conn: Any, envelope: Envelope) -> None:
        calls[envelope.id] += 1
        await may_end.wait()
        await world.paid(conn, envelope)

    await publish(world.bus, numbered(world, 8))
    async with world.running(world.consumer({world.PAID: paid})):
        await eventually(lambda: len(calls) > 0, PATIENCE_S)
        loop = asyncio.get_running_loop()
        long_after = loop.time() + 3 * SESSION_TIMEOUT_S
        await eventually(lambda: loop.time() > long_after, PATIENCE_S)
        epochs = await world.rows("SELECT DISTINCT owner_epoch FROM consumer_offsets")
        assert [row["owner_epoch"] for row in epochs] == [1]
        may_end.set()
        await eventually(lambda: has_effects(world, 8), PATIENCE_S)
    assert set(calls.values()) == {1}


async def test_a_poison_message_goes_to_the_dead_letters_and_the_stream_goes_on(on_kafka: Any) -> None:
    world = on_kafka

    async def paid(conn: Any, envelope: Envelope) -> None:
        await world.paid(conn, envelope)

    good = numbered(world, 20)
    bad = world.message("key-1", value=b"{}", message_id="no-uuid")
    await publish(world.bus, [*good[:10], bad, *good[10:]])
    producer = world.bus.producer("relay")
    relay = Relay(world.pool, producer, OutboxSource(), poll_s=0.01)
    async with world.running(world.consumer({world.PAID: paid}), relay):
        await eventually(lambda: has_effects(world, 20), PATIENCE_S)
        async with joined(world.bus, "operators", [world.DEAD]) as reader:
            await eventually(lambda: reader.has(1), PATIENCE_S)
    await producer.close()
    [copy] = reader.records
    assert dict(copy.headers)["dead_letter_reason"] == b"bad-envelope"
    assert copy.value == bad.value
    assert await world.count("dead_letters") == 1
    await assert_each_once_in_order(world, 20)


async def test_messages_of_the_largest_size_pass(on_kafka: Any) -> None:
    world = on_kafka
    empty = world.message("key", {"note": "0"})
    room = RECORD_MAX_BYTES - empty.size_bytes - 100
    large = [world.message("key", {"note": f"{n}", "rest": "x" * room}) for n in range(5)]
    assert all(RECORD_MAX_BYTES - 300 < record.size_bytes <= RECORD_MAX_BYTES for record in large)
    await publish(world.bus, large)
    async with world.running(world.consumer()):
        await eventually(lambda: has_effects(world, 5), PATIENCE_S)
    await assert_each_once_in_order(world, 5)


async def test_a_broker_that_restarts_delays_and_repeats_nothing(on_kafka: Any, cluster: KafkaCluster) -> None:
    world = on_kafka
    records = numbered(world, 300)
    await publish(world.bus, records[:150])
    async with world.running(world.consumer(), world.consumer()):
        await eventually(lambda: reached(world, 30), PATIENCE_S)
        await asyncio.to_thread(cluster.kill)
        await asyncio.to_thread(cluster.start)
        await publish(world.bus, records[150:])
        await eventually(lambda: has_effects(world, 300), PATIENCE_S)
    await assert_each_once_in_order(world, 300)


@asynccontextmanager
async def administrator_of(cluster: KafkaCluster) -> AsyncIterator[AIOKafkaAdminClient]:
    administrator = AIOKafkaAdminClient(bootstrap_servers=cluster.url.removeprefix("kafka://"))
    await administrator.start()
    try:
        yield administrator
    finally:
        await administrator.close()


async def test_a_place_is_good_in_its_own_topic_alone(on_kafka: Any, cluster: KafkaCluster) -> None:
    """One test for one cluster: a log that forgot what was handled, then a shorter one and a longer one of its name."""
    world = on_kafka
    await publish(world.bus, numbered(world, 40))
    async with world.running(world.consumer()):
        await eventually(lambda: has_effects(world, 40), PATIENCE_S)
    places = await world.rows("SELECT partition, next_offset FROM consumer_offsets WHERE next_offset IS NOT NULL")
    handled = {ClientPartition(world.TOPIC, row["partition"]): RecordsToDelete(row["next_offset"]) for row in places}
    async with administrator_of(cluster) as administrator:
        await administrator.delete_records(handled)
        await publish(world.bus, numbered(world, 9))
        async with world.running(world.consumer()):
            await eventually(lambda: has_effects(world, 49), PATIENCE_S)
        assert await world.offsets() == 49
        await administrator.delete_topics([world.TOPIC])
        await eventually(lambda: is_gone(administrator, world.TOPIC), PATIENCE_S)
    await world.bus.ensure_topics({world.TOPIC: 4})
    for anew in (4, 400):
        await publish(world.bus, numbered(world, anew))
        with pytest.raises(PlaceLost, match=r"group billing finds its place in payments\[\d\] no more"):
            await asyncio.wait_for(world.consumer().run(StopSignal()), PATIENCE_S)
        assert (await world.count("effects"), await world.offsets()) == (49, 49)


async def is_gone(administrator: AIOKafkaAdminClient, topic: str) -> bool:
    return topic not in await administrator.list_topics()


async def test_a_client_that_got_stuck_ends_the_consumer(on_kafka: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = on_kafka
    limits = Limits(fetch_wait_s=0.05, commit_every_s=0.05, drain_s=1, stall_s=1.0)
    await publish(world.bus, numbered(world, 40))
    stop = StopSignal()
    running = asyncio.create_task(world.consumer(limits=limits).run(stop))
    await eventually(lambda: has_effects(world, 40), PATIENCE_S)

    async def stuck(self: KafkaConsumer, max_records: int, timeout_s: float) -> dict[Any, Any]:
        await asyncio.sleep(timeout_s)
        return {}

    monkeypatch.setattr(KafkaConsumer, "_fetched", stuck)
    await publish(world.bus, numbered(world, 1))
    with pytest.raises(ConsumerStalled, match="1 records waiting"):
        await asyncio.wait_for(running, PATIENCE_S)
    assert await world.count("effects") == 40
