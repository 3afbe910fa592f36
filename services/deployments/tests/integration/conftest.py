"""The service's parts on a real database, a bus in memory, and the simulator: in this process or as one of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from chassis.bus.memory import MemoryBus
from chassis.bus.port import OutgoingRecord, Record, TopicPartition
from chassis.clock import ManualClock
from chassis.outbox import OutboxSource
from chassis.postgres import open_pool
from chassis.relay import Relay
from chassis.runtime import StopSignal
from contracts.amounts import Money
from contracts.envelope import Envelope
from contracts.messages import DeploymentRequested, Message
from contracts.topics import DEPLOYMENTS, dead_letter_topic
from deployments import bootstrap
from deployments.adapters.catalogue import read_catalogue
from deployments.adapters.grid_http import HttpGrid
from deployments.adapters.publishing import LogSource
from deployments.application.provisioning import Pace
from deployments.application.worker import Worker, WorkerLimits
from deployments.entrypoints.bus.handlers import make_consumer
from deployments.entrypoints.http.routes import make_app
from deployments.settings import DeploymentsSettings
from embedded.grid_simulator.app import create_simulator
from embedded.provisioning import DatabaseAccess
from eventstore.postgres import PostgresEventStore
from testkit.drain import drain
from testkit.postgres import DatabaseFactory
from testkit.waiting_for import eventually

ROOT = Path(__file__).resolve().parents[4]
MIGRATIONS = ROOT / "services" / "deployments" / "migrations"
TOKEN = "service-token"
PROVISION_S = 5.0
AT_ONCE = Pace(poll_first_s=0, poll_longest_s=0, backoff_first_s=0, backoff_longest_s=0, unknown_after_attempts=3)


class House:
    """The service, step by step. ``grid`` is the simulator's HTTP interface, to script faults and to look."""

    def __init__(self, parts: bootstrap.Parts, bus: MemoryBus, grid: httpx.AsyncClient, clock: ManualClock) -> None:
        self.parts = parts
        self.bus = bus
        self.grid = grid
        self.clock = clock
        self.pool = parts.pool
        self._published = 0
        self._read: dict[str, int] = {}

    async def request(
        self, deployment_id: str, service_id: str = "small-vm", amount: int = 500, **headers: Any
    ) -> None:
        """A DeploymentRequested of the ledger; ``message_id`` repeats one."""
        message = DeploymentRequested(
            deployment_id=deployment_id,
            user_id="alice",
            service_id=service_id,
            service_name=service_id.title(),
            amount=Money.of(amount, "TFC/2"),
            requested_at=datetime(2026, 5, 1, tzinfo=UTC),
        )
        await self.publish(message.model_dump_json().encode(), message, **headers)

    async def publish(self, value: bytes, kind: Message | type[Message], *, message_id: str | None = None) -> None:
        """Any value on the topic, keyed so that all stand in one partition."""
        envelope = Envelope(
            id=message_id or str(uuid4()),
            type=kind.TYPE,
            source="ledger",
            time=datetime(2026, 5, 1, tzinfo=UTC),
            subject="deployment:x",
            data=value,
        )
        producer = self.bus.producer("ledger")
        await producer.start()
        await producer.publish([OutgoingRecord(DEPLOYMENTS, b"one-key", value, envelope.to_headers())])
        self._published += 1

    async def consume(self) -> None:
        """Until all that was published has been applied, parked or skipped."""

        async def applied() -> bool:
            sums = await self.fetchval("SELECT coalesce(sum(next_offset), 0) FROM consumer_offsets")
            return bool(sums == self._published)

        async with self.running(make_consumer(self.parts).run):
            await eventually(applied)

    @asynccontextmanager
    async def running(self, *works: Callable[[StopSignal], Awaitable[None]]) -> AsyncIterator[None]:
        """Background tasks for as long as the block runs; their bugs are raised at its end."""
        stop = StopSignal()
        tasks = [asyncio.ensure_future(work(stop)) for work in works]
        try:
            yield
        finally:
            stop.set()
            async with asyncio.timeout(20):
                await asyncio.gather(*tasks)

    def worker(self, *, limits: WorkerLimits | None = None, pace: Pace = AT_ONCE) -> Worker:
        return bootstrap.make_worker(self.parts, pace=pace, limits=limits)

    async def work(self, passes: int = 1) -> None:
        """So many rounds of a worker over what is due."""
        worker = self.worker()
        for _ in range(passes):
            await worker.run_once()

    async def provisioned(self) -> None:
        """The grid's clock passes the time that a workload takes."""
        self.clock.advance(PROVISION_S)

    async def messages(self) -> list[tuple[str, dict[str, Any]]]:
        """What the service published since the last call: short type names and contents."""
        await self.relay()
        own = [
            record for record in await self._new_records(DEPLOYMENTS) if _header(record, "ce_source") == "deployments"
        ]
        self._published += len(own)
        return [(_header(record, "ce_type").split(".")[-2], json.loads(record.value)) for record in own]

    async def dead_letter_reasons(self) -> list[str]:
        """Why the messages stand on the dead-letter topic."""
        await self.relay()
        records = await self._new_records(dead_letter_topic(DEPLOYMENTS))
        return [_header(record, "dead_letter_reason") for record in records]

    async def relay(self) -> None:
        """Publish all that waits."""
        producer = self.bus.producer("deployments")
        await producer.start()
        sources = (LogSource(self.parts.store), OutboxSource())
        await drain(*(Relay(self.parts.pool, producer, source).run_once for source in sources))

    async def _new_records(self, topic: str) -> list[Record]:
        """In order: every topic has one partition here."""
        consumer = self.bus.consumer(f"reader-{uuid4()}", [topic], "reader")
        await consumer.start(_FromTheStart())
        found: list[Record] = []
        try:
            await eventually(lambda: bool(consumer.assignment()))
            while batch := await consumer.fetch(500, 0.05):
                found += batch
        finally:
            await consumer.close()
        seen, self._read[topic] = self._read.get(topic, 0), len(found)
        return found[seen:]

    async def status(self, deployment_id: str) -> str | None:
        found = await self.fetchval("SELECT status FROM deployments WHERE id = $1", deployment_id)
        return None if found is None else str(found)

    async def row(self, deployment_id: str) -> Mapping[str, Any]:
        rows = await self.fetch("SELECT * FROM deployments WHERE id = $1", deployment_id)
        return rows[0]

    async def fetch(self, query: str, *arguments: Any) -> list[Mapping[str, Any]]:
        async with self.pool.acquire() as conn:
            return [dict(row) for row in await conn.fetch(query, *arguments)]

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        async with self.pool.acquire() as conn:
            return await conn.fetchval(query, *arguments)

    async def everything(self) -> list[list[Mapping[str, Any]]]:
        """All that a worker writes, to compare."""
        tables = ("stored_events", "grid_jobs", "deployments")
        return [await self.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]

    async def script(self, **fault: Any) -> None:
        assert (await self.grid.post("/faults", json=fault)).status_code == 201

    async def on_grid(self, name: str) -> str | None:
        answer = await self.grid.get(f"/deployments/{name}")
        return None if answer.status_code == 404 else str(answer.json()["state"])

    async def calls(self, name: str) -> dict[str, int]:
        return dict((await self.grid.get(f"/calls/{name}")).json())

    @asynccontextmanager
    async def http(self, token: str = TOKEN) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(make_app(self.parts))
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://deployments", headers=headers) as client:
            yield client


