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
import structlog

from chassis.bus import Bus, open_bus
from chassis.bus.retry import Backoff
from chassis.clock import Clock, SystemClock
from chassis.errors import OperationalError
from chassis.outbox import OutboxSource
from chassis.postgres import open_pool
from chassis.relay import Relay, RelaySource
from chassis.runtime import StopSignal, Task
from chassis.settings import SettingsError
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
from ledger.settings import LedgerSettings, credit_terms

POOL_MAX = 12
"""The engine, its retries, the projector, two relays, the consumer, and reads over HTTP."""

log = structlog.get_logger("bootstrap")


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
    """Everything connected. Raises SettingsError with one line when the start is in vain."""
    terms = credit_terms(settings.marketplace_config)
    pool = await _open_database(settings)
    try:
        bus = await _open_bus(settings)
        try:
            yield make_parts(settings, terms, pool, bus)
        finally:
            await bus.close()
    finally:
        await pool.close()


def make_parts(settings: LedgerSettings, terms: CreditTerms, pool: asyncpg.Pool[Any], bus: Bus) -> Parts:
    """The parts on what is connected already."""
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
    return {
        "relay-log": _relay_task(parts, LogSource(parts.store, parts.mapper, parts.terms.asset), parts.log_grew),
        "relay-outbox": _relay_task(parts, OutboxSource(), None),
        "journal": projector.run,
        "early-messages": parts.engine.run_waiting,
        "housekeeping": Housekeeping(parts.pool, parts.clock).run,
    }


def _relay_task(parts: Parts, source: RelaySource, wakeup: asyncio.Event | None) -> Task:
    async def relay(stop: StopSignal) -> None:
        producer = parts.bus.producer(f"ledger-{source.name}")
        backoff = Backoff()
        try:
            while not stop.is_set():
                try:
                    await producer.start()
                    break
                except OperationalError as error:
                    log.warning("producer_start_failed", error=error.reason)
                    await stop.wait_for(backoff.next_s())
            await Relay(parts.pool, producer, source, wakeup=wakeup).run(stop)
        finally:
            await producer.close()

    return relay


async def _open_database(settings: LedgerSettings) -> asyncpg.Pool[Any]:
    try:
        return await open_pool(
            settings.database_url.get_secret_value(), min_size=2, max_size=POOL_MAX, application_name=settings.service
        )
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # Only the kind of the error: its text may hold the address with the password.
        raise SettingsError(f"DATABASE_URL: the database cannot be reached ({type(error).__name__})") from error


async def _open_bus(settings: LedgerSettings) -> Bus:
    try:
        return await open_bus(settings.bus_url.get_secret_value())
    except OperationalError as error:
        raise SettingsError("BUS_URL: the bus cannot be reached") from error
