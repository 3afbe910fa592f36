"""The service as processes on a real bus: killed at the worst moment, started again, told to stop."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

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
from testkit.postgres import DatabaseFactory
from testkit.waiting_for import eventually

ROOT = Path(__file__).resolve().parents[4]


@pytest_asyncio.fixture
async def bus_dsn(make_database: DatabaseFactory) -> str:
    dsn = make_database("bus", migrations=BUS_MIGRATIONS).app_dsn
    bus = await PostgresLogBus.connect(dsn)
    await bus.ensure_topics(PARTITIONS)
    await bus.close()
    return dsn


def environment(database: Any, bus_dsn: str, **more: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database.app_dsn,
        "MIGRATION_DATABASE_URL": database.owner_dsn,
        # A consumer that was killed keeps its partitions no longer than that.
        "BUS_URL": f"{bus_dsn}?session_timeout_s=1",
        "SERVICE_TOKEN": "token",
        "MARKETPLACE_CONFIG": str(ROOT / "config" / "marketplace.toml"),
        **more,
    }


async def request(bus_dsn: str, deployment_id: str) -> None:
    message = DeploymentRequested(
        deployment_id=deployment_id,
        user_id="alice",
        service_id="small-vm",
        service_name="Small",
        amount=Money.of(500, "TFC/2"),
        requested_at=datetime(2026, 5, 1, tzinfo=UTC),
    )
    envelope = message.in_envelope(
        source="ledger", stream=f"charge:{uuid4()}", version=1, time=datetime(2026, 5, 1, tzinfo=UTC)
    )
    bus = await PostgresLogBus.connect(bus_dsn)
    producer = bus.producer("ledger")
    await producer.start()
    await producer.publish(
        [OutgoingRecord(message.TOPIC, deployment_id.encode(), envelope.data, envelope.to_headers())]
    )
    await producer.close()
    await bus.close()


async def status(database: Any, deployment_id: str) -> str | None:
    conn = await asyncpg.connect(database.app_dsn)
    try:
        found = await conn.fetchval("SELECT status FROM deployments WHERE id = $1", deployment_id)
    finally:
        await conn.close()
    return None if found is None else str(found)


@pytest.mark.asyncio
async def test_killed_between_the_grids_yes_and_its_recording(database: Any, bus_dsn: str, processes: Any) -> None:
    url = await processes.simulator(provision_s=0.2)
    settings = environment(database, bus_dsn, GRID_URL=url, GRID_TIMEOUT_S="120", LEASE_S="1")
    async with httpx.AsyncClient(base_url=url, trust_env=False) as grid:
        fault = {"kind": "timeout_then_success", "name_pattern": "d-1", "operation": "create", "seconds": 100}
        assert (await grid.post("/faults", json=fault)).status_code == 201
        worker = processes.start("deployments", "worker", **settings)
        await request(bus_dsn, "d-1")

        async def accepted() -> bool:
            return (await grid.get("/calls/d-1")).json().get("create") == 1

        assert await eventually(accepted, timeout_s=30)
        worker.kill()
        worker.wait(10)
        assert await status(database, "d-1") == "provisioning"

        processes.start("deployments", "worker", **settings)

        async def active() -> bool:
            return await status(database, "d-1") == "active"

        assert await eventually(active, timeout_s=30)
        assert (await grid.get("/calls/d-1")).json()["create"] == 1


@pytest.mark.asyncio
async def test_an_answer_that_times_out_is_looked_for(database: Any, bus_dsn: str, processes: Any) -> None:
    url = await processes.simulator(provision_s=0.2)
    settings = environment(database, bus_dsn, GRID_URL=url, GRID_TIMEOUT_S="0.5")
    async with httpx.AsyncClient(base_url=url, trust_env=False) as grid:
        fault = {"kind": "timeout_then_success", "operation": "create", "seconds": 100}
        assert (await grid.post("/faults", json=fault)).status_code == 201
        processes.start("deployments", "worker", **settings)
        await request(bus_dsn, "d-1")

        async def active() -> bool:
            return await status(database, "d-1") == "active"

        assert await eventually(active, timeout_s=30)
        assert (await grid.get("/calls/d-1")).json()["create"] == 1


@pytest.mark.asyncio
async def test_serve_answers_and_stops_when_told(database: Any, bus_dsn: str, processes: Any, port: int) -> None:
    settings = environment(database, bus_dsn, GRID_URL="http://127.0.0.1:9", PORT=str(port))
    service = processes.start("deployments", "serve", **settings)
    headers = {"authorization": "Bearer token"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:

        async def ready() -> bool:
            try:
                return (await client.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        assert await eventually(ready, timeout_s=30)
        await request(bus_dsn, "d-1")

        async def queued() -> bool:
            answer = await client.get("/v1/deployments/d-1")
            return answer.status_code == 200 and answer.json()["status"] == "queued"

        assert await eventually(queued, timeout_s=30)
    service.send_signal(signal.SIGTERM)
    assert service.wait(30) == 0


def test_migrate_twice_and_wrong_commands(database: Any, processes: Any) -> None:
    settings = environment(database, "postgresql://127.0.0.1:9/none", GRID_URL="http://127.0.0.1:9")
    assert processes.start("deployments", "migrate", **settings).wait(30) == 0
    assert processes.start("deployments", "dance", **settings).wait(30) == 2
    assert processes.start("deployments", "serve", **settings).wait(30) == 1
    without = {**settings, "GRID_URL": ""}
    assert processes.start("deployments", "serve", **without).wait(30) == 1
    assert "GRID_URL is not set" in processes.log()
    assert "BUS_URL: the bus cannot be reached" in processes.log()
    assert "up to date" in processes.log()
    assert "Traceback" not in processes.log()
