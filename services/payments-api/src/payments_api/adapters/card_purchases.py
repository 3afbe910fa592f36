"""Deployments bought by card: remembered with their payment, released into the purchase process once it is credited.

From there on they are purchases like all others: charged under the deployment's id, so once, and told of.
"""

from __future__ import annotations

from typing import Any

from payments_api.adapters.purchase_desk import open_purchase
from payments_api.application.ports import Service

_REMEMBER = """
INSERT INTO card_purchases (payment_id, deployment_id, user_id, service_id, service_name, asset, price)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_RELEASE = """
UPDATE card_purchases SET released_at = clock_timestamp()
WHERE payment_id = $1 AND released_at IS NULL
RETURNING deployment_id, user_id, service_id, service_name, asset, price
"""


async def remember(conn: Any, payment_id: str, deployment_id: str, user_id: str, service: Service) -> None:
    """What the payment is for."""
    await conn.execute(
        _REMEMBER, payment_id, deployment_id, user_id, service.id, service.name, service.asset, service.price
    )


async def release(conn: Any, payment_id: str) -> bool:
    """Let the purchase begin, once; whether there was one."""
    row = await conn.fetchrow(_RELEASE, payment_id)
    if row is None:
        return False
    service = Service(row["service_id"], row["service_name"], "", row["asset"], row["price"])
    await open_purchase(conn, row["deployment_id"], row["user_id"], service, resume_after_s=0.0)
    return True
