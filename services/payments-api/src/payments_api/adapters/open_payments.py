"""Payments whose time to be looked at has come: those still open, and those just credited, for their fees.

Claimed by moving that time, so replicas share them. All times are the service's clock's, as those of the payments are:
what is waited for longer is asked about less often, and that must not depend on two clocks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import asyncpg

from chassis.clock import Clock
from payments_api.application.gateways import AskedPayment

PAUSE_PER_WAITED = 0.25
PAUSE_MAX_S = 86_400.0
_TAKE = """
WITH due AS (
    SELECT id,
        extract(epoch FROM $2 - CASE WHEN credited IS NULL THEN expires_at ELSE updated_at END)::float8 AS waited_s
    FROM payments WHERE look_at <= $2::timestamptz - make_interval(secs => $3)
    ORDER BY look_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE payments SET look_at = $2 + make_interval(secs => greatest($4, least($6, due.waited_s * $5)) - $3)
FROM due WHERE payments.id = due.id
RETURNING payments.id, reference, user_id, gateway, gateway_payment_id, price_asset, price, details, credited, waited_s
"""
_DONE = "UPDATE payments SET look_at = NULL WHERE id = $1 AND credited IS NOT NULL"


class OpenPayment(NamedTuple):
    """One of them, as its gateway is asked about it."""

    gateway: str
    asked: AskedPayment
    is_credited: bool
    waited_s: float


class OpenPayments:
    """The queue. A payment is first looked at ``first_after_s`` after it began, then every ``pause_s``; after the end
    of its quote, and after its credits, at pauses that grow with the time since then, to a day."""

    def __init__(self, pool: asyncpg.Pool[Any], clock: Clock, *, first_after_s: float, pause_s: float) -> None:
        self._pool = pool
        self._clock = clock
        self._first_after_s = first_after_s
        self._pause_s = pause_s

    async def take(self, limit: int) -> Sequence[OpenPayment]:
        """Those whose time has come; each comes again after a pause."""
        # The first time stands as the moment of the beginning; later ones are set ahead by as much.
        pauses = (self._first_after_s, self._pause_s, PAUSE_PER_WAITED, PAUSE_MAX_S)
        rows = await self._pool.fetch(_TAKE, limit, self._clock.now(), *pauses)
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
                row["waited_s"],
            )
            for row in rows
        ]

    async def done(self, payment_id: str) -> None:
        """A credited payment need not be looked at any more."""
        await self._pool.execute(_DONE, payment_id)
