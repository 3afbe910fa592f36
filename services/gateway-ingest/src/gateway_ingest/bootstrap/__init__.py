"""The composition root of gateway-ingest: the only place that knows all parts. Decides nothing of the business."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from chassis.bus import open_bus
from chassis.bus.port import Bus
from chassis.bus.retry import Backoff
from chassis.clock import Clock, SystemClock
from chassis.errors import OperationalError
from chassis.outbox import OutboxSource
from chassis.postgres import is_reachable
from chassis.relay import Relay
from chassis.relay_backlog import backlog_shown
from chassis.runtime import StopSignal
from chassis.starting import service_pool
from contracts.topics import PARTITIONS
from gateway_ingest.adapters.encryption import RawEventCipher
from gateway_ingest.adapters.kept_events import KeptEvents
from gateway_ingest.adapters.raw_events import PostgresEventStore
from gateway_ingest.application.intake import Intake
from gateway_ingest.application.ports import GatewayPort
from gateway_ingest.application.watching import Watcher
from gateway_ingest.application.watching_ports import Chain
from gateway_ingest.bootstrap.gateways import gateways
from gateway_ingest.bootstrap.watchers import chains, watchers
from gateway_ingest.settings import IngestSettings

MIGRATIONS = Path(__file__).resolve().parents[3] / "migrations"
POOL_MAX_CONNECTIONS = 12

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that the entry points call."""

    settings: IngestSettings
    pool: asyncpg.Pool[Any]
    intake: Intake
    gateways: Mapping[str, GatewayPort]
    kept: KeptEvents
    committed: asyncio.Event
    chains: Mapping[str, Chain]
    watchers: Mapping[str, Watcher]

    async def ready(self) -> Mapping[str, bool]:
        """Fit for traffic: the database answers. The bus need not: what it misses waits in the outbox."""
        return {"database": await is_reachable(self.pool)}

    async def relay(self, stop: StopSignal) -> None:
        """Publish the outbox until stopped; a bus that is away is tried again."""
        async with backlog_shown(self.pool, OutboxSource()):
            await self.on_bus(self._publish, stop)

    async def on_bus(self, work: Callable[[Bus, StopSignal], Awaitable[bool]], stop: StopSignal) -> None:
        """Do ``work`` on a bus until stopped, trying again; it answers whether the bus could be used."""
        backoff = Backoff()
        while not stop.is_set():
            try:
                bus = await open_bus(self.settings.bus_url.get_secret_value())
            except OperationalError as away:
                log.warning("bus_away", error=str(away))
                await stop.wait_for(backoff.next_s())
                continue
            try:
                if await work(bus, stop):
                    backoff.reset()
            finally:
                await bus.close()
            await stop.wait_for(backoff.next_s())

    async def _publish(self, bus: Bus, stop: StopSignal) -> bool:
        """Answers whether the bus could be used."""
        producer = bus.producer(self.settings.service)
        try:
            await bus.ensure_topics(PARTITIONS)
            await producer.start()
        except OperationalError as away:
            log.warning("bus_away", error=str(away))
            return False
        try:
            await Relay(self.pool, producer, OutboxSource(), wakeup=self.committed).run(stop)
        finally:
            await producer.close()
        return True


@asynccontextmanager
async def build(settings: IngestSettings, *, clock: Clock | None = None) -> AsyncIterator[Service]:
    """The service, its connections closed in the end; also while the database is away. Raises SettingsError."""
    cipher = RawEventCipher.parse(settings.raw_event_key.get_secret_value())
    pool = await service_pool(settings, max_size=POOL_MAX_CONNECTIONS)
    committed = asyncio.Event()
    clock = clock or SystemClock()
    intake = Intake(PostgresEventStore(pool, cipher, on_kept=committed.set), clock)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(pool.close)
        nodes = chains(settings)
        for node in nodes.values():
            stack.push_async_callback(node.close)
        yield Service(
            settings=settings,
            pool=pool,
            intake=intake,
            gateways=gateways(settings),
            kept=KeptEvents(pool, cipher),
            committed=committed,
            chains=nodes,
            watchers=watchers(settings, nodes, pool, intake, clock),
        )
