"""Payments whose time to be looked at has come: those still open, and those just credited, once more for their fees.

Claimed by moving that time, so replicas share them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import asyncpg

from payments_api.application.gateways import AskedPayment

_TAKE = """
UPDATE payments SET look_at = clock_timestamp() + make_interval(secs => $2)
WHERE id IN (
    SELECT id FROM payments WHERE look_at <= clock_timestamp() - make_interval(secs => $3)
    ORDER BY look_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING id, reference, user_id, gateway, gateway_payment_id, price_asset, price, details, credited
"""
_DONE = "UPDATE payments SET look_at = NULL WHERE id = $1 AND credited IS NOT NULL"


class OpenPayment(NamedTuple):
    """One of them, as its gateway is asked about it."""

    gateway: str
    asked: AskedPayment
    is_credited: bool


class OpenPayments:
    """The queue. A payment is first looked at ``first_after_s`` after it began, then every ``pause_s``."""

    def __init__(self, pool: asyncpg.Pool[Any], *, first_after_s: float, pause_s: float) -> None:
        self._pool = pool
        self._first_after_s = first_after_s
        self._pause_s = pause_s

    async def take(self, limit: int) -> Sequence[OpenPayment]:
        """Those whose time has come; each comes again after a pause."""
        # The first time stands as the moment of the beginning; later ones are set ahead by as much.
        again_s = self._pause_s - self._first_after_s
        rows = await self._pool.fetch(_TAKE, limit, again_s, self._first_after_s)
        return [
            OpenPayment(
                row["gateway"],
                AskedPayment(
                    payment_id=row["id"],
                    reference=row["reference"],
                    user_id=row["user_id"],
                    gateway_payment_id=row["gateway_payment_id"],
                    asset=row["price_asset"],
                    price=int(row["price"]),
                    details=json.loads(row["details"], parse_float=Decimal),
                ),
                row["credited"] is not None,
            )
            for row in rows
        ]

    async def done(self, payment_id: str) -> None:
        """A credited payment need not be looked at any more."""
        await self._pool.execute(_DONE, payment_id)
