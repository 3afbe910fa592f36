"""A test's own Kafka: it may stop, kill and start each broker, and what was written is still there."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from testkit.kafka import KafkaCluster, KafkaFactory

PATIENCE_S = 30.0


def bootstrap(cluster: KafkaCluster) -> str:
    return cluster.url.removeprefix("kafka://")


async def create_topic(cluster: KafkaCluster, replicas: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap(cluster))
    await admin.start()
    try:
        await admin.create_topics([NewTopic("letters", num_partitions=1, replication_factor=replicas)])
    finally:
        await admin.close()


async def write(cluster: KafkaCluster, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap(cluster), acks="all")
    async with asyncio.timeout(PATIENCE_S):
        await producer.start()
        try:
            for value in values:
                await producer.send_and_wait("letters", value)
        finally:
            await producer.stop()


async def read(cluster: KafkaCluster, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer("letters", bootstrap_servers=bootstrap(cluster), auto_offset_reset="earliest")
    async with asyncio.timeout(PATIENCE_S):
        await consumer.start()
        try:
            return [(await consumer.getone()).value for _ in range(count)]
        finally:
            await consumer.stop()


@pytest.mark.asyncio
async def test_a_broker_comes_back_at_its_port_with_its_data(make_kafka: KafkaFactory) -> None:
    cluster = make_kafka()
    await create_topic(cluster, replicas=1)
    await write(cluster, b"before")

    cluster.kill()
    cluster.start()
    await write(cluster, b"after a crash")
    cluster.stop()
    cluster.start()

    assert await read(cluster, 2) == [b"before", b"after a crash"]


@pytest.mark.asyncio
async def test_a_cluster_goes_on_without_one_of_its_brokers(make_kafka: KafkaFactory) -> None:
    cluster = make_kafka(brokers=3)
    await create_topic(cluster, replicas=3)
    await write(cluster, b"by three")

    cluster.kill(1)
    await write(cluster, b"by two")

    assert await read(cluster, 2) == [b"by three", b"by two"]


def test_the_shared_broker_is_one_for_all_tests(kafka: KafkaCluster, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue("kafka") is kafka
    assert kafka.url.startswith("kafka://")
    assert kafka.label
