"""Partitions that no broker leads: whoever joins meanwhile goes on with all the others, and says what it cannot do."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from prometheus_client import REGISTRY

from chassis.bus.kafka.bus import KafkaBus
from chassis.bus.partitioning import partition_of
from chassis.bus.port import TopicPartition
from chassis.errors import OperationalError
from testkit.conformance.bus_harness import Member, joined, new_topic, numbered, publish
from testkit.kafka import KafkaCluster, KafkaFactory
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
PATIENCE_S = 60.0
BROKERS, PARTITIONS, RECORDS = 3, 6, 60
LED = PARTITIONS - PARTITIONS // BROKERS
"""By the brokers that are left."""
GROUP = "beside-the-leaderless"


async def test_a_partition_without_a_leader_keeps_no_other_from_going_on(make_kafka: KafkaFactory) -> None:
    cluster = await asyncio.to_thread(make_kafka, BROKERS)
    bus = await KafkaBus.connect(f"{cluster.url}?session_timeout_s=2&replication_factor=1")
    topic = new_topic()
    await bus.ensure_topics({topic: PARTITIONS})
    records = numbered(topic, RECORDS, keys=RECORDS)
    await publish(bus, records)
    in_partition = Counter(partition_of(record.key, PARTITIONS) for record in records)
    await asyncio.to_thread(cluster.kill, 0)
    led = await eventually(lambda: with_a_leader(cluster, topic), PATIENCE_S)
    unled = {TopicPartition(topic, number) for number in range(PARTITIONS)} - led
    # Some of both where the service's database says, the others at the earliest, for which the brokers are asked.
    starts = dict.fromkeys([*sorted(led)[::2], *sorted(unled)[::2]], 0)
    async with joined(bus, GROUP, [topic], starts) as member:
        await eventually(lambda: member.has(sum(in_partition[one.partition] for one in led)), PATIENCE_S)
        assert {partition for partition, _ in member.distinct()} == led
        await eventually(lambda: knows_the_lag_of(member, led), PATIENCE_S)
        await eventually(lambda: pumped_until(member, has_failed()), PATIENCE_S)
        assert member.consumer.assignment() == led | starts.keys()
        # The topic is there all the same: nobody makes it again, and nobody waits for it.
        await asyncio.wait_for(bus.ensure_topics({topic: PARTITIONS}), PATIENCE_S)
        await asyncio.to_thread(cluster.start, 0)
        await eventually(lambda: member.has(RECORDS), PATIENCE_S)
        assert member.consumer.assignment() == led | unled


async def with_a_leader(cluster: KafkaCluster, topic: str) -> set[TopicPartition]:
    """Those that a broker leads, once the others have noticed that one is gone."""
    administrator = AIOKafkaAdminClient(bootstrap_servers=cluster.url.removeprefix("kafka://"))
    await administrator.start()
    try:
        [described] = await administrator.describe_topics([topic])
    except KafkaError:
        return set()
    finally:
        await administrator.close()
    led = {TopicPartition(topic, one["partition"]) for one in described["partitions"] if one["leader"] >= 0}
    return led if len(led) == LED else set()


async def knows_the_lag_of(member: Member, partitions: set[TopicPartition]) -> bool:
    await member.pump()
    try:
        return (await member.consumer.lag()).keys() == partitions
    except OperationalError:
        return False


async def pumped_until(member: Member, condition: bool) -> bool:
    await member.pump()
    return condition


def has_failed() -> bool:
    """Whether it was counted that a partition could not be begun."""
    return bool(REGISTRY.get_sample_value("gridledger_bus_failures_total", {"group": GROUP, "what": "begin"}))
