"""The Kafka that a test session runs on, and clusters of a test's own whose brokers it may stop, kill and start.

The shared one is TEST_KAFKA_BOOTSTRAP (``host:port[,…]`` of brokers made for tests) where that is given; all others are
containers of TEST_KAFKA_IMAGE, or else plain JVM processes. Never used by the product.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Protocol

from embedded.kafka import SMALL_JVM, KafkaProcesses, installed_kafka
from testkit.choosing import choose_image
from testkit.leftovers import remove_leftover_folders

IMAGE_VARIABLE, IMAGE = "TEST_KAFKA_IMAGE", "apache/kafka:4.1.1"
BOOTSTRAP_VARIABLE = "TEST_KAFKA_BOOTSTRAP"
FOLDER_PREFIX = "gridledger-kafka-"


class KafkaCluster(Protocol):
    """One or more brokers, numbered from 0, with a test's hand on each.

    Calls block until they are done: a test whose clients must stay alive meanwhile uses ``asyncio.to_thread``.
    """

    @property
    def url(self) -> str:
        """``kafka://host:port,…``: a BUS_URL without settings."""
        ...

    @property
    def label(self) -> str:
        """For the session's summary, e.g. ``Kafka 4.1.1 as a plain process``."""
        ...

    def stop(self, broker: int = 0) -> None:
        """End a broker orderly; its port and its data stay."""
        ...

    def kill(self, broker: int = 0) -> None:
        """End a broker as a crash would."""
        ...

    def start(self, broker: int = 0) -> None:
        """Start it again at its port with its data; returns once it answers."""
        ...


class RunningKafka(KafkaCluster, Protocol):
    """A cluster as the one who made it holds it."""

    def close(self) -> None:
        """End all brokers and forget their data."""
        ...


class KafkaFactory(Protocol):
    """Makes a cluster of a test's own; it ends with the test."""

    def __call__(self, brokers: int = 1) -> KafkaCluster: ...


def given_kafka() -> RunningKafka | None:
    """The brokers that TEST_KAFKA_BOOTSTRAP names, if it names any."""
    given = os.environ.get(BOOTSTRAP_VARIABLE)
    return GivenKafka(given) if given else None


def new_kafka(brokers: int) -> RunningKafka:
    """A cluster of our own, up and ready. Raises CannotBeHad in CI without containers, else KafkaMissing."""
    choice = choose_image(IMAGE_VARIABLE, IMAGE)
    if choice.image is None:
        return ProcessKafka(brokers)
    from testkit.containers import KafkaContainers  # only now: unit tests need no client of an engine

    return KafkaContainers(choice.image, brokers)


class GivenKafka:
    """Somebody else's brokers: used by all tests, stopped by none."""

    def __init__(self, bootstrap: str) -> None:
        self.url = f"kafka://{bootstrap}"
        self.label = f"Kafka given at {bootstrap}"

    def stop(self, broker: int = 0) -> None:
        """Refused."""
        raise AssertionError(f"{BOOTSTRAP_VARIABLE} names brokers that belong to others; use make_kafka to stop some")

    kill = start = stop

    def close(self) -> None:
        """Nothing is ours."""


class ProcessKafka:
    """Plain JVM processes on a throw-away folder. Raises KafkaMissing where Java or the jars cannot be had."""

    def __init__(self, brokers: int) -> None:
        installation = installed_kafka()
        parent = Path(tempfile.gettempdir())
        remove_leftover_folders(parent, FOLDER_PREFIX)
        self._folder = parent / f"{FOLDER_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self._cluster = KafkaProcesses(installation, self._folder, brokers=brokers, jvm=SMALL_JVM)
        self.url = self._cluster.url
        self.label = f"Kafka {installation.version} as a plain process"
        try:
            self._cluster.start_all()
        except BaseException:
            self.close()
            raise

    def stop(self, broker: int = 0) -> None:
        """End a broker orderly; its port and its data stay."""
        self._cluster.stop(broker)

    def kill(self, broker: int = 0) -> None:
        """End a broker as a crash would."""
        self._cluster.kill(broker)

    def start(self, broker: int = 0) -> None:
        """Start it again at its port with its data; returns once it answers."""
        self._cluster.start(broker)

    def close(self) -> None:
        """End all brokers and remove the folder."""
        self._cluster.close()
        shutil.rmtree(self._folder, ignore_errors=True)
