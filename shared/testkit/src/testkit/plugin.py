"""The pytest plugin of this project: what every test may reach, and the PostgreSQL and the Kafka it runs on.

Folders decide: tests under ``integration`` or ``e2e`` get that marker and may use the loopback network; all others
are unit tests and have no network at all. Where several processes share the tests (``-n``), each has servers of its
own, and a file stays in one. Holds no helper that a test imports: those are in testkit's other modules.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_socket import disable_socket, socket_allow_hosts

from embedded.kafka import KafkaMissing
from embedded.provisioning import DatabaseAccess
from testkit.choosing import refusals
from testkit.kafka import KafkaCluster, KafkaFactory, RunningKafka, given_kafka, new_kafka
from testkit.postgres import DSN_VARIABLE, DatabaseFactory, TestPostgres, start_server

LOOPBACK = ["127.0.0.1", "::1"]
WITH_NETWORK = ("integration", "e2e")
_RAN_ON = pytest.StashKey[set[str]]()
_REFUSALS = pytest.StashKey[set[str]]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark by folder, before ``-m`` selects; keep the tests of a file together, or of a group, whatever shuffles."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.as_posix()))
        for kind in WITH_NETWORK:
            if kind in item.path.parts and item.get_closest_marker(kind) is None:
                item.add_marker(kind)
    yield
    begins: dict[str, int] = {}
    for place, item in enumerate(items):
        begins.setdefault(_group(item), place)
    items.sort(key=lambda item: begins[_group(item)])


def _group(item: pytest.Item) -> str:
    mark = item.get_closest_marker("xdist_group")
    assert mark is not None, "every test was given one"
    return str(mark.args[0])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Close the network for unit tests (AF_UNIX stays: event loops need it), open the loopback for the others."""
    if "unit" in item.path.parts or not any(item.get_closest_marker(kind) for kind in WITH_NETWORK):
        disable_socket(allow_unix_socket=True)
        return
    given = os.environ.get(DSN_VARIABLE)
    hosts = [*LOOPBACK, TestPostgres.host_of(given)] if given else LOOPBACK
    socket_allow_hosts(hosts, allow_unix_socket=True)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RAN_ON] = set()
    config.stash[_REFUSALS] = set()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where this process is one of several, tell the one that shows the summary what it ran on."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        ran_on = session.config.stash[_RAN_ON]
        told["ran_on"], told["refusals"] = sorted(ran_on), list(refusals())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear what one of several processes ran on; one that crashed cannot say it."""
    told = getattr(node, "workeroutput", {})
    node.config.stash[_RAN_ON].update(told.get("ran_on", ()))
    node.config.stash[_REFUSALS].update(told.get("refusals", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what the suite ran on, why not on containers, and how to repeat its order."""
    ran_on, refused = config.stash[_RAN_ON], config.stash[_REFUSALS]
    terminalreporter.write_line(f"ran on: {'; '.join(sorted(ran_on)) or 'no server'}")
    for reason in sorted(refused.union(refusals())):
        terminalreporter.write_line(f"not in a container: {reason}")
    seed = config.getoption("randomly_seed", default=None)
    if seed is not None:
        terminalreporter.write_line(f"random order: --randomly-seed={seed}")


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[TestPostgres]:
    """The session's server: TEST_POSTGRES_DSN, else one of our own that ends with the session."""
    running = start_server()
    server = TestPostgres(running.superuser_dsn, running.origin)
    pytestconfig.stash[_RAN_ON].add(server.label)
    yield server
    server.close()
    running.stop()


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


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[KafkaCluster]:
    """The session's one broker, shared by all tests and stopped by none: TEST_KAFKA_BOOTSTRAP, else one of our own."""
    cluster = given_kafka() or _new_kafka(1, pytestconfig)
    _note_kafka(cluster, pytestconfig)
    yield cluster
    cluster.close()


@pytest.fixture
def make_kafka(pytestconfig: pytest.Config) -> Iterator[KafkaFactory]:
    """``make_kafka(brokers=3)``: a cluster of the test's own, whose brokers it may stop, kill and start."""
    made: list[RunningKafka] = []

    def make(brokers: int = 1) -> KafkaCluster:
        made.append(_new_kafka(brokers, pytestconfig))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


def _new_kafka(brokers: int, config: pytest.Config) -> RunningKafka:
    try:
        cluster = new_kafka(brokers)
    except KafkaMissing as missing:
        pytest.skip(str(missing))
    _note_kafka(cluster, config)
    return cluster


def _note_kafka(cluster: KafkaCluster, config: pytest.Config) -> None:
    config.stash[_RAN_ON].add(cluster.label)
