from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import pytest

from chassis.clock import ManualClock
from eventstore.memory import MemoryEventStore
from eventstore.port import StoredEvent
from testkit.conformance.eventstore import EventStoreConformance, without_transactions


class MemoryHarness:
    """There is one process and so one client."""

    def __init__(self) -> None:
        self._store = MemoryEventStore()

    async def open(self) -> MemoryEventStore:
        return self._store

    def transaction(self) -> AbstractAsyncContextManager[None]:
        return without_transactions()


@pytest.mark.asyncio
class TestMemoryEventStore(EventStoreConformance):
    @pytest.fixture
    def harness(self) -> MemoryHarness:
        return MemoryHarness()

    async def test_time_is_the_clock_s(self) -> None:
        moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
        store = MemoryEventStore(ManualClock(moment))
        await store.append([StoredEvent("a", 1, "test.Happened", b"{}")])
        assert (await store.load("a"))[0].recorded_at == moment
