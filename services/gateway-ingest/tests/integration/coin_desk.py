"""gateway-ingest with nodes, as payments-api and payers see it: payments begin on the bus, news come out for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg

from chassis.bus.memory import MemoryBus
from chassis.bus.port import OutgoingRecord
from chassis.runtime import StopSignal
from contracts.amounts import Money
from contracts.envelope import Envelope
from contracts.messages import PaymentInitiated
from contracts.messages.payments import Deposit
from contracts.references import make_reference
from contracts.topics import PARTITIONS
from embedded.provisioning import DatabaseAccess
from gateway_ingest.bootstrap import Service, build
from gateway_ingest.entrypoints.bus.handlers import make_consumer
from testkit.waiting_for import eventually

from .conftest import settings

SCAN_TIMEOUT_S = 30.0


class CoinDesk:
    """One running service; several in turn share a database and a bus."""

    def __init__(self, service: Service, bus: MemoryBus, owner: asyncpg.Connection) -> None:
        self.service = service
        self.bus = bus
        self.owner = owner

    async def begin(self, network: str, address: str, asset: str, **more: Any) -> str:
        """A payment begins, and its message is handled; answers our reference."""
        deposit = Deposit(
            network=network,
            address=address,
            token=more.get("token"),
            confirmations=more.get("confirmations", 2),
        )
        number = int.from_bytes(uuid4().bytes[:6], "big")
        message = PaymentInitiated(
            payment_id=more.get("payment_id", f"payment-{number}"),
            reference=make_reference(number),
            user_id="alice",
            gateway="crypto",
            price=Money.of(more.get("price", 1_000), asset),
            credits=Money.of(2_500, "TFC/2"),
            bonus=Money.of(0, "TFC/2"),
            expires_at=more.get("expires_at", datetime.now(UTC) + timedelta(minutes=15)),
            deposit=deposit,
        )
        await self.publish(message)
        return message.reference

    async def publish(self, message: PaymentInitiated) -> None:
        """Put it on the bus, and hear all that is on it."""
        envelope = Envelope(
            id=str(uuid4()),
            type=message.TYPE,
            source="payments-api",
            time=datetime.now(UTC),
            subject=message.payment_id,
            data=message.model_dump_json().encode(),
        )
        producer = self.bus.producer("test")
        await producer.start()
        record = OutgoingRecord(message.TOPIC, message.payment_id.encode(), envelope.data, envelope.to_headers())
        await producer.publish([record])
        await self._hear(1 + await self._heard())

    async def look(self, network: str) -> list[str]:
        """Scan all there is; answers what is new to be published, in words."""
        before = await self.owner.fetchval("SELECT coalesce(max(position), 0) FROM outbox")
        async with asyncio.timeout(SCAN_TIMEOUT_S):
            for _ in range(3):
                while await self.service.watchers[network].round():
                    continue
        rows = await self.owner.fetch("SELECT value FROM outbox WHERE position > $1 ORDER BY position", before)
        return [in_words(json.loads(row["value"])) for row in rows]

    async def messages(self) -> list[dict[str, Any]]:
        """All that is to be published."""
        return [
            json.loads(row["value"]) for row in await self.owner.fetch("SELECT value FROM outbox ORDER BY position")
        ]

    async def parked(self) -> list[str]:
        """Reasons of the messages that were given up."""
        return [row["reason"] for row in await self.owner.fetch("SELECT reason FROM dead_letters ORDER BY id")]

    async def _hear(self, count: int) -> None:
        stop = StopSignal()
        hearing = asyncio.create_task(make_consumer(self.service, self.bus).run(stop))

        async def all_heard() -> bool:
            assert not hearing.done() or hearing.result() is None
            return await self._heard() >= count

        try:
            await eventually(all_heard)
        finally:
            stop.set()
            await hearing

    async def _heard(self) -> int:
        return int(await self.owner.fetchval("SELECT coalesce(sum(next_offset), 0) FROM consumer_offsets"))


@asynccontextmanager
async def open_desk(database: DatabaseAccess, bus: MemoryBus | None = None, **more: Any) -> AsyncIterator[CoinDesk]:
    """The service with these settings."""
    bus = bus or MemoryBus(session_timeout_s=10)
    await bus.ensure_topics(PARTITIONS)
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        async with build(settings(database.app_dsn, **more)) as service:
            yield CoinDesk(service, bus, owner)
    finally:
        await owner.close()


def in_words(message: dict[str, Any]) -> str:
    if "received" in message:
        return f"confirmed {message['received']['amount']} {message['received']['asset']}"
    if "refund_id" in message:
        return f"refund {message['state']} {message['amount']['amount']} {message['amount']['asset']}"
    return f"{message['state']} {message['confirmations']}/{message['confirmations_required']}"
