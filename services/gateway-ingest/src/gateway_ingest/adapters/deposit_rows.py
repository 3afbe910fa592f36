"""The tables of deposits and of how far each network was scanned, in PostgreSQL.

Every write checks, in its transaction, that this process has the turn and that the network still stands where the step
began: of two that scan the same, one writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import structlog

from gateway_ingest.application.watching_ports import ChainMoved, Change, NotOurTurn, Place
from gateway_ingest.domain.deposits import Block, Deposit, State, Watched
from gateway_ingest.domain.facts import Amount

TURN_S = 120.0
CLOCKS_APART_MAX = timedelta(minutes=2)
"""How far the clocks of two services may differ."""
BLOCKS_KEPT = 1_000
BLOCKS_KEPT_FOR = timedelta(hours=2)
MARK_EVERY = timedelta(minutes=10)
MARKS_KEPT_FOR = timedelta(days=3)
"""So late may be what we hear of an address, later still after days without a scan: all blocks since then are looked at
again before new ones are."""

log = structlog.get_logger(__name__)

_TURN = """
INSERT INTO chain_heads (network, watched_by, watched_till)
VALUES ($1, $2, clock_timestamp() + $3)
ON CONFLICT (network) DO UPDATE SET watched_by = $2, watched_till = clock_timestamp() + $3
WHERE chain_heads.watched_by = $2 OR chain_heads.watched_till < clock_timestamp()
RETURNING true
"""
_MOVE = """
UPDATE chain_heads SET number = $5, hash = $6, watched_till = clock_timestamp() + $7
WHERE network = $1 AND watched_by = $2 AND number IS NOT DISTINCT FROM $3 AND hash IS NOT DISTINCT FROM $4
RETURNING true
"""
# Two branches, each by its own index: what was ever watched grows for ever.
_WATCHED = """
SELECT match_key, reference, confirmations FROM watched_addresses
WHERE network = $1 AND caught_up AND watch_until > $2
UNION
SELECT match_key, reference, confirmations FROM watched_addresses
WHERE network = $1 AND caught_up AND match_key = ANY (ARRAY(
    SELECT match_key FROM deposits WHERE network = $1 AND state <> 'confirmed'))
"""
_AWAITED = """
SELECT match_key, reference, confirmations FROM watched_addresses WHERE network = $1 AND match_key = ANY($2::text[])
"""
_SEEN = """
SELECT match_key, sum(units) AS units FROM deposits
WHERE network = $1 AND currency = $2 AND match_key = ANY($3::text[]) AND block_number <= $4
      AND reference = ANY(ARRAY(
          SELECT reference FROM watched_addresses WHERE network = $1 AND match_key = ANY($3::text[])))
GROUP BY match_key
"""
# No step is written while this is held: a step begins by moving the row.
_SCANNED_TO = "SELECT number FROM chain_heads WHERE network = $1 FOR UPDATE"
_HASH = "SELECT hash FROM chain_blocks WHERE network = $1 AND number = $2"
_LATECOMERS = """
SELECT match_key, reference, confirmations, told_at FROM watched_addresses
WHERE network = $1 AND NOT caught_up AND watch_until > $2
"""
# What was told of before all that is known of a network is looked for from there.
_FIRST_BLOCK_SINCE = """
SELECT coalesce(since.number, least((SELECT min(number) FROM chain_marks WHERE network = $1),
                                    (SELECT min(number) FROM chain_blocks WHERE network = $1)), 0) AS number,
       since.number IS NOT NULL AS is_known
FROM (SELECT coalesce((SELECT max(number) + 1 FROM chain_blocks WHERE network = $1 AND scanned_at < $2),
                      (SELECT max(number) + 1 FROM chain_marks WHERE network = $1 AND marked_at < $2)) AS number)
    AS since
"""
_MARK = """
INSERT INTO chain_marks (network, period, number) VALUES ($1, date_bin($3, clock_timestamp(), 'epoch'), $2)
ON CONFLICT DO NOTHING RETURNING true
"""
# The newest of the old ones stays: there may be none between it and now.
_FORGET_MARKS = """
DELETE FROM chain_marks WHERE network = $1 AND (number > $2 OR marked_at < (
    SELECT max(marked_at) FROM chain_marks WHERE network = $1 AND marked_at < clock_timestamp() - $3::interval))
