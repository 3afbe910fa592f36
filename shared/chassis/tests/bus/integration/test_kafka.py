"""Kafka's adapter keeps every promise of the port, on a real Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from chassis.bus import open_bus
from chassis.bus.kafka.consumer import KafkaConsumer
from chassis.bus.port import Bus, Consumer
from testkit.conformance.bus import BusConformance, BusHarness
from testkit.kafka import KafkaCluster

SESSION_TIMEOUT_S = 1


class KafkaHarness:
    """Clients of one Kafka, closed in the end."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: list[Bus] = []

    async def open(self) -> Bus:
        bus = await open_bus(f"{self._url}?session_timeout_s={SESSION_TIMEOUT_S}")
        self._opened.append(bus)
        return bus

    async def kill(self, consumer: Consumer) -> None:
        assert isinstance(consumer, KafkaConsumer)
        await consumer.abandon()

    async def close(self) -> None:
        for bus in self._opened:
            await bus.close()


class TestKafka(BusConformance):
    @pytest_asyncio.fixture
    async def harness(self, kafka: KafkaCluster) -> AsyncIterator[BusHarness]:
        harness = KafkaHarness(kafka.url)
        yield harness
        await harness.close()
