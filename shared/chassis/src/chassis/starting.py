"""What every service does to start: connect its database and its bus, migrate, run its relays.

Whatever makes a start vain is a SettingsError with one line that names the setting, never its value.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from chassis.bus import Bus, open_bus
from chassis.bus.port import Producer
from chassis.bus.retry import Backoff
from chassis.errors import OperationalError
from chassis.migrate import MigrationError, migrate
from chassis.postgres import open_pool
from chassis.relay import Relay, RelaySource
from chassis.runtime import StopSignal, Task
from chassis.settings import ServiceSettings, SettingsError

log = structlog.get_logger(__name__)


async def connect_database(settings: ServiceSettings, *, min_size: int = 1, max_size: int) -> asyncpg.Pool[Any]:
    """The pool on the service's own database. Raises SettingsError."""
    try:
        return await open_pool(
            settings.database_url.get_secret_value(),
            min_size=min_size,
            max_size=max_size,
            application_name=settings.service,
        )
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # Only the kind of the error: its text may hold the address with the password.
        raise SettingsError(f"DATABASE_URL: the database cannot be reached ({type(error).__name__})") from error


async def connect_bus(settings: ServiceSettings) -> Bus:
    """The bus. Raises SettingsError."""
    try:
        return await open_bus(settings.bus_url.get_secret_value())
    except OperationalError as error:
        raise SettingsError("BUS_URL: the bus cannot be reached") from error


async def migrate_database(settings: ServiceSettings, migrations: Path) -> int:
    """Bring the database up to date, as its owner, and print what was applied; answers the exit code.

    Raises SettingsError.
    """
    if settings.migration_database_url is None:
        raise SettingsError(f"{settings.service}: MIGRATION_DATABASE_URL is not set")
    try:
        applied = await migrate(settings.migration_database_url.get_secret_value(), migrations)
    except (MigrationError, OSError, asyncpg.PostgresError) as error:
        raise SettingsError(f"{settings.service}: migrations stopped: {error}") from error
    print("\n".join(applied) or "up to date")
    return 0


def relay_task(
    settings: ServiceSettings,
    pool: asyncpg.Pool[Any],
    bus: Bus,
    source: RelaySource,
    wakeup: asyncio.Event | None = None,
) -> Task:
    """A task that publishes ``source``, on a producer of its own, until stopped."""

    async def relay(stop: StopSignal) -> None:
        producer = bus.producer(f"{settings.service}-{source.name}")
        try:
            await _start(producer, stop)
            await Relay(pool, producer, source, wakeup=wakeup).run(stop)
        finally:
            await producer.close()

    return relay


async def _start(producer: Producer, stop: StopSignal) -> None:
    """A bus that is away at the start is waited for: what is stored meanwhile is published later."""
    backoff = Backoff()
    while not stop.is_set():
        try:
            await producer.start()
        except OperationalError as error:
            log.warning("producer_start_failed", error=error.reason)
            await stop.wait_for(backoff.next_s())
        else:
            return
