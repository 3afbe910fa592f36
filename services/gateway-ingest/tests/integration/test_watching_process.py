"""The whole worker: it hears of a payment on the real bus, watches a real node, and publishes what came."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from chassis.bus import open_bus
from chassis.bus.port import OutgoingRecord
from chassis.bus.postgres_log import MIGRATIONS as BUS_MIGRATIONS
from contracts.amounts import Money
from contracts.envelope import Envelope
from contracts.messages import PaymentConfirmed, PaymentInitiated
from contracts.messages.payments import Deposit
from contracts.references import make_reference
from contracts.topics import PARTITIONS, PAYMENTS
from gateway_ingest.bootstrap import MIGRATIONS
from testkit.chains import Anvil, anvil
from testkit.postgres import DatabaseFactory
from testkit.registry_programs import ProgramMissing, skip_or_fail
from testkit.waiting_for import eventually

from .test_process import STOP_TIMEOUT_S, FromTheStart, environment, free_port

pytestmark = pytest.mark.timeout(600)
OURS = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
REFERENCE = make_reference(1)


@asynccontextmanager
async def working(env: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway_ingest", "worker", env=dict(env), stdout=asyncio.subprocess.PIPE
    )
    yield process
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), STOP_TIMEOUT_S)


async def begin(bus_url: str, token: str) -> None:
    """payments-api's message."""
    message = PaymentInitiated(
        payment_id="payment-1",
        reference=REFERENCE,
        user_id="alice",
        gateway="crypto",
        price=Money.of(5, "TUSD/18"),
        credits=Money.of(2_500, "TFC/2"),
        bonus=Money.of(0, "TFC/2"),
        expires_at=datetime.now(UTC) + timedelta(minutes=15),
        deposit=Deposit(network="ethereum", address=OURS, token=token, confirmations=2),
    )
    envelope: Envelope = message.in_envelope(
        source="payments-api", stream="payment-1", version=1, time=datetime.now(UTC)
    )
    bus = await open_bus(bus_url)
    await bus.ensure_topics(PARTITIONS)
    producer = bus.producer("test")
    await producer.start()
    await producer.publish([OutgoingRecord(message.TOPIC, b"payment-1", envelope.data, envelope.to_headers())])
    await producer.close()
    await bus.close()


async def confirmed_on(bus_url: str) -> PaymentConfirmed:
    """The first confirmation that is published."""
    bus = await open_bus(bus_url)
    consumer = bus.consumer("test", [PAYMENTS], "test")
    await consumer.start(FromTheStart())

    async def found() -> PaymentConfirmed | None:
        for record in await consumer.fetch(100, 0.2):
            envelope = Envelope.from_record(record.headers, record.value)
            if envelope.type == PaymentConfirmed.TYPE:
                return PaymentConfirmed.from_envelope(envelope)
        return None

    message = await eventually(found, timeout_s=60)
    await consumer.close()
    await bus.close()
    assert message is not None
    return message


def node_environment(node: Anvil, token: str) -> dict[str, str]:
    tokens = [{"network": "ethereum", "code": "TUSD", "contract": token, "decimals": 18}]
    return {
        "CRYPTO_ETHEREUM_RPC_URL": node.url,
        "CRYPTO_CHAIN_IDS": '{"ethereum": 31337}',
        "CRYPTO_TOKENS": json.dumps(tokens),
        "CRYPTO_POLL_S": "0.1",
    }


@pytest.mark.asyncio
async def test_from_a_payment_begun_to_a_payment_confirmed(make_database: DatabaseFactory) -> None:
    ingest = make_database("gateway_ingest", migrations=MIGRATIONS)
    bus = make_database("bus", migrations=BUS_MIGRATIONS)
    try:
        with anvil(chain_id=31337) as node:
            token = node.deploy_token()
            env = environment(ingest, bus.app_dsn, free_port()) | node_environment(node, token)
            owner = await asyncpg.connect(ingest.owner_dsn)
            async with working(env):
                await begin(bus.app_dsn, token)
                watched = "SELECT count(*) FROM watched_addresses WHERE network = 'ethereum' AND caught_up"
                await eventually(lambda: owner.fetchval(watched), timeout_s=30)
                tx = node.pay_token(token, OURS, 5)
                node.mine()
                confirmed = await confirmed_on(bus.app_dsn)
            await owner.close()
    except ProgramMissing as missing:
        skip_or_fail(missing)
    assert (confirmed.gateway, confirmed.gateway_payment_id) == ("crypto", f"ethereum.{tx}.1")
    assert (confirmed.received, confirmed.reference) == (Money.of(5, "TUSD/18"), REFERENCE)


@pytest.mark.asyncio
async def test_a_node_of_another_network_stops_the_worker_with_one_line(make_database: DatabaseFactory) -> None:
    ingest = make_database("gateway_ingest", migrations=MIGRATIONS)
    bus = make_database("bus", migrations=BUS_MIGRATIONS)
    try:
        with anvil(chain_id=31337) as node:
            env = environment(ingest, bus.app_dsn, free_port()) | {"CRYPTO_ETHEREUM_RPC_URL": node.url}
            async with working(env) as process:
                out, _ = await asyncio.wait_for(process.communicate(), STOP_TIMEOUT_S)
    except ProgramMissing as missing:
        skip_or_fail(missing)
    refused = [line for line in map(json.loads, out.splitlines()) if line["event"] == "task_refused"]
    assert process.returncode == 1
    assert [(line["task"], line["reason"]) for line in refused] == [
        ("watch-ethereum", "CRYPTO_ETHEREUM_RPC_URL: the node is on chain 31337, not on 1")
    ]
