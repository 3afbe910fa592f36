"""What is measured with so many replicas of one service: the time from the first piece of work to the last effect, once
every replica has warmed up (connections made, statements prepared) on a quarter of the work.

The load generator runs on the same cores as what it loads, alike for every number of replicas.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fleet import POLL_S, Fleet
from load import run_round
from webhooks import webhook

from chassis.bus import open_bus
from chassis.bus.port import OutgoingRecord
from contracts.amounts import Money
from contracts.messages import DeploymentRequested, Message, PaymentConfirmed
from contracts.topics import PARTITIONS

STAGE_TIMEOUT_S = 180.0
PUBLISH_BATCH = 1_000
CONNECTIONS = 64
WALLETS = 5_000
WARMING_PART = 4
ALL_OF_BOTH_TOPICS = {"ledger": 24, "deployments": 12}
"""Group → partitions that its members share."""


async def ingest_rate(fleet: Fleet, connection: Any, replicas: int, webhooks: int) -> float:
    """Webhooks a second, from the first request to the last one's message on the bus."""
    started_replicas = await fleet.start("gateway-ingest", replicas)
    requests = [webhook(number) for number in range(webhooks)]
    share = [requests[place::replicas] for place in range(replicas)]
    began = time.perf_counter()
    await asyncio.gather(
        *(
            run_round(replica.port, mine, CONNECTIONS // replicas)
            for replica, mine in zip(started_replicas, share, strict=True)
        )
    )
    await published(connection)
    rate = webhooks / (time.perf_counter() - began)
    await fleet.end_all("gateway-ingest")
    return rate


async def ledger_rate(fleet: Fleet, connection: Any, replicas: int, payments: int) -> float:
    """Payments credited a second, from the first message published to the last event stored."""
    records = [_payment(number) for number in range(payments)]
    query = "SELECT count(*) FROM stored_events WHERE topic = 'ledger.CreditsPurchased'"
    return await _rate(fleet, connection, "ledger", replicas, records, query)


async def written_bytes(connection: Any) -> tuple[int, int]:
    """Bytes of the database and bytes of write-ahead log so far: what the arithmetic of scaling starts from."""
    row = await connection.fetchrow(
        "SELECT pg_database_size(current_database()) AS kept, (pg_current_wal_lsn() - '0/0')::bigint AS logged"
    )
    return row["kept"], row["logged"]


async def deployments_rate(fleet: Fleet, connection: Any, replicas: int, deployments: int) -> float:
    """Deployments brought to active a second, on a grid that answers at once."""
    records = [_request(number) for number in range(deployments)]
    query = "SELECT count(*) FROM stored_events WHERE topic = 'deployments.DeploymentActivated'"
    return await _rate(fleet, connection, "deployments", replicas, records, query)


async def _rate(
    fleet: Fleet, connection: Any, service: str, replicas: int, records: Sequence[OutgoingRecord], query: str
) -> float:
    before = await connection.fetchval(query)
    await fleet.start(service, replicas)
    await shared_by(connection, service, replicas)
    warming = len(records) // WARMING_PART
    await publish(fleet.bus_url, records[:warming])
    await until(connection, query, before + warming)
    began = time.perf_counter()
    await publish(fleet.bus_url, records[warming:])
    await until(connection, query, before + len(records))
    rate = (len(records) - warming) / (time.perf_counter() - began)
    await fleet.end_all(service)
    return rate


async def make_topics(bus_url: str) -> None:
    """Every topic of the contracts."""
    bus = await open_bus(bus_url)
    try:
        await bus.ensure_topics(PARTITIONS)
    finally:
        await bus.close()


async def publish(bus_url: str, records: Sequence[OutgoingRecord]) -> None:
    """Put the records on the bus, in batches as a relay does."""
    bus = await open_bus(bus_url)
    producer = bus.producer("bench-scale")
    await producer.start()
    try:
        for first in range(0, len(records), PUBLISH_BATCH):
            await producer.publish(records[first : first + PUBLISH_BATCH])
    finally:
        await producer.close()
        await bus.close()


async def shared_by(connection: Any, group: str, members: int) -> None:
    """Wait until that many members hold all partitions of the group, each about its part."""
    query = "SELECT count(*) FROM consumer_offsets WHERE consumer_group = $1 GROUP BY owner"
    whole = ALL_OF_BOTH_TOPICS[group]
    async with asyncio.timeout(STAGE_TIMEOUT_S):
        while True:
            shares = [row["count"] for row in await connection.fetch(query, group)]
            if len(shares) == members and sum(shares) == whole:
                return
            await asyncio.sleep(POLL_S)


async def published(connection: Any) -> None:
    """Wait until everything in the outbox is on the bus."""
    query = """SELECT coalesce((SELECT max(position) FROM outbox), 0)
               <= coalesce((SELECT position FROM relay_positions WHERE name = 'outbox'), 0)"""
    await until(connection, query, True)


async def until(connection: Any, query: str, expected: Any) -> None:
    """Wait until the query answers that. Raises AssertionError naming what it answered last."""
    answered = None
    try:
        async with asyncio.timeout(STAGE_TIMEOUT_S):
            answered = await connection.fetchval(query)
            while answered != expected:
                await asyncio.sleep(POLL_S)
                answered = await connection.fetchval(query)
    except TimeoutError:
        raise AssertionError(f"{query}: {answered} after {STAGE_TIMEOUT_S:g} s, not {expected}") from None


def _payment(number: int) -> OutgoingRecord:
    told = PaymentConfirmed(
        gateway="stripe",
        gateway_payment_id=f"pi_scale{number:09}",
        received=Money.of(2500, "USD/2"),
        paid_at=datetime.now(UTC),
        user_id=f"user-{number % WALLETS}",
    )
    return _record(told, f"stripe:pi_scale{number:09}")


def _request(number: int) -> OutgoingRecord:
    deployment_id = f"scale-{number:09}"
    wanted = DeploymentRequested(
        deployment_id=deployment_id,
        user_id=f"user-{number % WALLETS}",
        service_id="small-vm",
        service_name="Small virtual machine",
        amount=Money.of(500, "TFC/2"),
        requested_at=datetime.now(UTC),
    )
    return _record(wanted, deployment_id)


def _record(told: Message, key: str) -> OutgoingRecord:
    envelope = told.in_envelope(source="bench", stream=key, version=1, time=datetime.now(UTC))
    return OutgoingRecord(told.TOPIC, key.encode(), envelope.data, envelope.to_headers())