"""
_CAUGHT_UP = "UPDATE watched_addresses SET caught_up = true WHERE network = $1 AND match_key = ANY($2::text[])"
_REMEMBERED = "SELECT number, hash FROM chain_blocks WHERE network = $1 AND number <= $2 ORDER BY number DESC LIMIT $3"
_REMEMBER = "INSERT INTO chain_blocks (network, number, hash) VALUES ($1, $2, $3)"
# Where the network stands is always remembered: with nothing to compare, it would be taken for forked for ever.
_REMEMBER_PLACE = "INSERT INTO chain_blocks (network, number, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_FORGET_BRANCH = """
DELETE FROM chain_blocks WHERE network = $1 AND (number > $2 OR number = $2 AND hash <> $3)
"""
_FORGET_OLD = """
DELETE FROM chain_blocks WHERE network = $1 AND number < $2 AND scanned_at < clock_timestamp() - $3::interval
"""
_COLUMNS = """network, tx, place, match_key, reference, units, currency, exponent, required, state, seen_at,
              block_number, block_hash, block_time, fork, forks, told_confirmations, news, untold"""
_DEPOSITS = f"SELECT {_COLUMNS} FROM deposits WHERE network = $1"  # noqa: S608 - our own names
_PUT = f"""
INSERT INTO deposits ({_COLUMNS})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT (network, tx, place) DO UPDATE
SET units = excluded.units, currency = excluded.currency, exponent = excluded.exponent, state = excluded.state,
    seen_at = excluded.seen_at, block_number = excluded.block_number, block_hash = excluded.block_hash,
    block_time = excluded.block_time, fork = excluded.fork, forks = excluded.forks,
    told_confirmations = excluded.told_confirmations, news = excluded.news, untold = excluded.untold,
    changed_at = clock_timestamp()
