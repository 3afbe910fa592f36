"""Deployments and jobs as the HTTP interface shows them: plain values, amounts as decimal strings.

The fields of a deployment are those of the credits specification, and what belongs to them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import asyncpg

from contracts.amounts import format_units

JobStatus = Literal["open", "done"]
JOBS_MAX = 200

_DEPLOYMENT = "SELECT * FROM deployments WHERE id = $1"
_JOBS = """
SELECT id, deployment_id, status, attempts, run_after, deadline_at, lease_epoch, lease_owner, lease_until,
       teardown_reason, last_error, created_at, finished_at
FROM grid_jobs WHERE status = $1 AND id > $2 ORDER BY id LIMIT $3
"""
_OPEN_COUNTS = """
SELECT count(*) FILTER (WHERE run_after <= clock_timestamp() AND NOT leased) AS due,
       count(*) FILTER (WHERE run_after > clock_timestamp() AND NOT leased) AS later,
       count(*) FILTER (WHERE leased) AS leased
FROM (SELECT run_after, coalesce(lease_until > clock_timestamp(), false) AS leased
      FROM grid_jobs WHERE status = 'open') AS open_jobs
"""


class Views:
    """Reads for the HTTP interface."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def deployment(self, deployment_id: str) -> Mapping[str, Any] | None:
        """One deployment; None when there is none."""
        async with self._pool.acquire() as conn:
            row = await conn.fetchrow(_DEPLOYMENT, deployment_id)
        return None if row is None else _shown(row)

    async def jobs(self, status: JobStatus, *, after: int, limit: int) -> Mapping[str, Any]:
        """A page of jobs by id, and how many of the open ones are due, wait for their time, or are in hand."""
        async with self._pool.acquire() as conn:
            rows = await conn.fetch(_JOBS, status, after, min(limit, JOBS_MAX))
            counts = await conn.fetchrow(_OPEN_COUNTS)
        return {"jobs": [dict(row) for row in rows], "open": dict(counts)}


def _shown(row: Mapping[str, Any]) -> Mapping[str, Any]:
    def amount(units: int | None) -> str | None:
        return None if units is None else format_units(units, row["asset"])

    details = row["connection_details"]
    return {
        "id": row["id"],
        "user_id": row["user_id"],
        "service_id": row["service_id"],
        "service_name": row["service_name"],
        "asset": row["asset"],
        "tfc_amount": amount(row["amount"]),
        "commission_amount": amount(row["commission"]),
        "grid_payment_amount": amount(row["grid_payment"]),
        "tft_amount": None,
        "grid_deployment_id": row["grid_deployment_id"],
        "status": row["status"],
        "error_message": row["error_message"],
        "connection_details": None if details is None else json.loads(details),
        "version": row["version"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }
