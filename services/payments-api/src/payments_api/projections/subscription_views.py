"""Subscriptions as their owner sees them; somebody else's is not there. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from payments_api.application.subscription_presenting import subscription
from payments_api.projections.times import bad_cursor, cursor_time

_SHOWN = """
SELECT s.*, p.status AS bill_status, p.payment_url AS bill_url
FROM subscriptions AS s LEFT JOIN payments AS p ON p.id = s.payment_id
"""
_ONE = f"{_SHOWN} WHERE s.id = $1 AND s.user_id = $2"
_PAGE = f"""{_SHOWN}
WHERE s.user_id = $1 AND ($2::timestamptz IS NULL OR (s.created_at, s.id) < ($2, $3))
ORDER BY s.created_at DESC, s.id DESC LIMIT $4
"""


class SubscriptionViews:
    """What the HTTP interface shows of subscriptions."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def one(self, user_id: str, subscription_id: str, *, within: Any = None) -> Mapping[str, Any] | None:
        """One of theirs; ``within`` is a transaction that may have just made it."""
        row = await (within or self._pool).fetchrow(_ONE, subscription_id, user_id)
        return None if row is None else subscription(row)

    async def page(
        self, user_id: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """A page of theirs, newest first, and the cursor of the next. Raises InvalidField (``cursor``)."""
        before, before_id = (None, "") if cursor is None else _place(cursor)
        rows = await self._pool.fetch(_PAGE, user_id, before, before_id, limit)
        following = f"{rows[-1]['created_at'].isoformat()}~{rows[-1]['id']}" if len(rows) == limit else None
        return [subscription(row) for row in rows], following


def _place(cursor: str) -> tuple[datetime, str]:
    time, _, subscription_id = cursor.partition("~")
    if not subscription_id:
        raise bad_cursor()
    return cursor_time(time), subscription_id
