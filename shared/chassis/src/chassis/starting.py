"""What every service does to start: its database and its bus, migrations, relays.

Whatever makes a start vain is a SettingsError with one line that names the setting, never its value. A database or a
bus that is only away is no such thing: the process is up, and whatever needs them tries again.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from chassis.bus import Bus, bus_at
from chassis.bus.port import BusRefused, Producer
from chassis.bus.retry import Backoff
from chassis.errors import OperationalError
from chassis.migrate import MigrationError, migrate
from chassis.postgres import is_transient, open_pool
from chassis.relay import Relay, RelaySource
from chassis.relay_backlog import backlog_shown
from chassis.runtime import StopSignal, Task
from chassis.settings import ServiceSettings, SettingsError

FIRST_TRY_S = 2.0
"""How long a start is held up by asking once what is there: what is wrong is known before the process is up."""

log = structlog.get_logger(__name__)


async def connect_database(settings: ServiceSettings, *, max_size: int) -> asyncpg.Pool[Any]:
    """The pool on the service's own database for a command, which is in vain without. Raises SettingsError."""
    try:
        return await open_pool(
            settings.database_url.get_secret_value(), max_size=max_size, application_name=settings.service
        )
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # Only the kind of the error: its text may hold the address with the password.
        raise SettingsError(f"DATABASE_URL: the database cannot be reached ({type(error).__name__})") from error


async def service_pool(settings: ServiceSettings, *, max_size: int) -> asyncpg.Pool[Any]:
    """The pool on the service's own database for a process that serves, also while the database is away.

    Raises SettingsError for a URL that is wrong, and when the database does not let us in.
    """
    pool = await open_pool(
        settings.database_url.get_secret_value(), min_size=0, max_size=max_size, application_name=settings.service
    )
    try:
        async with asyncio.timeout(FIRST_TRY_S):
            await pool.fetchval("SELECT true")
    except Exception as error:
        # Only the kind of the error: its text may hold the address with the password.
        kind = type(error).__name__
        if is_transient(error) and not isinstance(error, ssl.SSLCertVerificationError):
            log.warning("database_away", error=kind)
            return pool
        await pool.close()
        raise SettingsError(f"DATABASE_URL: the database cannot be used ({kind})") from error
    return pool


async def service_bus(settings: ServiceSettings) -> Bus:
    """The bus for a process that serves, also while the bus is away: its producers and consumers try again.

    Raises SettingsError for a URL that is wrong, and when the bus does not let us in.
    """
    bus = await bus_at(settings.bus_url.get_secret_value())
    try:
        async with asyncio.timeout(FIRST_TRY_S):
            await bus.reach()
    except (OperationalError, TimeoutError) as error:
        if isinstance(error, BusRefused):
            await bus.close()
            raise SettingsError(f"BUS_URL: the bus cannot be used ({error.reason})") from error
        log.warning("bus_away", error=str(error) or "no answer in time")
    except BaseException:
        await bus.close()
        raise
    return bus


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
    except (asyncpg.InterfaceError, ValueError) as error:
        # Only the kind of the error: its text may hold the address with the password.
        raise SettingsError(f"MIGRATION_DATABASE_URL cannot be used ({type(error).__name__})") from error
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
            async with backlog_shown(pool, source):
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
