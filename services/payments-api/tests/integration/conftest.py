"""The service on a real database, with a bus in memory and a small ledger of its own behind real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from chassis.bus.port import OutgoingRecord
from chassis.clock import ManualClock
from chassis.http import serve_http
from chassis.runtime import StopSignal
from contracts.envelope import Envelope
from contracts.messages import Message
from contracts.topics import PARTITIONS
from embedded.provisioning import DatabaseAccess
from payments_api.application.purchasing import Patience
from payments_api.bootstrap import Parts, open_parts
from payments_api.entrypoints.bus.handlers import make_consumer
from payments_api.entrypoints.http.api import make_app
from payments_api.settings import PaymentsApiSettings
from testkit.postgres import DatabaseFactory
from testkit.waiting_for import eventually

from .stand_in_ledger import StandInLedger, make_ledger_app

ROOT = Path(__file__).resolve().parents[4]
MIGRATIONS = ROOT / "services" / "payments-api" / "migrations"
TOKEN = "service-token"
SECRET = "demo-secret"
START = datetime(2026, 5, 1, tzinfo=UTC)
QUICK = Patience(budget_s=1.0, first_pause_s=0.01, longest_pause_s=0.02, resume_after_s=0.0, resume_pause_s=0.01)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@asynccontextmanager
async def served(app: FastAPI, port: int | None = None) -> AsyncIterator[str]:
    """Serve ``app`` on the loopback; its address."""
    stop, port = StopSignal(), port or free_port()
    task = asyncio.create_task(serve_http(app, "127.0.0.1", port, stop, drain_s=1))
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:

            async def answers() -> bool:
                try:
                    return (await client.get("/healthz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answers)
        yield url
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


class Shop:
    """One instance of the service, and what stands around it."""

    def __init__(self, parts: Parts, ledger: Any, clock: ManualClock) -> None:
        self.parts = parts
        self.pool = parts.pool
        self.ledger = ledger
        self.clock = clock
        self.app = make_app(parts, heartbeat_s=0.1)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://shop")
        self._published = 0

    async def sign_in(self, user_id: str = "alice") -> dict[str, str]:
        """Headers by which ``user_id`` is known."""
        answer = await self.http.post("/api/auth/demo", json={"user_id": user_id})
        assert answer.status_code == 200, answer.text
        return {"authorization": f"Bearer {answer.json()['access_token']}"}

    async def get(self, path: str, headers: dict[str, str], **options: Any) -> Any:
        """The body of a 200, its numbers exact."""
        answer = await self.http.get(path, headers=headers, **options)
        assert answer.status_code == 200, answer.text
        return exact(answer)

    async def publish(self, message: Message, *, at_s: float = 0, key: str = "k", **options: Any) -> None:
        """A message on its topic, told at START + ``at_s``; ``message_id`` repeats one."""
        envelope = Envelope(
            id=options.get("message_id") or str(uuid4()),
            type=message.TYPE,
            source="test",
            time=START + timedelta(seconds=at_s),
            subject=key,
            data=message.model_dump_json().encode(),
        )
        await self.publish_record(OutgoingRecord(message.TOPIC, key.encode(), envelope.data, envelope.to_headers()))

    async def publish_record(self, record: OutgoingRecord) -> None:
        producer = self.parts.bus.producer("test")
        await producer.start()
        await producer.publish([record])
        self._published += 1

    async def consume(self) -> None:
        """Until all that was published is handled, parked or waits."""

        async def done() -> bool:
            sql = "SELECT coalesce(sum(next_offset), 0) FROM consumer_offsets"
            return bool(await self.pool.fetchval(sql) == self._published)

        async with running(make_consumer(self.parts).run):
            await eventually(done)

    async def deliver(self, *messages: Message, **options: Any) -> None:
        for message in messages:
            await self.publish(message, **options)
        await self.consume()

    async def live(self, user_id: str) -> list[tuple[str, Any]]:
        """What ``user_id`` was told."""
        rows = await self.pool.fetch("SELECT kind, data FROM live_events WHERE user_id = $1 ORDER BY id", user_id)
        return [(row["kind"], json.loads(row["data"], parse_float=Decimal)) for row in rows]


def exact(answer: httpx.Response) -> Any:
    return json.loads(answer.content, parse_float=Decimal)


@asynccontextmanager
async def running(*works: Callable[[StopSignal], Awaitable[None]]) -> AsyncIterator[StopSignal]:
    """Background tasks for as long as the block runs; their bugs are raised at its end."""
    stop = StopSignal()
    tasks = [asyncio.ensure_future(work(stop)) for work in works]
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)


@pytest.fixture
def database(make_database: DatabaseFactory) -> DatabaseAccess:
    return make_database("payments_api", migrations=MIGRATIONS)


@pytest_asyncio.fixture
async def ledger() -> AsyncIterator[Any]:
    """The stand-in; ``url`` is where it listens."""
    standing_in = StandInLedger()
    async with served(make_ledger_app(standing_in, TOKEN)) as url:
        standing_in.url = url
        yield standing_in
        standing_in.release.set()


OpenShop = Callable[..., Any]


@pytest_asyncio.fixture
async def open_shop(database: DatabaseAccess, ledger: Any) -> OpenShop:
    """Opens instances on the one database."""

    @asynccontextmanager
    async def opened(*, patience: Patience = QUICK, **settings: Any) -> AsyncIterator[Shop]:
        given: dict[str, Any] = {
            "database_url": database.app_dsn,
            "bus_url": "memory://",
            "service_token": TOKEN,
            "ledger_url": ledger.url,
            "gateway_ingest_url": "http://127.0.0.1:9",
            "demo_payment": True,
            "demo_webhook_secret": SECRET,
            "ledger_timeout_s": 0.3,
            "marketplace_config": ROOT / "config" / "marketplace.toml",
        }
        clock = ManualClock(START)
        async with open_parts(PaymentsApiSettings(**given | settings), clock=clock, patience=patience) as parts:
            await parts.bus.ensure_topics(PARTITIONS)
            shop = Shop(parts, ledger, clock)
            async with shop.http:
                yield shop

    return opened


@pytest_asyncio.fixture
async def shop(open_shop: OpenShop) -> AsyncIterator[Shop]:
    async with open_shop() as opened:
        yield opened
