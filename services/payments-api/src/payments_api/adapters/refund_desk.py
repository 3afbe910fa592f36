"""Refunds in PostgreSQL. Together they never ask for more than came and has not gone back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from payments_api.application.gateways import RefundRequest
from payments_api.application.refunding import DueRefund, NotRefundable
from payments_api.application.refusals import KeyReused

PAUSE_S = 1.0
PAUSE_MAX_S = 300.0
RESUME_AFTER_S = 10.0

_LOCK = "SELECT received, refunded, price_asset, gateway_payment_id FROM payments WHERE id = $1 FOR UPDATE"
# A statement of its own, once the payment is locked: what another one asked for while we waited is seen here.
_ASKED_BACK = "SELECT coalesce(sum(amount), 0) FROM refunds WHERE payment_id = $1 AND state <> 'refused'"
_OPEN = """
INSERT INTO refunds (id, payment_id, asset, amount, reason, requested_by, next_attempt_at)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7))
ON CONFLICT (id) DO NOTHING
"""
_READ = "SELECT * FROM refunds WHERE id = $1"
_REFUNDS = "SELECT * FROM refunds WHERE payment_id = $1 ORDER BY created_at"
_DUE = """
UPDATE refunds SET attempts = attempts + 1,
    next_attempt_at = clock_timestamp() + make_interval(secs => least($2, $3 * 2.0 ^ least(attempts, 20)))
WHERE id IN (
    SELECT id FROM refunds WHERE state = 'requested' AND (next_attempt_at <= clock_timestamp() OR id = $4)
      AND ($4::text IS NULL OR id = $4)
    ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED
) RETURNING *
"""
_ABOUT = "SELECT id, gateway, gateway_payment_id, reference FROM payments WHERE id = ANY($1::text[])"
_SETTLE = """
UPDATE refunds SET state = $2, gateway_refund_id = $3, refusal = $4, settled_at = clock_timestamp()
WHERE id = $1 AND state = 'requested'
"""
_FAILED = """
UPDATE refunds AS r SET state = 'refused', refusal = $4, settled_at = clock_timestamp()
FROM payments AS p
WHERE p.gateway = $1 AND p.gateway_payment_id = $2 AND r.payment_id = p.id AND r.gateway_refund_id = $3
  AND r.state = 'accepted'
"""


class PostgresRefundDesk:
    """See application.refunding.RefundDesk."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def open(
        self, refund_id: str, payment_id: str, units: int | None, reason: str, requested_by: str
    ) -> Mapping[str, Any]:
        """Store the intent: ``units`` smallest units of what came, or all that is left of it. The same once more
        answers the one that is kept. Raises NotRefundable, KeyReused."""
        async with self._pool.acquire() as conn, conn.transaction():
            payment = await conn.fetchrow(_LOCK, payment_id)
            known = await conn.fetchrow(_READ, refund_id)
            if known is not None:
                return _same(known, units, reason)
            if payment is None or payment["received"] <= 0 or payment["gateway_payment_id"] is None:
                raise NotRefundable("Nothing has come for this payment")
            asked_back = await conn.fetchval(_ASKED_BACK, payment_id)
            left = int(payment["received"] - max(asked_back, payment["refunded"]))
            wanted = left if units is None else units
            if not 0 < wanted <= left:
                raise NotRefundable("More than is left of this payment" if left > 0 else "All of it has gone back")
            await conn.execute(
                _OPEN, refund_id, payment_id, payment["price_asset"], wanted, reason, requested_by, RESUME_AFTER_S
            )
            return dict(await conn.fetchrow(_READ, refund_id))

    async def of_payment(self, payment_id: str) -> Sequence[Mapping[str, Any]]:
        """All of a payment, oldest first."""
        return [dict(row) for row in await self._pool.fetch(_REFUNDS, payment_id)]

    async def read(self, refund_id: str) -> Mapping[str, Any] | None:
        """One of them."""
        row = await self._pool.fetchrow(_READ, refund_id)
        return None if row is None else dict(row)

    async def take_due(self, limit: int) -> Sequence[DueRefund]:
        """See the port."""
        return await self._take(limit, None)

    async def take(self, refund_id: str) -> DueRefund | None:
        """See the port."""
        taken = await self._take(1, refund_id)
        return taken[0] if taken else None

    async def accept(self, refund_id: str, gateway_refund_id: str) -> None:
        """See the port."""
        await self._pool.execute(_SETTLE, refund_id, "accepted", gateway_refund_id, None)

    async def refuse(self, refund_id: str, refusal: str) -> None:
        """See the port."""
        await self._pool.execute(_SETTLE, refund_id, "refused", None, refusal)

    async def _take(self, limit: int, refund_id: str | None) -> Sequence[DueRefund]:
        rows = await self._pool.fetch(_DUE, limit, PAUSE_MAX_S, PAUSE_S, refund_id)
        payments = await self._pool.fetch(_ABOUT, [row["payment_id"] for row in rows]) if rows else []
        about = {row["id"]: row for row in payments}
        return [_due(row, about[row["payment_id"]]) for row in rows]


async def failed_late(conn: Any, gateway: str, gateway_payment_id: str, gateway_refund_id: str, reason: str) -> None:
    """The gateway took it and could not do it after all: its amount can be asked for again."""
    await conn.execute(_FAILED, gateway, gateway_payment_id, gateway_refund_id, reason)


def _same(known: Mapping[str, Any], units: int | None, reason: str) -> Mapping[str, Any]:
    if known["reason"] != reason or units not in (None, int(known["amount"])):
        raise KeyReused
    return dict(known)


def _due(refund: Mapping[str, Any], payment: Mapping[str, Any]) -> DueRefund:
    request = RefundRequest(
        refund_id=refund["id"],
        gateway_payment_id=payment["gateway_payment_id"],
        reference=payment["reference"],
        asset=refund["asset"],
        amount=int(refund["amount"]),
        reason=refund["reason"],
    )
    return DueRefund(payment["gateway"], request)
