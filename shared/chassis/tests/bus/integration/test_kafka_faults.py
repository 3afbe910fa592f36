"""What the client of Kafka gets wrong by itself, and the adapter must make right: on brokers that are killed for it.

Source of the list: aiokafka 0.14's documentation, source and open reports, as the ADR on this adapter has them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    NotEnoughReplicasError,
    OutOfOrderSequenceNumber,
    UnknownProducerId,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.produce import ProduceRequest

from chassis.bus import open_bus
from chassis.bus.kafka import producer as producer_module
from chassis.bus.kafka.address import read_address
from chassis.bus.kafka.bus import KafkaBus
from chassis.bus.kafka.options import BATCH_MAX_BYTES
from chassis.bus.kafka.producer import KafkaProducer
from chassis.bus.port import OffsetOutOfRange, OutgoingRecord, TopicPartition, UnknownTopic
from chassis.errors import OperationalError
from testkit.conformance.bus_harness import Member, Watching, joined, new_topic, numbered, publish
from testkit.kafka import KafkaCluster, KafkaFactory
from testkit.waiting_for import eventually

PATIENCE_S = 60.0
SHORT_S = 1.0
"""Stands for the limits of production, so that nobody waits for them here."""


@pytest_asyncio.fixture
async def bus(kafka: KafkaCluster) -> AsyncIterator[KafkaBus]:
    opened = await KafkaBus.connect(f"{kafka.url}?session_timeout_s=1")
    yield opened
    await opened.close()


async def topic_on(bus: KafkaBus, partitions: int = 1) -> str:
    topic = new_topic()
    await bus.ensure_topics({topic: partitions})
    return topic


def one(topic: str, number: int) -> OutgoingRecord:
    return OutgoingRecord(topic, b"key", str(number).encode())


async def values(bus: KafkaBus, topic: str, count: int) -> list[bytes]:
    """What is in the topic, repeats dropped, in the order of the first."""
    async with joined(bus, f"reader-{topic}", [topic]) as member:
        await eventually(lambda: reached(member, count), PATIENCE_S)
        return member.values(b"key")


async def reached(member: Member, count: int) -> bool:
    await member.pump()
    return len(member.values(b"key")) >= count


@pytest.mark.asyncio
async def test_a_dead_broker_ends_a_publish_and_nothing_is_lost_or_out_of_order(
    make_kafka: KafkaFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer_module, "PUBLISH_TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(producer_module, "START_TIMEOUT_S", SHORT_S)
    cluster = make_kafka()
    bus = await KafkaBus.connect(cluster.url)
    topic, producer = await topic_on(bus), bus.producer("test")
    await producer.start()
    await producer.publish([one(topic, number) for number in range(10)])
    await asyncio.to_thread(cluster.kill)
    for _ in range(2):
        # By then the client waits for ever; its stop does as well.
        with pytest.raises(OperationalError):
            await asyncio.wait_for(producer.publish([one(topic, 10), one(topic, 11)]), 10 * SHORT_S)
    await asyncio.to_thread(cluster.start)
    for number in range(10, 20):
        await persistently(producer, one(topic, number))
    assert await values(bus, topic, 20) == [str(number).encode() for number in range(20)]
    await asyncio.wait_for(producer.close(), 10 * SHORT_S)


async def persistently(producer: KafkaProducer, record: OutgoingRecord) -> None:
    async def sent() -> bool:
        try:
            await producer.publish([record])
        except OperationalError:
            return False
        return True

    await eventually(sent, PATIENCE_S)


@pytest.mark.asyncio
async def test_closing_while_the_brokers_are_gone_has_an_end(
    make_kafka: KafkaFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer_module, "CLOSE_TIMEOUT_S", SHORT_S)
    cluster = make_kafka()
    bus = await KafkaBus.connect(f"{cluster.url}?session_timeout_s=1")
    topic, producer = await topic_on(bus), bus.producer("test")
    await producer.start()
    await producer.publish([one(topic, 0)])
    member = Member(bus.consumer("group", [topic], "test"), Watching())
    await member.consumer.start(member.listener)
    await eventually(lambda: member.has(1), PATIENCE_S)
    await asyncio.to_thread(cluster.kill)
    hanging = asyncio.create_task(producer.publish([one(topic, 1)]))
    await asyncio.wait({hanging}, timeout=SHORT_S)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    await asyncio.wait_for(producer.close(), 10.0)
    await asyncio.wait_for(member.consumer.close(), 20.0)
    assert member.listener.owned == frozenset()


@pytest.mark.asyncio
async def test_who_is_away_is_said_so_in_bounded_time(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperationalError, match="kafka"):
        await asyncio.wait_for(open_bus(f"kafka://127.0.0.1:{unused_tcp_port}"), 15.0)
    bus = KafkaBus(read_address(f"kafka://127.0.0.1:{unused_tcp_port}"))
    with pytest.raises(OperationalError):
        await asyncio.wait_for(bus.producer("test").start(), 15.0)
    member = Member(bus.consumer("group", ["topic"], "test"), Watching())
    with pytest.raises(OperationalError):
        await asyncio.wait_for(member.consumer.start(member.listener), 20.0)
    await member.consumer.close()


@pytest.mark.asyncio
async def test_a_cancelled_publish_throws_its_client_away(bus: KafkaBus) -> None:
    topic, producer = await topic_on(bus), bus.producer("test")
    await producer.start()
    before = producer._client
    sending = asyncio.create_task(producer.publish([one(topic, number) for number in range(5000)]))
    await asyncio.wait({sending}, timeout=0.005)
    assert sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert before._closed
    await producer.publish([one(topic, number) for number in range(5000)])
    assert producer._client is not before
    assert await values(bus, topic, 5000) == [str(number).encode() for number in range(5000)]
    await producer.close()


@pytest.mark.asyncio
async def test_a_refusal_by_the_broker_builds_a_new_client(bus: KafkaBus, kafka: KafkaCluster) -> None:
    topic, producer = await topic_on(bus), bus.producer("test")
    await shrink(kafka, topic)
    await producer.start()
    before = producer._client
    large = OutgoingRecord(topic, b"large", random.Random(1).randbytes(10_000))

    async def is_refused() -> bool:
        with pytest.raises(OperationalError, match="MessageSizeTooLarge"):
            await producer.publish([large])
        return True

    await eventually(is_refused, PATIENCE_S)
    assert before._closed
    await producer.publish([one(topic, 1)])
    assert producer._client is not before
    assert await values(bus, topic, 1) == [b"1"]
    await producer.close()


async def shrink(kafka: KafkaCluster, topic: str) -> None:
    """Let the broker take only small batches for this topic."""
    administrator = AIOKafkaAdminClient(bootstrap_servers=kafka.url.removeprefix("kafka://"))
    await administrator.start()
    try:
        limit = {"max.message.bytes": "2000"}
        await administrator.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, limit)])
    finally:
        await administrator.close()


class BrokenClient:
    """Stands for the client, whose deliveries fail with one error each."""

    def __init__(self, error: type[KafkaError]) -> None:
        self._error = error
        self.client = self
        self._sender = self
        self.sender_task = None
        self._closed = False

    async def start(self) -> None:
        """Nothing to reach."""

    async def partitions_for(self, topic: str) -> set[int]:
        return {0}

    async def _send_produce_req(self, node: int, batches: Any) -> None:
        """Never called: nothing is sent."""

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(1000, 0, is_transactional=False)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[None]:
        delivery: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        delivery.set_exception(self._error())
        return delivery

    async def close(self) -> None:
        self.is_cut = True


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "error", [OutOfOrderSequenceNumber, UnknownProducerId, InvalidProducerEpoch, NotEnoughReplicasError]
)
async def test_every_error_of_a_delivery_builds_a_new_client(
    bus: KafkaBus, monkeypatch: pytest.MonkeyPatch, error: type[KafkaError]
) -> None:
    topic, producer = await topic_on(bus), bus.producer("test")
    broken = BrokenClient(error)
    with monkeypatch.context() as patched:
        patched.setattr(producer_module, "AIOKafkaProducer", lambda **_: broken)
        with pytest.raises(OperationalError, match=error.__name__):
            await producer.publish([one(topic, 0), one(topic, 1)])
    assert broken._closed
    assert broken.is_cut
    await producer.publish([one(topic, 0), one(topic, 1)])
    assert await values(bus, topic, 2) == [b"0", b"1"]
    await producer.close()


@pytest.mark.asyncio
async def test_what_follows_a_refused_batch_is_not_sent(bus: KafkaBus, kafka: KafkaCluster) -> None:
    topic, producer = await topic_on(bus), bus.producer("test")
    await shrink(kafka, topic)
    large = OutgoingRecord(topic, b"key", random.Random(1).randbytes(BATCH_MAX_BYTES + 1))
    # Two batches of these, each of which the broker would take.
    rest = [OutgoingRecord(topic, b"key", bytes(BATCH_MAX_BYTES // 20)) for _ in range(40)]

    async def is_refused() -> bool:
        with pytest.raises(OperationalError, match="MessageSizeTooLarge"):
            await producer.publish([large, *rest])
        return True

    await eventually(is_refused, PATIENCE_S)
    await publish(bus, [one(topic, 2)])
    assert await values(bus, topic, 1) == [b"2"]
    await producer.close()


@pytest.mark.asyncio
async def test_a_client_that_is_thrown_away_leaves_nothing_behind(
    bus: KafkaBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that hangs: connected, it takes the request and never answers."""
    topic, producer = await topic_on(bus), bus.producer("test")
    before = asyncio.all_tasks()
    await producer.start()
    client, asked = producer._client, asyncio.Event()
    answers = client.client.send

    async def hangs(node: int, request: Any, **group: Any) -> Any:
        if not isinstance(request, ProduceRequest):
            return await answers(node, request, **group)
        asked.set()
        return await asyncio.Event().wait()

    monkeypatch.setattr(client.client, "send", hangs)
    monkeypatch.setattr(producer_module, "PUBLISH_TIMEOUT_S", SHORT_S)
    with pytest.raises(OperationalError):
        await producer.publish([one(topic, 0)])
    assert asked.is_set()
    assert asyncio.all_tasks() == before
    assert not any(connection.connected() for connection in client.client._conns.values())
    await producer.publish([one(topic, 1)])
    assert await values(bus, topic, 1) == [b"1"]
    await producer.close()


