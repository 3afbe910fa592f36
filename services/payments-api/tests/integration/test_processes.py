"""The service as a process: it migrates, serves, says what is wrong in one line, and stops when told to."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from chassis.bus.port import OutgoingRecord
from chassis.bus.postgres_log import MIGRATIONS as BUS_MIGRATIONS
from chassis.bus.postgres_log import PostgresLogBus
from contracts.amounts import Money
from contracts.messages import DeploymentRequested
from contracts.topics import PARTITIONS
from embedded.provisioning import DatabaseAccess
from testkit.late_door import LateDoor
from testkit.postgres import DatabaseFactory
from testkit.serving import serving
from testkit.waiting_for import eventually

from .conftest import MIGRATIONS, ROOT, SECRET, START, TOKEN, free_port

TIMEOUT_S = 30


ALL_MIGRATIONS = "\n".join(sorted(file.stem for file in MIGRATIONS.glob("*.sql")))


@pytest_asyncio.fixture
async def environment(make_database: DatabaseFactory, ledger: Any) -> dict[str, str]:
    """A fresh, empty database and a bus with its topics; nothing of this machine's own settings."""
    database = make_database("payments_api")
    bus_dsn = make_database("bus", migrations=BUS_MIGRATIONS).app_dsn
    bus = await PostgresLogBus.connect(bus_dsn)
    await bus.ensure_topics(PARTITIONS)
    await bus.close()
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.app_dsn,
        "MIGRATION_DATABASE_URL": database.owner_dsn,
        "BUS_URL": bus_dsn,
        "SERVICE_TOKEN": TOKEN,
        "LEDGER_URL": ledger.url,
        "GATEWAY_INGEST_URL": "http://127.0.0.1:9",
        "DEMO_PAYMENT": "true",
        "DEMO_WEBHOOK_SECRET": SECRET,
        "MARKETPLACE_CONFIG": str(ROOT / "config" / "marketplace.toml"),
    }


async def finished(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    command = [sys.executable, "-m", "payments_api", *arguments]
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


@asynccontextmanager
async def started(environment: dict[str, str]) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    """``serve``, ready for traffic."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "payments_api", "serve", env=environment | {"PORT": str(port)}, stdout=subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            async def ready() -> bool:
                assert process.returncode is None, "it ended"
                try:
                    return (await client.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, TIMEOUT_S)
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.asyncio
async def test_it_migrates_serves_hears_the_bus_and_stops(environment: dict[str, str], ledger: Any) -> None:
    first, again = await finished(environment, "migrate"), await finished(environment, "migrate")
    assert (first.returncode, first.stdout.strip()) == (0, ALL_MIGRATIONS)
    assert (again.returncode, again.stdout.strip()) == (0, "up to date")
    ledger.give("alice", 2500)
    async with started(environment) as (process, client):
        token = (await client.post("/api/auth/demo", json={"user_id": "alice"})).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        assert b'"balance":25.00' in (await client.get("/api/user/tfc-balance", headers=headers)).content
        await charge_elsewhere(environment["BUS_URL"])

        async def heard() -> bool:
            return (await client.get("/api/deployments/d1", headers=headers)).status_code == 200

        await eventually(heard)
        async with client.stream("GET", "/api/events", headers=headers | {"last-event-id": "0"}) as live:
            events = (line async for line in live.aiter_lines() if line.startswith("event: "))
            async with asyncio.timeout(TIMEOUT_S):
                assert await anext(events) == "event: deployment"
                process.send_signal(signal.SIGTERM)
                assert [line async for line in events] == [], "an open stream does not hold the process up"
        assert await asyncio.wait_for(process.wait(), TIMEOUT_S) == 0


async def charge_elsewhere(bus_url: str) -> None:
    """A deployment that was charged over the ledger's own interface."""
    message = DeploymentRequested(
        deployment_id="d1",
        user_id="alice",
        service_id="web-server",
        service_name="Web server",
        amount=Money.of(1000, "TFC/2"),
        requested_at=START,
    )
    envelope = message.in_envelope(source="ledger", stream="charge:d1", version=1, time=START)
    bus = await PostgresLogBus.connect(bus_url)
    producer = bus.producer("ledger")
    await producer.start()
    await producer.publish([OutgoingRecord(message.TOPIC, b"d1", envelope.data, envelope.to_headers())])
    await producer.close()
    await bus.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"LEDGER_URL": ""}, "LEDGER_URL is not set"),
        ({"DEMO_WEBHOOK_SECRET": ""}, "DEMO_WEBHOOK_SECRET"),
        ({"HOST": "0.0.0.0"}, "DEMO_PAYMENT"),  # noqa: S104
        ({"MARKETPLACE_CONFIG": "nowhere.toml"}, "MARKETPLACE_CONFIG"),
        ({"DATABASE_URL": "mysql://a:hush-hush@127.0.0.1:1/x"}, "DATABASE_URL"),
        ({"BUS_URL": "rabbit://a:hush-hush@127.0.0.1:1"}, "BUS_URL"),
        ({"BUS_URL": "kafka://127.0.0.1:1?tls=true&ca_file=nowhere.pem"}, "ca_file nowhere.pem"),
    ],
)
async def test_what_is_wrong_is_one_line(environment: dict[str, str], changed: dict[str, str], says: str) -> None:
    ended = await finished(environment | changed, "serve")
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert says in line
    assert "hush-hush" not in line


