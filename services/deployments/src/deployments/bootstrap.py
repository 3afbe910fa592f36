"""The composition root: connects what is outside and builds the use cases and workers on it.

Knows every adapter and use case; the ways in are built upon it. Holds no logic of its own.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from chassis.bus import Bus
from chassis.ids import Uuid7Factory
from chassis.outbox import OutboxSource
from chassis.runtime import Task
from chassis.starting import relay_task, service_bus, service_pool
from deployments.adapters.catalogue import read_catalogue
from deployments.adapters.grid_http import HttpGrid
from deployments.adapters.job_queue import PostgresJobQueue
from deployments.adapters.publishing import LogSource
from deployments.adapters.records import FencedDesk, RequestRecords
from deployments.adapters.repository import DeploymentRepository
from deployments.application.ports import Catalogue, Grid
from deployments.application.provisioning import Pace, Provisioner
from deployments.application.requesting import RequestTaker
from deployments.application.worker import Worker, WorkerLimits
from deployments.projections.views import Views
from deployments.settings import DeploymentsSettings
from eventstore.postgres import PostgresEventStore

POOL_SPARE = 10
"""Connections beyond the worker's: for the consumer, two relays and HTTP."""

log = structlog.get_logger("bootstrap")


@dataclass(frozen=True)
class Parts:
    """What the tasks are made of."""

    settings: DeploymentsSettings
    pool: asyncpg.Pool[Any]
    bus: Bus
    grid: Grid
    catalogue: Catalogue
    store: PostgresEventStore
    relay_wakeup: asyncio.Event


@asynccontextmanager
async def open_parts(settings: DeploymentsSettings) -> AsyncIterator[Parts]:
    """Everything that runs, also while database or bus are away. Raises SettingsError with one line when the start is
    in vain."""
    catalogue = read_catalogue(settings.marketplace_config)
    pool = await service_pool(settings, max_size=settings.worker_concurrency + POOL_SPARE)
    try:
        bus = await service_bus(settings)
        try:
            async with HttpGrid(str(settings.grid_url), timeout_s=settings.grid_timeout_s) as grid:
                store = PostgresEventStore(pool)
                yield Parts(settings, pool, bus, grid, catalogue, store, asyncio.Event())
        finally:
            await bus.close()
    finally:
        await pool.close()


def make_taker(parts: Parts) -> RequestTaker:
    """Takes requests."""
    return RequestTaker(RequestRecords(DeploymentRepository(parts.store), _queue(parts)), parts.catalogue)


def make_worker(parts: Parts, *, pace: Pace | None = None, limits: WorkerLimits | None = None) -> Worker:
    """Drives the grid."""
    settings = parts.settings
    queue = _queue(parts)
    desk = FencedDesk(parts.pool, DeploymentRepository(parts.store), queue)
    pace = pace or Pace(unknown_after_attempts=settings.unknown_after_attempts)
    provisioner = Provisioner(parts.grid, desk, pace, random.Random())  # noqa: S311 - spreads retries, guards nothing
    return Worker(
        queue,
        provisioner.work,
        owner=f"{socket.gethostname()}-{Uuid7Factory().new()}",
        limits=limits or WorkerLimits(concurrency=settings.worker_concurrency, lease_s=settings.lease_s),
        after_work=parts.relay_wakeup.set,
    )


def make_views(parts: Parts) -> Views:
    """What readers see."""
    return Views(parts.pool)


def relay_tasks(parts: Parts) -> dict[str, Task]:
    """One relay for the log, one for the outbox (dead letters), by name."""
    log_source, outbox = LogSource(parts.store), OutboxSource()
    return {
        "relay-log": relay_task(parts.settings, parts.pool, parts.bus, log_source, parts.relay_wakeup),
        "relay-outbox": relay_task(parts.settings, parts.pool, parts.bus, outbox),
    }


def _queue(parts: Parts) -> PostgresJobQueue:
    return PostgresJobQueue(parts.pool, deadline_s=parts.settings.deployment_deadline_s)
