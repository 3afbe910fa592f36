"""The whole process: migrate, serve, hear, publish on the real bus, stop cleanly; and the operator's commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from chassis.bus import open_bus
from chassis.bus.port import Record, TopicPartition
from chassis.bus.postgres_log import MIGRATIONS as BUS_MIGRATIONS
from contracts.envelope import Envelope, derived_id
from contracts.messages import PaymentConfirmed
from contracts.topics import PAYMENTS
from embedded.ports import free_port
from embedded.provisioning import DatabaseAccess
from gateway_ingest.bootstrap import MIGRATIONS
from gateway_ingest.domain.signatures import sign
from testkit.kafka import KafkaFactory
from testkit.late_door import LateDoor
from testkit.postgres import DatabaseFactory
from testkit.serving import serving
from testkit.waiting_for import eventually

STOP_TIMEOUT_S = 30
DOWN_S = 60.0
WEBHOOK_EVERY_S = 0.1
ANSWER_MAX_S = 3.0


class FromTheStart:
    """A listener that takes whatever it is given."""

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        return {}

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        return None


def environment(ingest: DatabaseAccess, bus_dsn: str, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": ingest.app_dsn,
        "MIGRATION_DATABASE_URL": ingest.owner_dsn,
        "BUS_URL": bus_dsn,
        "SERVICE_TOKEN": "service-token",
        "STRIPE_WEBHOOK_SECRET": "whsec_x",
        "RAW_EVENT_KEY": "A" * 43 + "=",
        "PORT": str(port),
        "LOG_FORMAT": "json",
    }


async def command(env: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway_ingest", *arguments,
        env=dict(env), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def ready_service(env: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway_ingest", "serve", env=dict(env), stdout=asyncio.subprocess.DEVNULL
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{env['PORT']}") as http:

        async def ready() -> bool:
            assert process.returncode is None
            try:
                return (await http.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready, timeout_s=30)
        yield http
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S) == 0


def webhook(number: int, amount: int) -> tuple[bytes, dict[str, str]]:
    intent = {"id": f"pi_{number}", "amount_received": amount, "currency": "usd", "metadata": {"user_id": "alice"}}
    event = {"id": f"evt_{number}", "type": "payment_intent.succeeded", "data": {"object": intent}}
    body = json.dumps(event).encode()
    return body, {"stripe-signature": sign(body, b"whsec_x", int(time.time())).decode()}


async def published(bus_dsn: str, count: int) -> list[Record]:
    """All records of the topic, once they tell of that many payments."""
    bus = await open_bus(bus_dsn)
    consumer = bus.consumer("test", [PAYMENTS], "test")
    await consumer.start(FromTheStart())
    records: list[Record] = []

    async def enough() -> bool:
        records.extend(await consumer.fetch(100, 0.2))
        return len({record.key for record in records}) >= count

    await eventually(enough, timeout_s=60)
    await consumer.close()
    await bus.close()
    return records


@pytest.mark.asyncio
async def test_from_webhook_to_bus(make_database: DatabaseFactory) -> None:
    ingest = make_database("gateway_ingest")
    bus = make_database("bus", migrations=BUS_MIGRATIONS)
    env = environment(ingest, bus.app_dsn, free_port())
    names = sorted(file.stem for file in MIGRATIONS.glob("*.sql"))
    assert (await command(env, "migrate"))[:2] == (0, "\n".join([*names, ""]))
    assert (await command(env, "migrate"))[:2] == (0, "up to date\n")
    async with ready_service(env) as http:
        for number, amount in ((1, 2500), (2, -1)):
            body, headers = webhook(number, amount)
            assert (await http.post("/api/webhooks/stripe", content=body, headers=headers)).status_code == 200
        [record] = await published(bus.app_dsn, 1)
    envelope = Envelope.from_record(record.headers, record.value)
    message = PaymentConfirmed.from_envelope(envelope)
    assert (envelope.type, envelope.source, envelope.subject) == (
        PaymentConfirmed.TYPE,
        "gateway-ingest",
        "stripe:evt_1",
    )
    assert envelope.id == derived_id("gateway-ingest", "stripe:evt_1", 1, PaymentConfirmed.TYPE)
    assert (record.key, message.received.units, message.user_id) == (b"stripe:pi_1", 2500, "alice")
    await _commands_show_it(env)


async def _commands_show_it(env: Mapping[str, str]) -> None:
    code, out, _ = await command(env, "quarantine", "--json")
    listed = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(event["event_id"], event["reason"]) for event in listed] == [("evt_2", "amount_not_positive")]
    code, out, _ = await command(env, "event", "stripe", "evt_2")
    assert code == 0
    assert json.loads(json.loads(out)["body"])["data"]["object"]["amount_received"] == -1
    code, _, err = await command(env, "event", "stripe", "evt_9")
    assert (code, err) == (1, "no event evt_9 of stripe\n")


@pytest.mark.asyncio
async def test_a_bus_that_is_away_keeps_nobody_waiting(make_database: DatabaseFactory) -> None:
    ingest = make_database("gateway_ingest")
    env = environment(ingest, "postgresql://nobody:x@127.0.0.1:1/nothing", free_port())
    await command(env, "migrate")
    async with ready_service(env) as http:
        body, headers = webhook(1, 2500)
        assert (await http.post("/api/webhooks/stripe", content=body, headers=headers)).status_code == 200
    owner = await asyncpg.connect(ingest.owner_dsn)
    assert await owner.fetchval("SELECT count(*) FROM outbox") == 1
    await owner.close()


@pytest.mark.asyncio
async def test_it_begins_without_its_database(make_database: DatabaseFactory) -> None:
    ingest = make_database("gateway_ingest", migrations=MIGRATIONS)
    body, headers = webhook(1, 2500)
    async with LateDoor(ingest.app_dsn) as door:
        env = environment(ingest, "postgresql://nobody:x@127.0.0.1:1/nothing", free_port())
        async with serving("gateway_ingest", env | {"DATABASE_URL": door.url}) as service:
            not_ready = await service.http.get("/readyz")
            assert (not_ready.status_code, not_ready.json()["checks"]) == (503, {"database": False})
            refused = await service.http.post("/api/webhooks/stripe", content=body, headers=headers)
            assert refused.status_code == 503, "a gateway is told to come again"
            await door.open()
            await eventually(service.is_ready, STOP_TIMEOUT_S)
            taken = await service.http.post("/api/webhooks/stripe", content=body, headers=headers)
            assert taken.status_code == 200
            assert await service.stopped() == 0


@pytest.mark.asyncio
@pytest.mark.timeout(300)
async def test_a_minute_without_kafka_costs_no_webhook(
    make_database: DatabaseFactory, make_kafka: KafkaFactory
) -> None:
    cluster, ingest = make_kafka(), make_database("gateway_ingest")
    env = environment(ingest, cluster.url, free_port())
    await command(env, "migrate")
    async with ready_service(env) as http:
        heard = await webhooks_for(http, 1, 1.0)
        await published(cluster.url, heard)
        await asyncio.to_thread(cluster.kill)
        heard = await webhooks_for(http, heard + 1, DOWN_S)
        await asyncio.to_thread(cluster.start)
        heard = await webhooks_for(http, heard + 1, 1.0)
        records = await published(cluster.url, heard)
    assert {record.key for record in records} == {f"stripe:pi_{number}".encode() for number in range(1, heard + 1)}


async def webhooks_for(http: httpx.AsyncClient, first: int, seconds: float) -> int:
    """One webhook after the other for so long, from that number on; answers the last number."""
    number, until = first, time.monotonic() + seconds
    while True:
        body, headers = webhook(number, 2500)
        began = time.monotonic()
        answer = await http.post("/api/webhooks/stripe", content=body, headers=headers)
        assert answer.status_code == 200
        assert time.monotonic() - began < ANSWER_MAX_S, "a gateway had to wait for Kafka"
        if time.monotonic() > until:
            return number
        number += 1
        await asyncio.sleep(WEBHOOK_EVERY_S)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"RAW_EVENT_KEY": ""}, "RAW_EVENT_KEY is not set"),
        ({"RAW_EVENT_KEY": "short"}, "RAW_EVENT_KEY is wrong"),
        ({"DEMO_PAYMENT": "true", "HOST": "192.0.2.1"}, "DEMO_PAYMENT"),
        ({"DATABASE_URL": "mysql://a:hush-hush@127.0.0.1:1/x"}, "DATABASE_URL: the database cannot be used"),
    ],
)
async def test_a_setting_at_fault_is_one_clear_line(
    ingest_database: DatabaseAccess, change: dict[str, Any], named: str
) -> None:
    env = environment(ingest_database, "memory://", 8001) | change
    code, out, err = await command(env, "serve")
    assert (code, out) == (1, "")
    assert named in err
    assert "hush-hush" not in err
    assert len(err.splitlines()) == 1
