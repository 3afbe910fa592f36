"""Subscriptions as their owner sees them; somebody else's is not there. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from payments_api.application.subscription_presenting import subscription

LISTED_MAX = 200

_SHOWN = """
SELECT s.*, p.status AS bill_status, p.payment_url AS bill_url
FROM subscriptions AS s LEFT JOIN payments AS p ON p.id = s.payment_id
"""
_ONE = f"{_SHOWN} WHERE s.id = $1 AND s.user_id = $2"
_ALL = f"{_SHOWN} WHERE s.user_id = $1 ORDER BY s.created_at DESC, s.id DESC LIMIT $2"


class SubscriptionViews:
    """What the HTTP interface shows of subscriptions."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def one(self, user_id: str, subscription_id: str, *, within: Any = None) -> Mapping[str, Any] | None:
        """One of theirs; ``within`` is a transaction that may have just made it."""
        row = await (within or self._pool).fetchrow(_ONE, subscription_id, user_id)
        return None if row is None else subscription(row)

    async def all(self, user_id: str) -> Sequence[Mapping[str, Any]]:
        """Theirs, newest first, the last LISTED_MAX."""
        return [subscription(row) for row in await self._pool.fetch(_ALL, user_id, LISTED_MAX)]
