"""The ledger begins before its database and its bus are there, and works as far as what is there allows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from chassis.bus import Bus, open_bus
from chassis.bus.port import OutgoingRecord, Record, TopicPartition
from contracts.amounts import Money
from contracts.messages import DeploymentRequested, PaymentConfirmed
from contracts.topics import DEPLOYMENTS, PARTITIONS, PAYMENTS
from testkit.late_door import LateDoor
from testkit.postgres import DatabaseFactory
from testkit.serving import Served, serving
from testkit.waiting_for import eventually

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
MARKETPLACE = Path(__file__).resolve().parents[4] / "config" / "marketplace.toml"
SECONDS = 60
CHARGE = {
    "user_id": "alice",
    "deployment_id": "d-1",
    "service_id": "web-server",
    "service_name": "Web server",
    "amount": "4.00",
}


@pytest.mark.asyncio
async def test_it_begins_without_database_and_bus(make_database: DatabaseFactory, bus_url: str) -> None:
    database = make_database("ledger", migrations=MIGRATIONS)
    async with (
        LateDoor(database.app_dsn) as books_door,
        LateDoor(bus_url) as bus_door,
        serving("ledger", environment(books_door.url, bus_door.url)) as ledger,
    ):
        await refused_for_now(ledger)
        await books_door.open()
        await eventually(ledger.is_ready, SECONDS)
        await reads_and_charges(ledger.http)
        bus = await open_bus(bus_url)
        await bus.ensure_topics(PARTITIONS)
        await publish_payment(bus)
        assert await available(ledger.http) == "6.00", "the bus was not away"
        await bus_door.open()
        await eventually(lambda: has_available(ledger.http, "31.00"), SECONDS)
        assert await published(bus) == {"d-1"}
        await bus.close()
        assert await ledger.stopped() == 0


def environment(database_url: str, bus_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "BUS_URL": f"{bus_url}?session_timeout_s=2",
        "SERVICE_TOKEN": "token-of-the-test",
        "MARKETPLACE_CONFIG": str(MARKETPLACE),
    }


async def refused_for_now(ledger: Served) -> None:
    """It says what is away, and asks whoever comes to come back; its process stays."""
    not_ready = await ledger.http.get("/readyz")
    assert (not_ready.status_code, not_ready.json()["checks"]) == (503, {"database": False})
    answers = [await ledger.http.get("/v1/wallets/alice"), await charge(ledger.http)]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    assert ledger.process.returncode is None


async def reads_and_charges(http: httpx.AsyncClient) -> None:
    given = {"user_id": "alice", "amount": "10.00", "reason": "goodwill"}
    assert (await http.post("/v1/adjustments", json=given, headers={"Idempotency-Key": "given"})).status_code == 201
    assert (await charge(http)).status_code == 201
    assert await available(http) == "6.00"


async def charge(http: httpx.AsyncClient) -> httpx.Response:
    return await http.post("/v1/charges", json=CHARGE, headers={"Idempotency-Key": "charge"})


async def available(http: httpx.AsyncClient) -> str:
    answer = await http.get("/v1/wallets/alice")
    assert answer.status_code == 200
    return str(answer.json()["available"])


async def has_available(http: httpx.AsyncClient, amount: str) -> bool:
    return await available(http) == amount


async def publish_payment(bus: Bus) -> None:
    told = PaymentConfirmed(
        gateway="stripe",
        gateway_payment_id="pi_1",
        received=Money.of(2500, "USD/2"),
        paid_at=datetime.now(UTC),
        user_id="alice",
    )
    envelope = told.in_envelope(source="test", stream="stripe:evt_1", version=1, time=datetime.now(UTC))
    producer = bus.producer("test")
    await producer.start()
    await producer.publish([OutgoingRecord(PAYMENTS, b"stripe:pi_1", envelope.data, envelope.to_headers())])
    await producer.close()


class FromTheStart:
    """A listener that takes whatever it is given."""

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> dict[TopicPartition, int | None]:
        return {}

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        return None


async def published(bus: Bus) -> set[str]:
    """The deployments that were asked for over the bus, once there is one."""
    consumer = bus.consumer("test", [DEPLOYMENTS], "test")
    await consumer.start(FromTheStart())
    records: list[Record] = []

    async def heard() -> bool:
        records.extend(await consumer.fetch(100, 0.2))
        return bool(records)

    await eventually(heard, SECONDS)
    await consumer.close()
    return {DeploymentRequested.model_validate_json(record.value).deployment_id for record in records}
