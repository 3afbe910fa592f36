"""PostgreSQL and Kafka in containers, by testcontainers, from any image that answers to what the public ones do.

Ports are chosen before the start and published on the loopback address only, so that what a broker says of itself is
right, and a broker that was stopped comes back where it was. Decides nothing: see testkit.postgres and testkit.kafka.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from docker.errors import NotFound
from testcontainers.core.container import DockerContainer

from embedded.kafka import broker_settings, brokers_at, new_cluster_id
from embedded.ports import LOOPBACK, free_port, free_ports
from testkit.engine import engine, session_labels, sweep

START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 30
POLL_S = 0.05
LOG_LINES_SHOWN = 30
SHARED_MEMORY = "256m"

POSTGRES_PORT = 5432
POSTGRES_USER = "postgres"
# In memory, and open to whomever the image runs as.
POSTGRES_MOUNT = "/var/lib/gridledger-test"

INTERNAL_PORT, CONTROLLER_PORT = 9094, 9093
SMALL_JVM = {"KAFKA_HEAP_OPTS": "-Xms64m -Xmx256m", "KAFKA_JVM_PERFORMANCE_OPTS": "-XX:+UseSerialGC"}
KAFKA_LIBRARIES = "/opt/kafka/libs"


class ContainerFailed(Exception):
    """A container ended or was never ready; the text holds the last that it said."""


class PostgresContainer:
    """A PostgreSQL whose data is in memory; nothing is synced. ``settings`` are PostgreSQL's own."""

    def __init__(self, image: str, settings: Mapping[str, str]) -> None:
        sweep()
        self._port, password = free_port(), secrets.token_hex(8)
        self.superuser_dsn = f"postgresql://{POSTGRES_USER}:{password}@{LOOPBACK}:{self._port}/postgres"
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._container = (
            _container(image, {POSTGRES_PORT: self._port}, shm_size=SHARED_MEMORY)
            .with_envs(POSTGRES_USER=POSTGRES_USER, POSTGRES_PASSWORD=password, POSTGRES_DB="postgres")
            .with_env("PGDATA", f"{POSTGRES_MOUNT}/data")
            .with_tmpfs_mount(POSTGRES_MOUNT, "rw,mode=1777")
            .with_command(["postgres", *arguments])
        )

    def start(self, answers: Callable[[str], bool]) -> str:
        """Start; answers the superuser's DSN once ``answers`` says so of it. Raises ContainerFailed."""
        _start(self._container, lambda: answers(self.superuser_dsn))
        return self.superuser_dsn

    def stop(self) -> None:
        """End it and forget the data."""
        self._container.stop()


class KafkaContainers:
    """A cluster of containers in a network of their own; implements testkit.kafka.RunningKafka."""

    def __init__(self, image: str, brokers: int) -> None:
        sweep()
        self._network = f"gridledger-test-{secrets.token_hex(6)}"
        self._ports = free_ports(brokers)
        self._cluster_id = new_cluster_id()
        self._made_network = False
        self._containers = [self._broker(image, broker) for broker in range(brokers)]
        self.url = "kafka://" + ",".join(f"{LOOPBACK}:{port}" for port in self._ports)
        try:
            self._start_all()
            self.label = f"Kafka {self._version()} in a container"
        except BaseException:
            self.close()
            raise

    def stop(self, broker: int = 0) -> None:
        """End a broker orderly; its port and its data stay."""
        self._containers[broker].get_wrapped_container().stop(timeout=STOP_TIMEOUT_S)

    def kill(self, broker: int = 0) -> None:
        """End a broker as a crash would."""
        container = self._containers[broker].get_wrapped_container()
        container.kill()
        container.wait(timeout=STOP_TIMEOUT_S)

    def start(self, broker: int = 0) -> None:
        """Start it again at its port with its data; returns once it answers."""
        self._containers[broker].get_wrapped_container().start()
        self._wait_until_it_knows(broker, 1)

    def close(self) -> None:
        """End all brokers and forget their data."""
        for container in self._containers:
            container.stop()
        if self._made_network:
            with engine() as client, contextlib.suppress(NotFound):
                client.networks.get(self._network).remove()

    def _start_all(self) -> None:
        with engine() as client:
            client.networks.create(self._network, labels=dict(session_labels()))
        self._made_network = True
        for container in self._containers:
            container.start()
        for broker in range(len(self._containers)):
            self._wait_until_it_knows(broker, len(self._containers))

    def _wait_until_it_knows(self, broker: int, brokers: int) -> None:
        _wait_ready(self._containers[broker], lambda: brokers_at(LOOPBACK, self._ports[broker]) >= brokers)

    def _broker(self, image: str, broker: int) -> DockerContainer:
        port, name = self._ports[broker], self._name(broker)
        voters = (f"{other + 1}@{self._name(other)}:{CONTROLLER_PORT}" for other in range(len(self._ports)))
        settings = {
            **broker_settings(len(self._ports)),
            "process.roles": "broker,controller",
            "node.id": str(broker + 1),
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"CLIENT://:{port},INTERNAL://:{INTERNAL_PORT},CONTROLLER://:{CONTROLLER_PORT}",
            "advertised.listeners": f"CLIENT://{LOOPBACK}:{port},INTERNAL://{name}:{INTERNAL_PORT}",
            "inter.broker.listener.name": "INTERNAL",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": "/var/lib/kafka/data",
        }
        variables = {f"KAFKA_{key.replace('.', '_').upper()}": value for key, value in settings.items()}
        return (
            _container(image, {port: port}, network=self._network)
            .with_name(name)
            .with_envs(**variables, **SMALL_JVM, CLUSTER_ID=self._cluster_id)
        )

    def _name(self, broker: int) -> str:
        return f"{self._network}-{broker + 1}"

    def _version(self) -> str:
        listed = self._containers[0].exec(["ls", KAFKA_LIBRARIES]).output.decode(errors="replace")
        found = re.search(r"kafka-server-([0-9.]+)\.jar", listed)
        return found[1] if found else "of unknown version"


def _container(image: str, ports: Mapping[int, int], **arguments: Any) -> DockerContainer:
    """A container of this session; ``ports``: its own → the machine's, on the loopback address."""
    container = DockerContainer(image).with_kwargs(labels=dict(session_labels()), **arguments)
    published: dict[str, Any] = {f"{inside}/tcp": (LOOPBACK, outside) for inside, outside in ports.items()}
    container.ports.update(published)
    return container


def _start(container: DockerContainer, ready: Callable[[], bool]) -> None:
    try:
        container.start()
        _wait_ready(container, ready)
    except BaseException:
        container.stop()
        raise


def _wait_ready(container: DockerContainer, ready: Callable[[], bool]) -> None:
    wrapped = container.get_wrapped_container()
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready():
        wrapped.reload()
        if wrapped.status not in ("created", "running"):
            raise ContainerFailed(f"{container.image} ended:\n{_last_words(wrapped)}")
        if time.monotonic() > deadline:
            raise ContainerFailed(f"{container.image} not ready in {START_TIMEOUT_S:.0f} s:\n{_last_words(wrapped)}")
        time.sleep(POLL_S)


def _last_words(wrapped: Any) -> str:
    said: bytes = wrapped.logs(tail=LOG_LINES_SHOWN)
    return said.decode(errors="replace")
