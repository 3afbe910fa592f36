"""The composition root of gateway-ingest: the only place that knows all parts. Decides nothing of the business."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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
from chassis.postgres import open_pool
from chassis.relay import Relay
from chassis.runtime import StopSignal
from contracts.topics import PARTITIONS
from gateway_ingest.adapters.encryption import RawEventCipher
from gateway_ingest.adapters.gateways import demo, stripe
from gateway_ingest.adapters.kept_events import KeptEvents
from gateway_ingest.adapters.raw_events import PostgresEventStore
from gateway_ingest.application.intake import Intake
from gateway_ingest.application.ports import GatewayPort
from gateway_ingest.settings import IngestSettings, split_secrets

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
POOL_MAX_CONNECTIONS = 6
READINESS_TIMEOUT_S = 1.5

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

    async def ready(self) -> Mapping[str, bool]:
        """Fit for traffic: the database answers. The bus need not: what it misses waits in the outbox."""
        async with asyncio.timeout(READINESS_TIMEOUT_S):
            return {"database": await self.pool.fetchval("SELECT true")}

    async def relay(self, stop: StopSignal) -> None:
        """Publish the outbox until stopped; a bus that is away is tried again."""
        backoff = Backoff()
        while not stop.is_set():
            try:
                bus = await open_bus(self.settings.bus_url.get_secret_value())
            except OperationalError as away:
                log.warning("bus_away", error=str(away))
                await stop.wait_for(backoff.next_s())
                continue
            try:
                if await self._publish(bus, stop):
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
    """The service, its connections closed in the end. It starts although the database is away."""
    cipher = RawEventCipher.parse(settings.raw_event_key.get_secret_value())
    pool = await open_pool(
        settings.database_url.get_secret_value(),
        min_size=0,
        max_size=POOL_MAX_CONNECTIONS,
        application_name=settings.service,
    )
    committed = asyncio.Event()
    store = PostgresEventStore(pool, cipher, on_kept=committed.set)
    try:
        yield Service(
            settings=settings,
            pool=pool,
            intake=Intake(store, clock or SystemClock()),
            gateways=_gateways(settings),
            kept=KeptEvents(pool, cipher),
            committed=committed,
        )
    finally:
        await pool.close()


def _gateways(settings: IngestSettings) -> Mapping[str, GatewayPort]:
    """The gateways that may speak here; the demo gateway only when money that nobody paid is allowed."""
    heard = [
        GatewayPort(stripe.NAME, stripe.SIGNATURE_HEADER, split_secrets(settings.stripe_webhook_secret), stripe.read)
    ]
    if settings.demo_payment:
        secrets = split_secrets(settings.demo_webhook_secret)
        heard.append(GatewayPort(demo.NAME, demo.SIGNATURE_HEADER, secrets, demo.read))
    return {gateway.name: gateway for gateway in heard}
