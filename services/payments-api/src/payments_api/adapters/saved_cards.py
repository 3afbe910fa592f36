"""Which customer of Stripe's is whose, in PostgreSQL. Knows nothing of cards."""

from __future__ import annotations

from typing import Any

import asyncpg

_FIND = "SELECT customer_id FROM stripe_customers WHERE user_id = $1"
_KEEP = """
INSERT INTO stripe_customers AS known (user_id, customer_id) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET customer_id = excluded.customer_id WHERE known.customer_id = $3
"""


class PostgresCustomerBook:
    """See application.saved_cards.CustomerBook."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def find(self, user_id: str) -> str | None:
        """See the port."""
        found: str | None = await self._pool.fetchval(_FIND, user_id)
        return found

    async def keep(self, user_id: str, customer_id: str, *, instead_of: str | None) -> str:
        """See the port."""
        await self._pool.execute(_KEEP, user_id, customer_id, instead_of)
        stands = await self.find(user_id)
        assert stands is not None, "rows are never deleted"
        return stands
