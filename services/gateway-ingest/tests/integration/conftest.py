"""gateway-ingest on a fresh database, spoken to over HTTP as a gateway does."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from chassis.clock import ManualClock
from embedded.provisioning import DatabaseAccess
from gateway_ingest.bootstrap import MIGRATIONS, Service, build
from gateway_ingest.domain.signatures import sign
from gateway_ingest.entrypoints.http.app import create
from gateway_ingest.settings import IngestSettings
from testkit.chains import Anvil, anvil
from testkit.postgres import DatabaseFactory
from testkit.registry_programs import ProgramMissing, skip_or_fail

SECRET = "whsec_x"
TOKEN = "service-token"
KEY = base64.b64encode(bytes(range(32))).decode()
STRIPE = "/api/webhooks/stripe"


class Gateway:
    """The gateway's side: signs events and posts them; and the database's, to see what became of them."""

    def __init__(
        self, service: Service, http: httpx.AsyncClient, clock: ManualClock, owner: asyncpg.Connection
    ) -> None:
        self.service = service
        self.http = http
        self.clock = clock
        self._owner = owner

    @staticmethod
    def event(number: int = 1, kind: str = "payment_intent.succeeded", **subject: Any) -> dict[str, Any]:
        """A payment of 2500 cents by alice, changed as wished."""
        intent = {
            "id": f"pi_{number}",
            "amount_received": 2500,
            "currency": "usd",
            "metadata": {"user_id": "alice"},
        } | subject
        return {"id": f"evt_{number}", "type": kind, "created": 1_767_225_600, "data": {"object": intent}}

    async def post(
        self,
        event: Any,
        *,
        path: str = STRIPE,
        secret: str = SECRET,
        signature: str | None = None,
        header: str = "stripe-signature",
        age_s: int = 0,
    ) -> httpx.Response:
        """Post the event (bytes go as they are), signed ``age_s`` seconds ago."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        at = int(self.clock.now().timestamp()) - age_s
        shown = sign(body, secret.encode(), at).decode() if signature is None else signature
        return await self.http.post(path, content=body, headers={header: shown} if shown else {})

    async def rows(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        """A query as the owner."""
        return [dict(row) for row in await self._owner.fetch(sql, *arguments)]

    async def kept(self) -> list[tuple[str, str, str | None]]:
        """(event id, verdict, reason) of all raw events, in order of arrival."""
        rows = await self.rows("SELECT event_id, verdict, reason FROM raw_events ORDER BY position")
        return [(row["event_id"], row["verdict"], row["reason"]) for row in rows]

    async def outgoing(self) -> list[dict[str, Any]]:
        """The messages that are to be published."""
        return [json.loads(row["value"]) for row in await self.rows("SELECT value FROM outbox ORDER BY position")]


OpenGateway = Callable[..., AbstractAsyncContextManager[Gateway]]


def settings(app_dsn: str, **more: Any) -> IngestSettings:
    """Settings of a service that runs on ``app_dsn``."""
    given = {
        "database_url": app_dsn,
        "bus_url": "memory://",
        "service_token": TOKEN,
        "port": 8001,
        "stripe_webhook_secret": SECRET,
        "raw_event_key": KEY,
    }
    return IngestSettings(**(given | more))


@pytest.fixture
def ingest_database(make_database: DatabaseFactory) -> DatabaseAccess:
    """A migrated database of gateway-ingest."""
    return make_database("gateway_ingest", migrations=MIGRATIONS)


@pytest.fixture
def open_gateway(ingest_database: DatabaseAccess) -> OpenGateway:
    """``async with open_gateway(stripe_webhook_secret=…) as gateway``: the service with these settings."""

    @asynccontextmanager
    async def opened(**more: Any) -> AsyncIterator[Gateway]:
        clock = ManualClock()
        owner = await asyncpg.connect(ingest_database.owner_dsn)
        try:
            async with build(settings(ingest_database.app_dsn, **more), clock=clock) as service:
                transport = httpx.ASGITransport(create(service))
                async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as http:
                    yield Gateway(service, http, clock, owner)
        finally:
            await owner.close()

    return opened


@pytest.fixture
def node() -> Iterator[Anvil]:
    """A fresh Ethereum node. Skips where it cannot be had, but in CI."""
    try:
        with anvil(chain_id=31337) as running:
            yield running
    except ProgramMissing as missing:
        skip_or_fail(missing)