@pytest.mark.asyncio
async def test_it_begins_without_database_and_bus(environment: dict[str, str]) -> None:
    assert (await finished(environment, "migrate")).returncode == 0
    async with LateDoor(environment["DATABASE_URL"]) as database_door, LateDoor(environment["BUS_URL"]) as bus_door:
        told = environment | {"DATABASE_URL": database_door.url, "BUS_URL": bus_door.url}
        async with serving("payments_api", told) as service:
            not_ready = await service.http.get("/readyz")
            assert (not_ready.status_code, not_ready.json()["checks"]) == (503, {"database": False})
            refused = await service.http.post("/api/auth/demo", json={"user_id": "alice"})
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert int(refused.headers["retry-after"]) >= 1
            await database_door.open()
            await eventually(service.is_ready, TIMEOUT_S)
            signed_in = await service.http.post("/api/auth/demo", json={"user_id": "alice"})
            headers = {"authorization": f"Bearer {signed_in.json()['access_token']}"}
            await charge_elsewhere(environment["BUS_URL"])
            unheard = await service.http.get("/api/deployments/d1", headers=headers)
            assert unheard.status_code == 404, "the bus was not away"
            await bus_door.open()

            async def heard() -> bool:
                return (await service.http.get("/api/deployments/d1", headers=headers)).status_code == 200

            await eventually(heard, TIMEOUT_S)
            assert await service.stopped() == 0


@pytest.mark.asyncio
async def test_a_database_that_says_nothing_does_not_keep_it_from_stopping(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody:x@127.0.0.1:{silent.getsockname()[1]}/nothing"
        async with serving("payments_api", environment | {"DATABASE_URL": url}) as service:
            assert await service.stopped() == 0


@pytest.mark.asyncio
async def test_migrating_without_a_database_fails_in_one_line(environment: dict[str, str]) -> None:
    ended = await finished(
        environment | {"MIGRATION_DATABASE_URL": "postgresql://a:hush-hush@127.0.0.1:1/x"}, "migrate"
    )
    (line,) = ended.stderr.strip().splitlines()
    assert (ended.returncode, "migrations stopped" in line) == (1, True)
    assert "hush-hush" not in line


@pytest.mark.asyncio
async def test_an_unknown_command_shows_the_usage(environment: dict[str, str]) -> None:
    ended = await finished(environment, "dance")
    assert (ended.returncode, "serve|api|worker|migrate" in ended.stderr) == (2, True)


@pytest.mark.asyncio
async def test_the_app_role_can_rewrite_no_history(database: DatabaseAccess) -> None:
    conn = await asyncpg.connect(database.app_dsn)
    for statement in ("UPDATE stored_events SET topic = ''", "DELETE FROM stored_events", "TRUNCATE stored_events"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(statement)
    await conn.close()
