"""Purchases in PostgreSQL, with the deployment as people see it from the first moment.

Times are this server's. Locks in one order: the purchase, the deployment's row, the live lane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from payments_api.adapters import idempotency, live_events
from payments_api.application import presenting
from payments_api.application.notifying import Notifying
from payments_api.application.ports import (
    Charged,
    ChargeOutcome,
    IdempotencyKey,
    NoCover,
    Opened,
    Purchase,
    Service,
)

_OPEN = """
INSERT INTO purchases (deployment_id, user_id, service_id, service_name, asset, price, next_attempt_at)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7)) RETURNING *
"""
_SHOW = """
INSERT INTO deployments (id, user_id, service_id, service_name, asset, amount, status, created_at)
VALUES ($1, $2, $3, $4, $5, $6, 'queued', clock_timestamp())
"""
_READ = "SELECT * FROM purchases WHERE deployment_id = $1"
_SETTLE = """
UPDATE purchases SET state = $2, required = $3, available = $4, wallet_version = $5, settled_at = clock_timestamp()
WHERE deployment_id = $1 AND state = 'requested' RETURNING *
"""
_PAID_BY_CARD = "SELECT payment_id FROM card_purchases WHERE deployment_id = $1"
_HIDE = "DELETE FROM deployments WHERE id = $1"
# Locked, so that nobody tells of a later state before this one is told.
_DEPLOYMENT = "SELECT * FROM deployments WHERE id = $1 FOR UPDATE"
_DUE = """
UPDATE purchases SET attempts = attempts + 1,
    next_attempt_at = clock_timestamp() + make_interval(secs => least($3, $2 * 2.0 ^ least(attempts, 20)))
WHERE deployment_id IN (
    SELECT deployment_id FROM purchases WHERE state = 'requested' AND next_attempt_at <= clock_timestamp()
    ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED
) RETURNING *
"""


class PostgresPurchaseDesk:
    """See application.ports.PurchaseDesk. ``notifying`` mails what nobody waits for an answer to."""

    def __init__(self, pool: asyncpg.Pool[Any], notifying: Notifying | None = None) -> None:
        self._pool = pool
        self._notifying = notifying

    async def open(
        self, deployment_id: str, user_id: str, service: Service, key: IdempotencyKey | None, *, resume_after_s: float
    ) -> Opened:
        async with self._pool.acquire() as conn, conn.transaction():
            earlier = await idempotency.claim(conn, user_id, key, deployment_id) if key is not None else None
            if earlier is not None:
                return Opened(_purchase(await conn.fetchrow(_READ, earlier.subject_id)), is_repeat=True)
            purchase = await open_purchase(conn, deployment_id, user_id, service, resume_after_s=resume_after_s)
        return Opened(purchase, is_repeat=False)

    async def settle(self, deployment_id: str, outcome: ChargeOutcome) -> Purchase:
        async with self._pool.acquire() as conn, conn.transaction():
            row = await conn.fetchrow(_SETTLE, deployment_id, *_columns(outcome))
            if row is None:
                return _purchase(await conn.fetchrow(_READ, deployment_id))
            if isinstance(outcome, NoCover):
                await self._refuse(conn, row)
            else:
                await self._tell(conn, row)
        return _purchase(row)

    async def take_due(self, limit: int, *, pause_s: float, pause_max_s: float) -> Sequence[Purchase]:
        rows = await self._pool.fetch(_DUE, limit, float(pause_s), float(pause_max_s))
        return [_purchase(row) for row in rows]

    async def _refuse(self, conn: Any, purchase: Mapping[str, Any]) -> None:
        """Who asked just now has the refusal as an answer; who paid by card a while ago waits for news."""
        await conn.execute(_HIDE, purchase["deployment_id"])
        payment_id = await conn.fetchval(_PAID_BY_CARD, purchase["deployment_id"])
        if payment_id is None:
            return
        if self._notifying is not None:
            await self._notifying.on_purchase_refused(conn, payment_id, _purchase(purchase))
        told = presenting.refused_purchase(purchase)
        await live_events.append(conn, purchase["user_id"], "purchase_refused", told)

    async def _tell(self, conn: Any, purchase: Mapping[str, Any]) -> None:
        deployment = await conn.fetchrow(_DEPLOYMENT, purchase["deployment_id"])
        await live_events.append(conn, purchase["user_id"], "deployment", presenting.deployment(deployment))


async def open_purchase(
    conn: Any, deployment_id: str, user_id: str, service: Service, *, resume_after_s: float
) -> Purchase:
    """Store the intent in ``conn``'s transaction, and the deployment as people see it."""
    about = (deployment_id, user_id, service.id, service.name, service.asset, service.price)
    row = await conn.fetchrow(_OPEN, *about, float(resume_after_s))
    await conn.execute(_SHOW, *about)
    return _purchase(row)


def _columns(outcome: ChargeOutcome) -> Sequence[Any]:
    """State, required, available, wallet version."""
    if isinstance(outcome, Charged):
        return ("charged", None, None, outcome.wallet_version)
    return ("refused", outcome.required, outcome.available, outcome.wallet_version)


def _purchase(row: Mapping[str, Any]) -> Purchase:
    refused = row["state"] == "refused"
    return Purchase(
        deployment_id=row["deployment_id"],
        user_id=row["user_id"],
        service_id=row["service_id"],
        service_name=row["service_name"],
        asset=row["asset"],
        price=row["price"],
        state=row["state"],
        refusal=NoCover(row["required"], row["available"], row["wallet_version"]) if refused else None,
    )
