"""What topics are made with is for ever: none is made while a broker is away, and what exists is left as it is."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from structlog.testing import capture_logs

from chassis.bus.kafka.bus import KafkaBus
from chassis.errors import OperationalError
from testkit.conformance.bus_harness import new_topic
from testkit.kafka import KafkaCluster

pytestmark = pytest.mark.asyncio
NAMED_BESIDE = 9
"""More than there may be where somebody gave the tests a cluster."""


@pytest.fixture
def with_some_away(kafka: KafkaCluster, unused_tcp_port: int) -> str:
    """The cluster, as one of more brokers."""
    return kafka.url + f",127.0.0.1:{unused_tcp_port}" * NAMED_BESIDE


async def replicas(kafka: KafkaCluster, topic: str) -> int | None:
    """How many copies of a topic's partitions there are; None when there is no such topic."""
    administrator = AIOKafkaAdminClient(bootstrap_servers=kafka.url.removeprefix("kafka://"))
    await administrator.start()
    try:
        if topic not in await administrator.list_topics():
            return None
        [described] = await administrator.describe_topics([topic])
    finally:
        await administrator.close()
    return len(described["partitions"][0]["replicas"])


async def test_no_topic_is_made_while_a_broker_that_is_named_is_away(kafka: KafkaCluster, with_some_away: str) -> None:
    topic = new_topic()
    with pytest.raises(OperationalError, match=r"of the \d+ brokers in BUS_URL are up"):
        await KafkaBus.at(with_some_away).ensure_topics({topic: 1})
    assert await replicas(kafka, topic) is None


async def test_a_topic_that_exists_asks_for_no_broker(kafka: KafkaCluster, with_some_away: str) -> None:
    topic = new_topic()
    await KafkaBus.at(kafka.url).ensure_topics({topic: 2})
    await KafkaBus.at(with_some_away).ensure_topics({topic: 2})


async def test_who_says_how_many_copies_gets_them_and_few_are_warned_of(
    kafka: KafkaCluster, with_some_away: str
) -> None:
    topic = new_topic()
    with capture_logs() as said:
        await KafkaBus.at(f"{with_some_away}?replication_factor=1").ensure_topics({topic: 1})
        await KafkaBus.at(f"{with_some_away}?replication_factor=1").ensure_topics({topic: 1})
    assert await replicas(kafka, topic) == 1
    assert warned(said) == [(1, [topic])]


def warned(said: list[Any]) -> list[tuple[int, list[str]]]:
    return [(one["replicas"], one["topics"]) for one in said if one["event"] == "topics_with_few_replicas"]
