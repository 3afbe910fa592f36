from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chassis.bus.log_consumer import LogConsumer
from chassis.bus.memory import MemoryBus
from chassis.bus.port import Consumer
from testkit.conformance.bus import BusConformance


class MemoryHarness:
    """All clients share one memory."""

    def __init__(self) -> None:
        self._bus = MemoryBus(session_timeout_s=0.4)

    async def open(self) -> MemoryBus:
        return self._bus

    async def kill(self, consumer: Consumer) -> None:
        assert isinstance(consumer, LogConsumer)
        await consumer.abandon()


@pytest_asyncio.fixture
async def harness() -> AsyncIterator[MemoryHarness]:
    yield MemoryHarness()


@pytest.mark.asyncio
class TestMemoryBus(BusConformance):
    pass