@pytest.mark.asyncio
async def test_an_unknown_topic_is_named_and_costs_no_client(bus: KafkaBus, monkeypatch: pytest.MonkeyPatch) -> None:
    known, producer = await topic_on(bus), bus.producer("test")
    await producer.publish([one(known, 0)])
    before = producer._client
    with pytest.raises(UnknownTopic, match="t-missing"):
        await producer.publish([one(known, 1), one("t-missing", 0)])
    assert producer._client is before
    assert await values(bus, known, 1) == [b"0"]
    await producer.close()


@pytest.mark.asyncio
async def test_a_consumer_goes_on_after_its_broker_was_killed(make_kafka: KafkaFactory) -> None:
    cluster = make_kafka()
    bus = await KafkaBus.connect(f"{cluster.url}?session_timeout_s=2")
    topic = await topic_on(bus, partitions=4)
    async with joined(bus, "group", [topic]) as member:
        await publish(bus, numbered(topic, 40))
        await eventually(lambda: member.has(40), PATIENCE_S)
        await asyncio.to_thread(cluster.kill)
        assert await member.consumer.fetch(10, 0.1) == []
        with pytest.raises(OperationalError):
            await member.consumer.lag()
        await asyncio.to_thread(cluster.start)
        await publish(bus, [OutgoingRecord(topic, b"after", str(number).encode()) for number in range(40)])

        async def has_the_rest() -> bool:
            try:
                await member.pump()
            except OperationalError:
                return False
            return len(member.values(b"after")) == 40

        await eventually(has_the_rest, PATIENCE_S)


