"""Records what commands lead to: for the consumer in its own transaction, for a worker in one fenced by its lease.

Locks in one order everywhere: the job, the deployment's row, the log's lane.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from chassis.errors import OperationalError
from deployments.adapters.job_queue import PostgresJobQueue
from deployments.adapters.repository import DeploymentRepository
from deployments.application.ports import JobChange, Lease
from deployments.domain.deployment import Command, Deployment, decide
from eventstore.port import VersionConflict


class RequestRecords:
    """See application.ports.Requests."""

    def __init__(self, repository: DeploymentRepository, queue: PostgresJobQueue) -> None:
        self._repository = repository
        self._queue = queue

    async def load(self, conn: Any, deployment_id: str) -> Deployment:
        return await self._repository.load(conn, deployment_id)

    async def record(self, conn: Any, state: Deployment, command: Command, *, job_for: str | None) -> Deployment:
        events = decide(state, command)
        if events and job_for is not None:
            await self._queue.add(conn, job_for)
        try:
            return await self._repository.save(conn, state, events)
        except VersionConflict as conflict:
            # Somebody recorded the same deployment meanwhile: read again, and decide on what is there then.
            raise OperationalError(str(conflict)) from conflict


class FencedDesk:
    """See application.ports.Desk."""

    def __init__(self, pool: asyncpg.Pool[Any], repository: DeploymentRepository, queue: PostgresJobQueue) -> None:
        self._pool = pool
        self._repository = repository
        self._queue = queue

    async def read(self, lease: Lease) -> Deployment:
        async with self._pool.acquire() as conn:
            return await self._repository.load(conn, lease.deployment_id)

    async def record(self, lease: Lease, command: Command | None, change: JobChange) -> Deployment:
        async with self._pool.acquire() as conn, conn.transaction():
            await self._queue.lock(conn, lease)
            state = await self._repository.load(conn, lease.deployment_id)
            events = () if command is None else decide(state, command)
            await self._queue.change(conn, lease, change)
            return await self._repository.save(conn, state, events)
