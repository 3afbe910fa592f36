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
from testkit.late_door import LateDoor
from testkit.postgres import DatabaseFactory
from testkit.serving import serving
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


@pytest.mark.asyncio
async def test_it_begins_without_database_and_bus(database: Any, bus_dsn: str) -> None:
    async with LateDoor(database.app_dsn) as database_door, LateDoor(bus_dsn) as bus_door:
        settings = environment(database, bus_door.url, GRID_URL="http://127.0.0.1:9")
        async with serving("deployments", {**settings, "DATABASE_URL": database_door.url}) as service:
            not_ready = await service.http.get("/readyz")
            assert (not_ready.status_code, not_ready.json()["checks"]) == (503, {"database": False})
            refused = await service.http.get("/v1/jobs")
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert int(refused.headers["retry-after"]) >= 1
            await database_door.open()
            await eventually(service.is_ready, timeout_s=60)
            await request(bus_dsn, "d-1")
            assert (await service.http.get("/v1/deployments/d-1")).status_code == 404, "the bus was not away"
            await bus_door.open()

            async def queued() -> bool:
                return (await service.http.get("/v1/deployments/d-1")).status_code == 200

            await eventually(queued, timeout_s=60)
            assert await service.stopped() == 0


def test_migrate_twice_and_wrong_commands(database: Any, processes: Any) -> None:
    settings = environment(database, "postgresql://127.0.0.1:9/none", GRID_URL="http://127.0.0.1:9")
    assert processes.start("deployments", "migrate", **settings).wait(30) == 0
    assert processes.start("deployments", "dance", **settings).wait(30) == 2
    assert "up to date" in processes.log()
    assert "Traceback" not in processes.log()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"GRID_URL": ""}, "GRID_URL is not set"),
        ({"BUS_URL": "rabbit://127.0.0.1:9"}, "BUS_URL must begin with"),
        ({"DATABASE_URL": "mysql://app:hush-hush@127.0.0.1:9/none"}, "DATABASE_URL: the database cannot be used"),
    ],
)
def test_what_is_wrong_ends_it_in_one_line(
    database: Any, processes: Any, port: int, wrong: dict[str, str], says: str
) -> None:
    settings = environment(database, "postgresql://127.0.0.1:9/none", GRID_URL="http://127.0.0.1:9", PORT=str(port))
    assert processes.start("deployments", "serve", **{**settings, **wrong}).wait(30) == 1
    (line,) = [line for line in processes.log().splitlines() if line.startswith("error: ")]
    assert says in line
    assert "hush-hush" not in processes.log()
    assert "Traceback" not in processes.log()
