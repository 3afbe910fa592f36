"""A chain that a test writes by hand, behind the Chain port, and a watcher on it with the real tables."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg

from chassis.clock import ManualClock
from chassis.errors import OperationalError
from gateway_ingest.adapters.deposit_rows import PostgresDepositStore
from gateway_ingest.adapters.encryption import RawEventCipher
from gateway_ingest.adapters.raw_events import PostgresEventStore
from gateway_ingest.adapters.watched_addresses import NewAddress, watch
from gateway_ingest.application.intake import Intake
from gateway_ingest.application.watching import Keep, Pace, Watcher
from gateway_ingest.application.watching_ports import Looked, Pool, Scanned
from gateway_ingest.domain.deposits import Block, Transfer
from gateway_ingest.domain.facts import Amount

NETWORK = "bitcoin"
START = datetime(2026, 1, 1, tzinfo=UTC)
REFERENCE = "GL000000000000AM"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def coins(tx: str, units: int = 5_000, key: str = "0014aa", place: str = "0") -> Transfer:
    return Transfer(tx, place, key, Amount(units, "BTC", 8))


class WrittenChain:
    """Blocks as the test mines them."""

    network = NETWORK

    def __init__(self) -> None:
        self.blocks: list[Scanned] = []
        self.waiting: list[Transfer] = []
        self.asked: list[int] = []
        self.away = False
        self._made = 0
        self.mine()

    def mine(self, *transfers: Transfer) -> Block:
        """The next block; what it holds waits no longer."""
        self._made += 1
        parent = self.blocks[-1].block.hash if self.blocks else ""
        number = len(self.blocks)
        block = Block(number, f"{number}-{self._made}", parent, START + timedelta(minutes=10 * number))
        self.blocks.append(Scanned(block, transfers))
        self.waiting = [one for one in self.waiting if one not in transfers]
        return block

    def fork(self, depth: int, *contents: Sequence[Transfer]) -> None:
        """The last ``depth`` blocks are others now, with these contents."""
        del self.blocks[len(self.blocks) - depth :]
        for transfers in contents:
            self.mine(*transfers)

    async def check(self) -> None:
        return None

    async def tip(self) -> Block:
        if self.away:
            raise OperationalError("away")
        return self.blocks[-1].block

    async def block(self, number: int) -> Block | None:
        return self.blocks[number].block if number < len(self.blocks) else None

    async def scan(self, first: int, last: int, keys: Collection[str]) -> Sequence[Scanned]:
        self.asked += range(first, last + 1)
        return [
            Scanned(one.block, [transfer for transfer in one.transfers if transfer.key in keys])
            for one in self.blocks[first : last + 1]
        ]

    async def pool(self, keys: Collection[str]) -> Pool | None:
        waiting = [transfer for transfer in self.waiting if transfer.key in keys]
        return Pool({transfer.tx for transfer in self.waiting}, waiting)

    async def transaction(self, tx: str, in_block: int | None = None) -> Looked | None:
        raise AssertionError("only an operator asks for a transaction")

    async def balance(self, key: str, number: int) -> int | None:
        return None

    async def close(self) -> None:
        return None


class Watching:
    """A watcher on the chain, started as often as a test likes, and what it told."""

    def __init__(self, pool: asyncpg.Pool[Any], owner: asyncpg.Connection) -> None:
        self.chain = WrittenChain()
        self.clock = ManualClock(START)
        self.pool = pool
        self.owner = owner
        self.store = PostgresDepositStore(pool, "one")
        self.intake = Intake(PostgresEventStore(pool, RawEventCipher.parse(KEY)), self.clock)
        self.watcher = self.started()

    def started(self, keep: Keep | None = None, *, store: PostgresDepositStore | None = None) -> Watcher:
        pace = Pace(poll_s=0.01, span_max_blocks=3)
        return Watcher(self.chain, store or self.store, keep or self.intake.keep, self.clock, pace)

    async def watch(self, key: str = "0014aa", *, confirmations: int = 3, told_at: datetime | None = None) -> None:
        """An address for a payment, as the bus tells of it."""
        expires = START + timedelta(minutes=15)
        new = NewAddress(
            NETWORK, key, f"address-{key}", REFERENCE, f"payment-{key}", "alice", True, None, "BTC/8", 5_000,
            confirmations, told_at or datetime.now(UTC), expires, expires + timedelta(days=30),
        )  # fmt: skip
        async with self.pool.acquire() as connection, connection.transaction():
            assert await watch(connection, [new])

    async def look(self, *, watcher: Watcher | None = None) -> list[str]:
        """Rounds until there is no more to scan; answers what is new to be published, in words."""
        before = await self.owner.fetchval("SELECT coalesce(max(position), 0) FROM outbox")
        for _ in range(3):
            while await (watcher or self.watcher).round():
                continue
        rows = await self.owner.fetch("SELECT value FROM outbox WHERE position > $1 ORDER BY position", before)
        return [in_words(json.loads(row["value"])) for row in rows]


def in_words(message: dict[str, Any]) -> str:
    tx = message["gateway_payment_id"].removeprefix(f"{NETWORK}.")
    if "received" in message:
        return f"{tx} confirmed {units(message['received'])}"
    if "refund_id" in message:
        return f"{tx} {message['refund_id']} {message['state']} {units(message['amount'])}"
    return f"{tx} {message['state']} {message['confirmations']}/{message['confirmations_required']}"


def units(money: dict[str, str]) -> int:
    return int(Decimal(money["amount"]).scaleb(8))