@pytest.mark.asyncio
async def test_a_topic_made_anew_is_no_place_to_go_on(kafka: KafkaCluster, bus: KafkaBus) -> None:
    topic = await topic_on(bus)
    partition = TopicPartition(topic, 0)
    await publish(bus, numbered(topic, 50))
    administrator = AIOKafkaAdminClient(bootstrap_servers=kafka.url.removeprefix("kafka://"))
    await administrator.start()
    try:
        await administrator.delete_topics([topic])

        async def is_gone() -> bool:
            return topic not in await administrator.list_topics()

        await eventually(is_gone, PATIENCE_S)
    finally:
        await administrator.close()
    await bus.ensure_topics({topic: 1})
    await publish(bus, numbered(topic, 5))
    # The service's database says that fifty were handled: the sixth to fiftieth of the new topic must not be skipped.
    async with joined(bus, "group", [topic], {partition: 50}) as member:
        with pytest.raises(OffsetOutOfRange) as refused:
            await eventually(member.pump, PATIENCE_S)
    assert refused.value.partition == partition


@pytest.mark.asyncio
async def test_what_was_acknowledged_survives_the_loss_of_a_leader(make_kafka: KafkaFactory) -> None:
    cluster = await asyncio.to_thread(make_kafka, 3)
    bus = await KafkaBus.connect(f"{cluster.url}?session_timeout_s=3")
    topic, producer = await topic_on(bus, partitions=3), bus.producer("test")
    acknowledged: list[int] = []
    for number in range(300):
        if number == 100:
            await asyncio.to_thread(cluster.kill, 0)
        if number == 200:
            await asyncio.to_thread(cluster.start, 0)
        await persistently(producer, OutgoingRecord(topic, f"key-{number % 7}".encode(), str(number).encode()))
        acknowledged.append(number)
    async with joined(bus, "group", [topic]) as member:
        await eventually(lambda: member.has(300), PATIENCE_S)
        await member.pump(SHORT_S)
    for key in range(7):
        expected = [str(number).encode() for number in acknowledged if number % 7 == key]
        assert member.values(f"key-{key}".encode()) == expected
    await producer.close()
