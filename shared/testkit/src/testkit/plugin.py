"""The pytest plugin of this project: what every test may reach, and the PostgreSQL it runs on.

Folders decide: tests under ``integration`` or ``e2e`` get that marker and may use the loopback network; all others
are unit tests and have no network at all. Holds no helper that a test imports: those are in testkit's other modules.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_socket import disable_socket, socket_allow_hosts

from embedded.provisioning import DatabaseAccess
from testkit.postgres import DSN_VARIABLE, DatabaseFactory, EmbeddedForTests, TestPostgres

LOOPBACK = ["127.0.0.1", "::1"]
WITH_NETWORK = ("integration", "e2e")
_SERVER = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder, before ``-m`` selects."""
    for item in items:
        for kind in WITH_NETWORK:
            if kind in item.path.parts and item.get_closest_marker(kind) is None:
                item.add_marker(kind)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Close the network for unit tests (AF_UNIX stays: event loops need it), open the loopback for the others."""
    if "unit" in item.path.parts or not any(item.get_closest_marker(kind) for kind in WITH_NETWORK):
        disable_socket(allow_unix_socket=True)
        return
    given = os.environ.get(DSN_VARIABLE)
    hosts = [*LOOPBACK, TestPostgres.host_of(given)] if given else LOOPBACK
    socket_allow_hosts(hosts, allow_unix_socket=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what the suite ran on."""
    terminalreporter.write_line(f"ran on: {config.stash.get(_SERVER, 'no database')}")


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[TestPostgres]:
    """The session's server: TEST_POSTGRES_DSN, else an embedded one that ends with the session."""
    given = os.environ.get(DSN_VARIABLE)
    embedded = None if given else EmbeddedForTests()
    server = TestPostgres(given or _started(embedded), "given" if given else "embedded, fsync off")
    pytestconfig.stash[_SERVER] = server.label
    yield server
    server.close()
    if embedded is not None:
        embedded.stop()


def _started(embedded: EmbeddedForTests | None) -> str:
    assert embedded is not None
    return embedded.start()


@pytest.fixture
def make_database(postgres_server: TestPostgres) -> Iterator[DatabaseFactory]:
    """A factory of fresh databases: ``make_database("ledger", migrations=path)``; dropped when the test ends."""
    made: list[str] = []

    def make(service: str = "database", *, migrations: Path | None = None) -> DatabaseAccess:
        database = postgres_server.make_database(service, migrations)
        made.append(database.name)
        return database

    yield make
    for name in made:
        postgres_server.drop(name)


@pytest.fixture
def database(make_database: DatabaseFactory) -> DatabaseAccess:
    """A fresh, empty database with an owner's and an app's role."""
    return make_database()
