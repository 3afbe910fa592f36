"""The PostgreSQL that a test session runs on, and fresh databases in it.

TEST_POSTGRES_DSN (a superuser's DSN of a server made for tests), else a container of TEST_POSTGRES_IMAGE, else the
embedded server; its data in memory where the machine allows. A database is a copy of a template that is made once per
session. Never used by the product.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import asyncpg

from chassis.migrate import migrate
from embedded.postgres_server import SETTINGS, PostgresServer
from embedded.provisioning import (
    DatabaseAccess,
    access,
    ensure_database,
    ensure_roles,
    identifier,
    restrict_connections,
)
from testkit.choosing import choose_image
from testkit.leftovers import remove_leftover_folders
from testkit.loop_thread import LoopThread

DSN_VARIABLE = "TEST_POSTGRES_DSN"
IMAGE_VARIABLE, IMAGE = "TEST_POSTGRES_IMAGE", "postgres:17"
FOLDER_PREFIX = "gridledger-test-"
# Nothing of a test outlives a crash of the machine, so nothing need be synced.
TEST_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "autovacuum_naptime": "10min",
}
# What the container's own entrypoint decides about.
PLACES = ("listen_addresses", "unix_socket_directories")
CONNECT_TIMEOUT_S = 2.0
# Roles belong to the whole server and test sessions may share a given one: the same for all, and no secret.
ROLE_PASSWORD = "test-only"  # noqa: S105


class DatabaseFactory(Protocol):
    """Makes a fresh database for a test; it is dropped when the test ends."""

    def __call__(self, service: str = "database", *, migrations: Path | None = None) -> DatabaseAccess: ...


@dataclass(frozen=True, slots=True)
class _Template:
    database: str
    roles: Mapping[str, str]


class TestPostgres:
    """One server and what the session made on it. Synchronous: fixtures of any scope and any loop can use it."""

    __test__ = False

    def __init__(self, superuser_dsn: str, origin: str) -> None:
        self.superuser_dsn = superuser_dsn
        self._origin = origin
        self._session = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._templates: dict[tuple[str, Path | None], _Template] = {}
        self._thread = LoopThread("test-postgres")
        self._connection: asyncpg.Connection = self._thread.call(asyncpg.connect(superuser_dsn))
        self._version: str = self._thread.call(self._connection.fetchval("SHOW server_version"))

    @staticmethod
    def host_of(dsn: str) -> str:
        """The host of a DSN, for the list of hosts that a test may reach."""
        return urlsplit(dsn).hostname or "127.0.0.1"

    @property
    def label(self) -> str:
        """For the session's summary, e.g. ``PostgreSQL 18.6 embedded, fsync off``."""
        return f"PostgreSQL {self._version.split()[0]} {self._origin}"

    def make_database(self, service: str = "database", migrations: Path | None = None) -> DatabaseAccess:
        """A fresh database with the roles ``<service>_owner`` and ``<service>_app``, migrated when asked for."""
        return self._thread.call(self._make(service, migrations))

    def drop(self, database: str) -> None:
        """Drop a database although somebody may still be connected."""
        statement = f"DROP DATABASE IF EXISTS {identifier(database)} WITH (FORCE)"
        self._thread.call(self._connection.execute(statement))

    def close(self) -> None:
        """Drop the templates and leave."""
        for template in self._templates.values():
            self.drop(template.database)
        self._thread.call(self._connection.close())
        self._thread.close()

    async def _make(self, service: str, migrations: Path | None) -> DatabaseAccess:
        key = (service, migrations)
        if key not in self._templates:
            self._templates[key] = await self._make_template(service, migrations)
        template = self._templates[key]
        name = self._new_name(service)
        await self._connection.execute(f"CREATE DATABASE {identifier(name)} TEMPLATE {identifier(template.database)}")
        owner, app = template.roles
        await restrict_connections(self._connection, name, owner, app)
        return access(self.superuser_dsn, name, template.roles)

    async def _make_template(self, service: str, migrations: Path | None) -> _Template:
        owner, app = f"{service}_owner", f"{service}_app"
        passwords = {owner: ROLE_PASSWORD, app: ROLE_PASSWORD}
        roles = await ensure_roles(self._connection, service, passwords)
        name = self._new_name(f"{service}_template")
        made = await ensure_database(self._connection, self.superuser_dsn, name, roles)
        if migrations is not None:
            await migrate(made.owner_dsn, migrations)
        return _Template(name, roles)

    def _new_name(self, service: str) -> str:
        return f"t_{re.sub('[^a-z0-9_]', '_', service.lower())[:30]}_{self._session}_{next(self._numbers)}"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server for the session: how its superuser reaches it, what it is, and how it is ended."""

    superuser_dsn: str
    origin: str
    stop: Callable[[], None]


def start_server() -> RunningServer:
    """The session's server. Raises CannotBeHad in CI without a container."""
    given = os.environ.get(DSN_VARIABLE)
    if given:
        return RunningServer(given, "given", lambda: None)
    choice = choose_image(IMAGE_VARIABLE, IMAGE)
    if choice.image is None:
        embedded = EmbeddedForTests()
        return RunningServer(embedded.start(), "embedded, fsync off", embedded.stop)
    from testkit.containers import PostgresContainer  # only now: unit tests need no client of an engine

    settings = {name: value for name, value in {**SETTINGS, **TEST_SETTINGS}.items() if name not in PLACES}
    container = PostgresContainer(choice.image, settings)
    return RunningServer(container.start(_accepts), "in a container", container.stop)


def _accepts(superuser_dsn: str) -> bool:
    thread = LoopThread("test-postgres-probe")
    try:
        connection = thread.call(asyncpg.connect(superuser_dsn, timeout=CONNECT_TIMEOUT_S))
        thread.call(connection.close())
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    finally:
        thread.close()
    return True


class EmbeddedForTests:
    """The embedded server on a throw-away folder, in memory where there is a /dev/shm."""

    def __init__(self) -> None:
        parent = next((path for path in (Path("/dev/shm"),) if os.access(path, os.W_OK)), None)  # noqa: S108
        parent = parent or Path(tempfile.gettempdir())
        remove_leftover_folders(parent, FOLDER_PREFIX)
        self._folder = parent / f"{FOLDER_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self._server = PostgresServer(self._folder, settings=TEST_SETTINGS)

    def start(self) -> str:
        """Start; answers the superuser's DSN."""
        return self._server.start().superuser_dsn

    def stop(self) -> None:
        """Stop and remove the folder."""
        self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
