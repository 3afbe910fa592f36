"""How much waits to be published is known whatever holds the relay up, and is not shown when it is unknown."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from chassis.bus.memory import MemoryBus
from chassis.bus.port import OutgoingRecord
from chassis.errors import OperationalError
from chassis.outbox import OutboxSource, enqueue
from chassis.postgres import open_pool
from chassis.relay_backlog import backlog_shown, waiting
from chassis.runtime import StopSignal
from chassis.starting import relay_task
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio


def shown() -> float | None:
    return REGISTRY.get_sample_value("gridledger_relay_waiting", {"source": "outbox"})


async def put(world: Any, count: int) -> None:
    async with world.pool.acquire() as conn, conn.transaction():
        await enqueue(conn, [OutgoingRecord(world.TOPIC, b"key", str(number).encode()) for number in range(count)])


async def drained(world: Any) -> None:
    relay = world.relay()
    while await relay.run_once():
        pass


async def test_what_waits_is_what_was_not_published(world: Any) -> None:
    source = OutboxSource(retain_s=0)
    assert await waiting(world.pool, source) == 0
    await put(world, 25)
    assert await waiting(world.pool, source) == 25
    await drained(world)
    assert await waiting(world.pool, source) == 0
    await put(world, 3)
    assert await waiting(world.pool, source) == 3
    await drained(world)
    upto = await world.pool.fetchval("SELECT position FROM relay_positions")
    assert await source.prune(world.pool, upto) == 28
    assert await waiting(world.pool, source) == 0


async def test_it_is_shown_while_it_is_known(world: Any) -> None:
    pool = await open_pool(world.app_dsn, max_size=1, application_name="test")
    await put(world, 5)
    async with backlog_shown(pool, OutboxSource(), every_s=0.01):
        await eventually(lambda: shown() == 5)
        await drained(world)
        await eventually(lambda: shown() == 0)
        await put(world, 2)
        await eventually(lambda: shown() == 2)
        await pool.close()
        await eventually(lambda: shown() is None)


async def test_it_is_shown_also_while_the_bus_was_never_there(world: Any) -> None:
    class Away(MemoryBus):
        def producer(self, client_id: str) -> Any:
            return SimpleNamespace(start=refuse, close=nothing)

    async def refuse() -> None:
        raise OperationalError("the bus is away")

    async def nothing() -> None:
        """Nothing to let go of."""

    await put(world, 7)
    settings: Any = SimpleNamespace(service="test")
    stop = StopSignal()
    running = asyncio.ensure_future(relay_task(settings, world.pool, Away(), OutboxSource())(stop))
    await eventually(lambda: shown() == 7)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert shown() is None
