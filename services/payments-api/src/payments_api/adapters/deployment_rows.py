"""Deployments as the messages tell of them, brought onto the rows that people see.

Messages come from two services, repeated and in any order: the parts of the price are taken whenever they come, a
status only when it is newer than the one shown and that one is no end. All in the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from payments_api.adapters import live_events
from payments_api.application import presenting

_ENSURE = """
INSERT INTO deployments (id, user_id, service_id, service_name, asset, amount, status, created_at)
VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7) ON CONFLICT DO NOTHING RETURNING *
"""
_SPLIT = """
UPDATE deployments SET commission = $2, grid_payment = $3, updated_at = clock_timestamp()
WHERE id = $1 AND commission IS NULL RETURNING *
"""
_STATUS = """
UPDATE deployments SET status = $2, status_at = $3, grid_deployment_id = coalesce($4, grid_deployment_id),
    connection_details = coalesce($5::jsonb, connection_details), error_message = $6, updated_at = clock_timestamp()
WHERE id = $1 AND status NOT IN ('active', 'failed') AND (status_at IS NULL OR status_at <= $3) RETURNING *
"""
_EXISTS = "SELECT true FROM deployments WHERE id = $1 FOR UPDATE"


class NewDeployment(NamedTuple):
    """What a row begins with; the amount in smallest units."""

    id: str
    user_id: str
    service_id: str
    service_name: str
    asset: str
    amount: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StatusNews:
    """A status, the time of the message that tells of it, and what comes with it."""

    status: str
    at: datetime
    grid_deployment_id: str | None = None
    connection_details: Mapping[str, Any] | None = None
    error_message: str | None = None


class DeploymentRows:
    """Gathers changes to one deployment and tells of them once, at the end."""

    def __init__(self, conn: Any, deployment_id: str) -> None:
        self._conn = conn
        self._id = deployment_id
        self._row: Mapping[str, Any] | None = None

    async def exists(self) -> bool:
        """Whether there is a row; it is locked then."""
        return bool(await self._conn.fetchval(_EXISTS, self._id))

    async def ensure(self, new: NewDeployment) -> None:
        """Make the row if it is not there."""
        self._note(await self._conn.fetchrow(_ENSURE, *new))

    async def split(self, commission: int, grid_payment: int) -> None:
        """Note the parts of the price."""
        self._note(await self._conn.fetchrow(_SPLIT, self._id, commission, grid_payment))

    async def status(self, news: StatusNews) -> None:
        """Show the status, if it is news."""
        details = None if news.connection_details is None else json.dumps(dict(news.connection_details))
        row = await self._conn.fetchrow(
            _STATUS, self._id, news.status, news.at, news.grid_deployment_id, details, news.error_message
        )
        self._note(row)

    async def tell(self) -> None:
        """Tell its owner, if anything changed. Takes the live lane: the last step."""
        if self._row is not None:
            await live_events.append(self._conn, self._row["user_id"], "deployment", presenting.deployment(self._row))

    def _note(self, row: Mapping[str, Any] | None) -> None:
        if row is not None:
            self._row = row
