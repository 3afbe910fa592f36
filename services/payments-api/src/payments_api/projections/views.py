"""Deployments as their owner sees them; somebody else's is not there.

Reads only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from payments_api.application import presenting

DEPLOYMENTS_MAX = 200

_DEPLOYMENT = "SELECT * FROM deployments WHERE id = $1 AND user_id = $2"
_DEPLOYMENTS = "SELECT * FROM deployments WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2"


class Views:
    """What the HTTP interface shows from this service's own tables."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def deployment(self, user_id: str, deployment_id: str) -> Mapping[str, Any] | None:
        """One deployment of theirs."""
        row = await self._pool.fetchrow(_DEPLOYMENT, deployment_id, user_id)
        return None if row is None else presenting.deployment(row)

    async def deployments(self, user_id: str, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """Their deployments, newest first."""
        rows = await self._pool.fetch(_DEPLOYMENTS, user_id, min(limit, DEPLOYMENTS_MAX))
        return [presenting.deployment(row) for row in rows]
