"""Two real ledger processes on one database and one bus: the same wallets under load, and the books stay right."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from chassis.bus import open_bus
from chassis.bus.port import OutgoingRecord
from contracts.amounts import Money
from contracts.messages import PaymentConfirmed
from contracts.topics import PARTITIONS, PAYMENTS
from embedded.ports import free_port
from testkit.postgres import DatabaseFactory
from testkit.waiting_for import eventually

ROOT = Path(__file__).resolve().parents[4]
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
TOKEN = "token-of-the-test"
USERS = [f"user-{number}" for number in range(5)]
PAYMENTS_EACH = 40
SECONDS = 60


@asynccontextmanager
async def ledger_process(environment: dict[str, str]) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ledger",
        "serve",
        env={**environment, "PORT": str(port)},
        cwd=ROOT,
        stdout=PIPE,
        stderr=STDOUT,
    )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:

            async def is_ready() -> bool:
                try:
                    return (await client.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(is_ready, timeout_s=SECONDS)
            yield process, client
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.communicate()


async def publish_payments(bus_url: str) -> None:
    """Every payment twice, under two message ids, as a gateway tells it by two events."""
    bus = await open_bus(bus_url)
    producer = bus.producer("test")
    await bus.ensure_topics(PARTITIONS)
    await producer.start()
    records = []
    for user in USERS:
        for number in range(PAYMENTS_EACH):
            told = PaymentConfirmed(
                gateway="stripe",
                gateway_payment_id=f"pi_{user}_{number}",
                received=Money.of(100, "USD/2"),
                paid_at=datetime.now(UTC),
                user_id=user,
            )
            for event in ("first", "second"):
                stream = f"stripe:{event}_{user}_{number}"
                envelope = told.in_envelope(source="test", stream=stream, version=1, time=datetime.now(UTC))
                records.append(OutgoingRecord(PAYMENTS, stream.encode(), envelope.data, envelope.to_headers()))
    await producer.publish(records)
    await producer.close()
    await bus.close()


async def charge(client: httpx.AsyncClient, user: str, number: int) -> int:
    body: dict[str, Any] = {
        "user_id": user,
        "deployment_id": f"{user}-{number}",
        "service_id": "web-server",
        "service_name": "Web server",
        "amount": "4.00",
    }
    answer = await client.post("/v1/charges", json=body, headers={"Idempotency-Key": f"{user}-{number}"})
    return answer.status_code


async def operators_command(environment: dict[str, str], name: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ledger", name, "--json", env=environment, cwd=ROOT, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode is not None, output
    return process.returncode


@pytest.mark.asyncio
async def test_two_processes_share_the_wallets(make_database: DatabaseFactory, bus_url: str) -> None:
    database = make_database("ledger", migrations=MIGRATIONS)
    environment = {
        **os.environ,
        "DATABASE_URL": database.app_dsn,
        "MIGRATION_DATABASE_URL": database.owner_dsn,
        "BUS_URL": f"{bus_url}?session_timeout_s=2",
        "SERVICE_TOKEN": TOKEN,
        "PORT": "1",
    }
    async with AsyncExitStack() as stack:
        await publish_payments(environment["BUS_URL"])
        first, one = await stack.enter_async_context(ledger_process(environment))
        second, two = await stack.enter_async_context(ledger_process(environment))

        async def all_credited() -> bool:
            wallets = [(await one.get(f"/v1/wallets/{user}")).json() for user in USERS]
            return {wallet["available"] for wallet in wallets} == {f"{PAYMENTS_EACH}.00"}

        await eventually(all_credited, timeout_s=SECONDS)
        statuses = await asyncio.gather(
            *(charge((one, two)[number % 2], user, number // 2) for user in USERS for number in range(60))
        )
        # Cover for ten each; every charge was sent to both processes under the same key.
        assert sorted(set(statuses)) == [201, 402]
        for user in USERS:
            wallet = (await two.get(f"/v1/wallets/{user}")).json()
            assert (wallet["available"], wallet["held"]) == ("0.00", f"{PAYMENTS_EACH}.00")
        assert statuses.count(201) == 2 * 10 * len(USERS)
        balance = (await one.get("/v1/trial-balance")).json()
        assert (balance["balanced"], balance["wallets_off"]) == (True, [])
        for process in (first, second):
            process.send_signal(signal.SIGTERM)
        assert [await process.wait() for process in (first, second)] == [0, 0]
    assert [await operators_command(environment, name) for name in ("verify", "rebuild")] == [0, 0]
