"""The queue of grid work in PostgreSQL: claimed with SKIP LOCKED, leased under an epoch, by the server's clock.

At most one open job per deployment (a unique index). Who writes locks the job's row under its epoch first: a worker
that lost its lease gets LeaseLost, and its transaction ends with nothing changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from deployments.application.ports import Again, Finish, JobChange, Lease, LeaseLost, TearDown

ERROR_MAX_CHARS = 500

_ADD = """
INSERT INTO grid_jobs (deployment_id, deadline_at) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
"""
_CLAIM = """
UPDATE grid_jobs AS j
SET lease_epoch = j.lease_epoch + 1, lease_owner = $1, attempts = j.attempts + 1,
    lease_until = clock_timestamp() + make_interval(secs => $2), begun_at = coalesce(j.begun_at, clock_timestamp())
FROM (
    SELECT id FROM grid_jobs
    WHERE status = 'open' AND run_after <= clock_timestamp()
      AND (lease_until IS NULL OR lease_until <= clock_timestamp())
    ORDER BY run_after LIMIT $3 FOR UPDATE SKIP LOCKED
) AS due
WHERE j.id = due.id
RETURNING j.id, j.deployment_id, j.lease_epoch, j.attempts, j.deadline_at <= clock_timestamp() AS overdue,
          extract(epoch FROM clock_timestamp() - j.begun_at)::float8 AS age_s, j.teardown_reason
"""
_RENEW = """
UPDATE grid_jobs SET lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE id = $1 AND lease_epoch = $2 AND lease_owner IS NOT NULL RETURNING true
"""
_LOCK = """
SELECT true FROM grid_jobs
WHERE id = $1 AND lease_epoch = $2 AND lease_owner IS NOT NULL FOR UPDATE
"""
_FINISH = """
UPDATE grid_jobs
SET status = 'done', finished_at = clock_timestamp(), lease_owner = NULL, lease_until = NULL, last_error = NULL
WHERE id = $1
"""
# An answer of the grid, whatever it was, ends the count of attempts; a silence keeps it.
_AGAIN = """
UPDATE grid_jobs
SET run_after = clock_timestamp() + make_interval(secs => $2), lease_owner = NULL, lease_until = NULL,
    last_error = $3, attempts = CASE WHEN $3::text IS NULL THEN 0 ELSE attempts END
WHERE id = $1
"""
_TEAR_DOWN = "UPDATE grid_jobs SET teardown_reason = $2 WHERE id = $1"


class PostgresJobQueue:
    """See JobQueue; the rest is for whoever writes beside it in the same transaction."""

    def __init__(self, pool: asyncpg.Pool[Any], *, deadline_s: float) -> None:
        self._pool = pool
        self._deadline_s = deadline_s

    async def claim(self, owner: str, *, limit: int, lease_s: float) -> Sequence[Lease]:
        async with self._pool.acquire() as conn:
            rows = await conn.fetch(_CLAIM, owner, lease_s, limit)
        return [Lease(*row) for row in rows]

    async def renew(self, lease: Lease, *, lease_s: float) -> bool:
        async with self._pool.acquire() as conn:
            return bool(await conn.fetchval(_RENEW, lease.job_id, lease.epoch, lease_s))

    async def add(self, conn: Any, deployment_id: str) -> None:
        """Queue the work of a deployment; its hard deadline runs from now."""
        await conn.execute(_ADD, deployment_id, self._deadline_s)

    async def lock(self, conn: Any, lease: Lease) -> None:
        """Hold the job to the end of the transaction. Raises LeaseLost: it is not this lease's any more."""
        if not await conn.fetchval(_LOCK, lease.job_id, lease.epoch):
            raise LeaseLost(f"job {lease.job_id}, epoch {lease.epoch}")

    async def change(self, conn: Any, lease: Lease, change: JobChange) -> None:
        """Write what becomes of a job that ``lock`` holds."""
        if isinstance(change, Finish):
            await conn.execute(_FINISH, lease.job_id)
        elif isinstance(change, Again):
            error = None if change.error is None else change.error[:ERROR_MAX_CHARS]
            await conn.execute(_AGAIN, lease.job_id, change.pause_s, error)
        elif isinstance(change, TearDown):
            await conn.execute(_TEAR_DOWN, lease.job_id, change.reason[:ERROR_MAX_CHARS])