"""  # noqa: S608 - our own names
_TOLD = "UPDATE deposits SET untold = false WHERE network = $1 AND tx = $2 AND place = $3 AND news = $4"


class PostgresDepositStore:
    """The DepositStore port; ``owner`` names this process."""

    def __init__(self, pool: asyncpg.Pool[Any], owner: str) -> None:
        self._pool = pool
        self._owner = owner

    async def take_turn(self, network: str) -> bool:
        """See the port."""
        return bool(await self._pool.fetchval(_TURN, network, self._owner, timedelta(seconds=TURN_S)))

    async def place(self, network: str) -> Place | None:
        """See the port."""
        row = await self._pool.fetchrow("SELECT number, hash FROM chain_heads WHERE network = $1", network)
        return None if row is None or row["number"] is None else Place(row["number"], row["hash"])

    async def watched(self, network: str, now: datetime) -> Mapping[str, Watched]:
        """See the port."""
        return {row["match_key"]: _watched(row) for row in await self._pool.fetch(_WATCHED, network, now)}

    async def latecomers(self, network: str, now: datetime) -> tuple[Mapping[str, Watched], int]:
        """See the port."""
        rows = await self._pool.fetch(_LATECOMERS, network, now)
        if not rows:
            return {}, 0
        since = min(row["told_at"] for row in rows) - CLOCKS_APART_MAX
        first = await self._pool.fetchrow(_FIRST_BLOCK_SINCE, network, since)
        if not first["is_known"]:
            log.warning("addresses_told_before_all_marks", network=network, told_at=since.isoformat())
        return {row["match_key"]: _watched(row) for row in rows}, first["number"]

    async def deposits_of(self, network: str, transactions: Collection[str]) -> Sequence[Deposit]:
        """See the port."""
        return await self._deposits("AND tx = ANY($2::text[])", network, list(transactions))

    async def awaited(self, network: str, keys: Collection[str]) -> Mapping[str, Watched]:
        """See the port."""
        return {row["match_key"]: _watched(row) for row in await self._pool.fetch(_AWAITED, network, list(keys))}

    async def own_coins_seen(self, network: str, currency: str, keys: Collection[str], upto: int) -> Mapping[str, int]:
        """See the port."""
        rows = await self._pool.fetch(_SEEN, network, currency, list(keys), upto)
        return {row["match_key"]: int(row["units"]) for row in rows}

    async def unconfirmed(self, network: str) -> Sequence[Deposit]:
        """See the port."""
        return await self._deposits("AND state = 'unconfirmed' ORDER BY tx, place", network)

    async def in_blocks_above(self, network: str, number: int) -> Sequence[Deposit]:
        """See the port."""
        return await self._deposits("AND block_number > $2 ORDER BY tx, place", network, number)

    async def remembered(self, network: str, upto: int, limit: int) -> Sequence[Place]:
        """See the port."""
        return [Place(row["number"], row["hash"]) for row in await self._pool.fetch(_REMEMBERED, network, upto, limit)]

    async def untold(self, network: str) -> Sequence[Deposit]:
        """See the port."""
        return await self._deposits("AND untold ORDER BY changed_at", network)

    async def mark_told(self, deposits: Sequence[Deposit]) -> None:
        """See the port."""
        rows = [(deposit.network, deposit.tx, deposit.place, deposit.news) for deposit in deposits]
        async with self._pool.acquire() as connection:
            await connection.executemany(_TOLD, rows)

    async def save(self, change: Change) -> None:
        """See the port."""
        async with self._pool.acquire() as connection, connection.transaction():
            await self._move(connection, change)
            if change.deposits:
                await connection.executemany(_PUT, [_row(deposit) for deposit in change.deposits])
            if change.caught_up:
                await connection.execute(_CAUGHT_UP, change.network, list(change.caught_up))

    async def add(self, network: str, block: Block, was: Sequence[Deposit], now: Sequence[Deposit]) -> None:
        """See the port."""
        transactions = sorted({deposit.tx for deposit in now})
        async with self._pool.acquire() as connection, connection.transaction():
            scanned_to = await connection.fetchval(_SCANNED_TO, network)
            known_hash = await connection.fetchval(_HASH, network, block.number)
            if scanned_to is None or scanned_to < block.number or known_hash not in (None, block.hash):
                raise ChainMoved(f"{network}: the block is none that was scanned")
            rows = await connection.fetch(f"{_DEPOSITS} AND tx = ANY($2::text[])", network, transactions)
            if {_deposit(row) for row in rows} != set(was):
                raise ChainMoved(f"{network}: what is known of the transaction changed meanwhile")
            await connection.executemany(_PUT, [_row(deposit) for deposit in now])

    async def _move(self, connection: Any, change: Change) -> None:
        last = _last(change)
        was = (change.was.number, change.was.hash) if change.was is not None else (None, None)
        turn = timedelta(seconds=TURN_S)
        moved = await connection.fetchval(_MOVE, change.network, self._owner, *was, last.number, last.hash, turn)
        if moved is None:
            raise NotOurTurn(f"{change.network} is watched by another process")
        if change.back_to is not None:
            place = (change.network, change.back_to.number, change.back_to.hash)
            await connection.execute(_FORGET_BRANCH, *place)
            await connection.execute(_REMEMBER_PLACE, *place)
            await connection.execute(_FORGET_MARKS, change.network, change.back_to.number, MARKS_KEPT_FOR)
        if change.blocks:
            blocks = [(change.network, block.number, block.hash) for block in change.blocks]
            await connection.executemany(_REMEMBER, blocks)
            await connection.execute(_FORGET_OLD, change.network, last.number - BLOCKS_KEPT, BLOCKS_KEPT_FOR)
            if await connection.fetchval(_MARK, change.network, last.number, MARK_EVERY):
                await connection.execute(_FORGET_MARKS, change.network, last.number, MARKS_KEPT_FOR)

    async def _deposits(self, condition: str, *arguments: Any) -> Sequence[Deposit]:
        return [_deposit(row) for row in await self._pool.fetch(f"{_DEPOSITS} {condition}", *arguments)]


def _last(change: Change) -> Place:
    if change.back_to is not None:
        return change.back_to
    if change.blocks:
        return Place(change.blocks[-1].number, change.blocks[-1].hash)
    assert change.was is not None, "a step leads somewhere"
    return change.was


def _watched(row: Any) -> Watched:
    return Watched(row["match_key"], row["reference"], row["confirmations"])


def _row(deposit: Deposit) -> tuple[Any, ...]:
    identity = (deposit.network, deposit.tx, deposit.place, deposit.key, deposit.reference)
    amount = (Decimal(deposit.amount.units), deposit.amount.currency, deposit.amount.exponent)
    block = (deposit.block_number, deposit.block_hash, deposit.block_time)
    told = (deposit.fork, deposit.forks, deposit.told_confirmations, deposit.news, deposit.untold)
    return (*identity, *amount, deposit.required, deposit.state.value, deposit.seen_at, *block, *told)


def _deposit(row: Any) -> Deposit:
    return Deposit(
        network=row["network"],
        tx=row["tx"],
        place=row["place"],
        key=row["match_key"],
        reference=row["reference"],
        amount=Amount(int(row["units"]), row["currency"], row["exponent"]),
        required=row["required"],
        state=State(row["state"]),
        seen_at=row["seen_at"],
        block_number=row["block_number"],
        block_hash=row["block_hash"],
        block_time=row["block_time"],
        fork=row["fork"],
        forks=row["forks"],
        told_confirmations=row["told_confirmations"],
        news=row["news"],
        untold=row["untold"],
    )
