"""A cluster of plain processes that ends with us: brokers are stopped, killed and started again one by one.

Ports and data stay for as long as the cluster lives. Not for use by several threads at once on one broker.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from embedded.kafka.installation import KafkaError, KafkaInstallation
from embedded.kafka.node import JVM, KafkaNode, command, new_cluster_id, prepare
from embedded.kafka.probe import brokers_at
from embedded.ports import LOOPBACK, free_ports
from embedded.watchdog import Watchdog

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.05
LOG_NAME = "server.log"


class KafkaProcesses:
    """``brokers`` processes that keep their data in ``folder``; broker numbers in calls start at 0.

    Ports are free ones. ``settings`` answers a broker's properties that win over ours, ``passwords`` are those of
    users for SCRAM-SHA-512. Always ``close``: until then the processes run.
    """

    def __init__(
        self,
        installation: KafkaInstallation,
        folder: Path,
        *,
        brokers: int = 1,
        settings: Callable[[KafkaNode], Mapping[str, str]] = lambda _: {},
        passwords: Mapping[str, str] | None = None,
        jvm: Sequence[str] = JVM,
    ) -> None:
        self.version = installation.version
        self._installation = installation
        self._settings = settings
        self._passwords = passwords
        self._jvm = jvm
        self.nodes = _nodes(folder, brokers)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._watchdog = Watchdog()

    @property
    def url(self) -> str:
        """The BUS_URL that names every broker."""
        return f"kafka://{','.join(node.address for node in self.nodes)}"

    def start_all(self) -> None:
        """Format what is new, start all brokers, wait until each knows all others. Raises KafkaError."""
        cluster_id = new_cluster_id()
        with ThreadPoolExecutor(len(self.nodes)) as formatting:
            prepared = formatting.map(
                lambda node: prepare(
                    self._installation, node, self.nodes, cluster_id, self._settings(node), self._passwords
                ),
                self.nodes,
            )
            list(prepared)
        for broker in range(len(self.nodes)):
            self._spawn(broker)
        for broker in range(len(self.nodes)):
            self._wait_ready(broker, len(self.nodes))

    def start(self, broker: int = 0) -> None:
        """Start a broker that was stopped or killed; returns once it answers. Raises KafkaError."""
        assert self.returncode(broker) is not None, f"broker {broker} runs already"
        self._spawn(broker)
        self._wait_ready(broker, 1)

    def stop(self, broker: int = 0) -> None:
        """End a broker orderly: it gives its partitions away first, where somebody can take them."""
        process = self._processes[broker]
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise KafkaError(f"broker {broker} did not stop within {STOP_TIMEOUT_S:.0f} s and was killed") from None

    def kill(self, broker: int = 0) -> None:
        """End a broker now, as a crash would."""
        self._processes[broker].kill()
        self._processes[broker].wait()

    def returncode(self, broker: int = 0) -> int | None:
        """How the broker's process ended, None while it runs."""
        return self._processes[broker].poll()

    def close(self) -> None:
        """End what still runs, at once; what was written stays in the folder."""
        self._watchdog.close()
        for process in self._processes.values():
            process.wait()

    def _spawn(self, broker: int) -> None:
        node = self.nodes[broker]
        with (node.folder / LOG_NAME).open("ab") as log:
            self._processes[broker] = subprocess.Popen(  # noqa: S603 - our own fixed program
                command(self._installation, node, self._jvm),
                cwd=node.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=self._watchdog.process_group,
            )

    def _wait_ready(self, broker: int, brokers: int) -> None:
        """Until the broker answers and knows that many live ones."""
        node, process = self.nodes[broker], self._processes[broker]
        log = node.folder / LOG_NAME
        deadline = time.monotonic() + START_TIMEOUT_S
        while brokers_at(LOOPBACK, node.port) < brokers:
            if process.poll() is not None:
                raise KafkaError(f"Kafka did not start: {_last_words(node)} (log: {log})")
            if time.monotonic() > deadline:
                raise KafkaError(
                    f"Kafka was not ready within {START_TIMEOUT_S:.0f} s; see {node.folder / 'server.log'}"
                )
            time.sleep(POLL_S)


def _nodes(folder: Path, brokers: int) -> Sequence[KafkaNode]:
    ports = free_ports(2 * brokers)
    pairs = enumerate(zip(ports[:brokers], ports[brokers:], strict=True), start=1)
    return [KafkaNode(number, port, controller, folder / f"broker-{number}") for number, (port, controller) in pairs]


def _last_words(node: KafkaNode) -> str:
    lines = (node.folder / LOG_NAME).read_text(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if "ERROR" in line or "FATAL" in line), "no output")
