"""The composition root: connects what is outside and builds the engine, the relays and the projector on it.

Knows every adapter; the ways in are built upon it. Holds no logic of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from chassis.bus import Bus
from chassis.bus.postgres_log import PostgresLogBus
from chassis.clock import Clock, SystemClock
from chassis.outbox import OutboxSource
from chassis.runtime import Task
from chassis.starting import relay_task, service_bus, service_pool
from eventstore.mapper import EventMapper
from eventstore.postgres import PostgresEventStore
from eventstore.projector import Projector
from ledger.adapters.books import PostgresBooks
from ledger.adapters.housekeeping import Housekeeping
from ledger.adapters.publishing import LogSource
from ledger.application.engine import Engine
from ledger.domain.conversion import CreditTerms
from ledger.domain.events import EVENT_TYPES
from ledger.projections.balances import BooksReader
from ledger.projections.journal import JournalProjection
from ledger.settings import LedgerSettings

POOL_MAX = 12
"""The engine, its retries, the projector, two relays, the consumer, and reads over HTTP."""


@dataclass(frozen=True)
class Parts:
    """What the tasks are made of."""

    settings: LedgerSettings
    terms: CreditTerms
    clock: Clock
    pool: asyncpg.Pool[Any]
    bus: Bus
    store: PostgresEventStore
    mapper: EventMapper
    engine: Engine
    reader: BooksReader
    log_grew: asyncio.Event
    journal_lags: asyncio.Event


@asynccontextmanager
async def open_parts(settings: LedgerSettings) -> AsyncIterator[Parts]:
    """Everything that runs, also while database or bus are away. Raises SettingsError with one line when the start is
    in vain."""
    terms = settings.terms()
    pool = await service_pool(settings, max_size=POOL_MAX)
    try:
        bus = await service_bus(settings)
        try:
            yield make_parts(settings, terms, pool, bus)
        finally:
            await bus.close()
    finally:
        await pool.close()


def make_parts(settings: LedgerSettings, terms: CreditTerms, pool: asyncpg.Pool[Any], bus: Bus) -> Parts:
    """The parts on this database and this bus."""
    clock, store, mapper = SystemClock(), PostgresEventStore(pool), EventMapper(EVENT_TYPES)
    log_grew, journal_lags = asyncio.Event(), asyncio.Event()

    def committed() -> None:
        log_grew.set()
        journal_lags.set()

    engine = Engine(
        PostgresBooks(pool, store, mapper),
        terms,
        clock,
        committed=committed,
        batch_max=settings.batch_max,
        queue_max=settings.queue_max,
    )
    reader = BooksReader(pool, terms.asset)
    return Parts(settings, terms, clock, pool, bus, store, mapper, engine, reader, log_grew, journal_lags)


def engine_tasks(parts: Parts) -> dict[str, Task]:
    """The writer loop and what must run beside it wherever commands are taken."""
    return {"engine": parts.engine.run}


def background_tasks(parts: Parts) -> dict[str, Task]:
    """Relays, projector, retries of early messages, housekeeping; each may run in several replicas."""
    projector = Projector(parts.pool, parts.store, JournalProjection(parts.mapper), wakeup=parts.journal_lags)
    log_source = LogSource(parts.store, parts.mapper, parts.terms.asset)
    return {
        "relay-log": relay_task(parts.settings, parts.pool, parts.bus, log_source, parts.log_grew),
        "relay-outbox": relay_task(parts.settings, parts.pool, parts.bus, OutboxSource()),
        "journal": projector.run,
        "early-messages": parts.engine.run_waiting,
        "allocation": parts.engine.run_allocating,
        **_retention(parts.bus),
        "housekeeping": Housekeeping(parts.pool, parts.clock).run,
    }


def _retention(bus: Bus) -> dict[str, Task]:
    """The bus in PostgreSQL forgets old records because one service makes it; a broker does so by itself."""
    return {"bus-retention": bus.run_retention} if isinstance(bus, PostgresLogBus) else {}