class _FromTheStart:
    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        return dict.fromkeys(partitions, 0)

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        return None


def _header(record: Record, name: str) -> str:
    return dict(record.headers)[name].decode()


@pytest.fixture
def database(make_database: DatabaseFactory) -> DatabaseAccess:
    return make_database("deployments", migrations=MIGRATIONS)


@pytest_asyncio.fixture
async def house(database: DatabaseAccess, tmp_path: Path) -> AsyncIterator[House]:
    """Everything in this process; the grid's clock is turned by hand."""
    clock = ManualClock()
    simulator = create_simulator(tmp_path / "grid.sqlite3", clock=clock, provision_s=PROVISION_S)
    transport = httpx.ASGITransport(simulator)
    async with (
        simulator.router.lifespan_context(simulator),
        httpx.AsyncClient(transport=transport, base_url="http://grid") as client,
        HttpGrid("http://grid", transport=transport) as grid,
        open_house(database, grid, client, clock) as opened,
    ):
        yield opened


@asynccontextmanager
async def open_house(
    database: DatabaseAccess, grid: HttpGrid, client: httpx.AsyncClient, clock: ManualClock
) -> AsyncIterator[House]:
    settings = DeploymentsSettings.model_validate(
        {
            "database_url": database.app_dsn,
            "bus_url": "memory://",
            "service_token": TOKEN,
            "grid_url": "http://grid",
            "marketplace_config": ROOT / "config" / "marketplace.toml",
        }
    )
    pool = await open_pool(database.app_dsn, max_size=20, application_name="test")
    bus = MemoryBus(session_timeout_s=10)
    await bus.ensure_topics({DEPLOYMENTS: 1, dead_letter_topic(DEPLOYMENTS): 1})
    catalogue = read_catalogue(settings.marketplace_config)
    store = PostgresEventStore(pool)
    try:
        yield House(bootstrap.Parts(settings, pool, bus, grid, catalogue, store, asyncio.Event()), bus, client, clock)
    finally:
        await bus.close()
        await pool.close()
