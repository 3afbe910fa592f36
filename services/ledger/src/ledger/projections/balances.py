"""Reads of the books: wallets, accounts, trial balance. Every answer states the position that it is true at."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from ledger.domain.states import Wallet

POLL_S = 0.01

_LAST = "(SELECT coalesce(max(notification_id), 0) FROM stored_events)"
_CHECKPOINT = "coalesce((SELECT position FROM projection_checkpoints WHERE name = 'journal'), 0)"
_WALLET = f"""
SELECT {_LAST} AS position, w.* FROM (VALUES ($1)) AS asked (user_id)
LEFT JOIN wallets AS w ON w.user_id = asked.user_id
"""  # noqa: S608 - nothing of it comes from outside
_ACCOUNT = "SELECT asset, posted FROM account_balances WHERE account = $1 ORDER BY asset"
_POSTINGS = """
SELECT position, line, asset, amount, reference, recorded_at FROM journal_postings
WHERE account = $1 AND (position, line) < ($2, $3) ORDER BY position DESC, line DESC LIMIT $4
"""
_SUMS = "SELECT asset, sum(posted) AS total FROM account_balances GROUP BY asset ORDER BY asset"
_WALLETS_OFF = """
SELECT user_id FROM (
    SELECT 'wallet:' || user_id AS account, spendable AS amount, user_id FROM wallets
    UNION ALL SELECT 'wallet:' || user_id || ':held', held, user_id FROM wallets
) AS w
FULL JOIN (SELECT account, posted FROM account_balances WHERE account LIKE 'wallet:%' AND asset = $1) AS b
    USING (account)
WHERE coalesce(w.amount, 0) <> coalesce(b.posted, 0)
"""
_UNALLOCATED = """
SELECT payment_key, gateway, payment_id, payment_reference, received, refunded, asset, paid_at FROM payments
WHERE user_id IS NULL AND received > refunded AND payment_key > $1 ORDER BY payment_key LIMIT $2
"""
POSITION_MAX = 2**63 - 1


class AccountLine(NamedTuple):
    """One posting of an account."""

    position: int
    line: int
    asset: str
    amount: int
    reference: str
    recorded_at: datetime


class TrialBalance(NamedTuple):
    """Sums per asset at ``position``; ``wallets_off`` names wallets whose row is not what their postings sum to, and
    is None where the journal is behind the log."""

    position: int
    sums: dict[str, int]
    wallets_off: Sequence[str] | None

    @property
    def balanced(self) -> bool:
        """Whether every asset sums to zero and every wallet agrees with its postings."""
        return not any(self.sums.values()) and not self.wallets_off


class BooksReader:
    """Reads for HTTP and for operators. Never writes."""

    def __init__(self, pool: asyncpg.Pool[Any], asset: str) -> None:
        self._pool = pool
        self._asset = asset

    async def wallet(self, user_id: str) -> tuple[Wallet, int]:
        """The wallet and a position that it is true at; one without events is empty."""
        row = await self._pool.fetchrow(_WALLET, user_id)
        if row["user_id"] is None:
            return Wallet(user_id), row["position"]
        return Wallet(*(row[name] for name in Wallet._fields)), row["position"]

    async def account(self, path: str) -> tuple[dict[str, int], int]:
        """Posted balance per asset, and the position up to which postings are counted."""
        async with self._pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            position = await conn.fetchval(f"SELECT {_CHECKPOINT}")
            rows = await conn.fetch(_ACCOUNT, path)
        return {row["asset"]: int(row["posted"]) for row in rows}, position

    async def postings(self, path: str, before: tuple[int, int], limit: int) -> tuple[list[AccountLine], int]:
        """An account's postings before (position, line), newest first."""
        async with self._pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            position = await conn.fetchval(f"SELECT {_CHECKPOINT}")
            rows = await conn.fetch(_POSTINGS, path, *before, limit)
        return [AccountLine(**{**dict(row), "amount": int(row["amount"])}) for row in rows], position

    async def trial_balance(self) -> TrialBalance:
        """The trial balance where the journal stands now."""
        async with self._pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            return await trial_balance(conn, self._asset)

    async def unallocated(self, after: str, limit: int) -> list[dict[str, Any]]:
        """Money that belongs to nobody yet, by payment."""
        return [dict(row) for row in await self._pool.fetch(_UNALLOCATED, after, limit)]

    async def wait_for_log(self, position: int, timeout_s: float) -> bool:
        """Whether the log reached ``position`` in time."""
        return await self._wait(f"SELECT {_LAST}", position, timeout_s)

    async def wait_for_journal(self, position: int | None, timeout_s: float) -> bool:
        """Whether the journal reached ``position`` in time; None stands for where the log is now."""
        target = await self._pool.fetchval(f"SELECT {_LAST}") if position is None else position
        return await self._wait(f"SELECT {_CHECKPOINT}", target, timeout_s)

    async def _wait(self, query: str, position: int, timeout_s: float) -> bool:
        deadline = asyncio.get_running_loop().time() + timeout_s
        while await self._pool.fetchval(query) < position:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True


async def trial_balance(conn: Any, asset: str) -> TrialBalance:
    """The trial balance in ``conn``'s snapshot."""
    last, position = await conn.fetchrow(f"SELECT {_LAST}, {_CHECKPOINT}")
    sums = {row["asset"]: int(row["total"]) for row in await conn.fetch(_SUMS)}
    off = [str(row["user_id"]) for row in await conn.fetch(_WALLETS_OFF, asset)] if last == position else None
    return TrialBalance(position, sums, off)
