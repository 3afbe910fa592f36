"""Plain processes: they answer once started, say in one line why not, and none outlives whoever started them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedded.kafka import SMALL_JVM, KafkaError, KafkaInstallation, KafkaMissing, KafkaProcesses, installed_kafka
from embedded.kafka.probe import brokers_at
from testkit.waiting_for import eventually

LOOPBACK = "127.0.0.1"
ENDED_TIMEOUT_S = 15.0
OWNER = """
import sys
from pathlib import Path
from embedded.kafka import SMALL_JVM, KafkaProcesses, installed_kafka
cluster = KafkaProcesses(installed_kafka(), Path(sys.argv[1]), jvm=SMALL_JVM)
cluster.start_all()
print(cluster.nodes[0].port, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def installation() -> KafkaInstallation:
    try:
        return installed_kafka()
    except KafkaMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@contextmanager
def answering(reply: bytes) -> Iterator[int]:
    """Something that is no Kafka: whoever comes is sent ``reply`` and away."""
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            with server.accept()[0] as caller:
                caller.recv(1024)
                caller.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_a_broker_that_cannot_start_says_why(installation: KafkaInstallation, tmp_path: Path) -> None:
    cluster = KafkaProcesses(installation, tmp_path, jvm=SMALL_JVM)
    try:
        with socket.create_server((LOOPBACK, cluster.nodes[0].port)), pytest.raises(KafkaError) as refused:
            cluster.start_all()
    finally:
        cluster.close()

    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("Kafka did not start:")
    assert "server.log" in str(refused.value)


@contextmanager
def owner_of_a_cluster(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that started a cluster; its first line is the broker's port."""
    command = [sys.executable, "-c", OWNER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        yield owner


@pytest.mark.asyncio
async def test_no_broker_outlives_a_killed_owner(installation: KafkaInstallation, tmp_path: Path) -> None:
    with owner_of_a_cluster(tmp_path) as owner:
        assert owner.stdout is not None
        port = int(owner.stdout.readline())
        assert brokers_at(LOOPBACK, port) == 1
        assert running_on(tmp_path)

        owner.send_signal(signal.SIGKILL)

    await eventually(lambda: not running_on(tmp_path), ENDED_TIMEOUT_S)
    assert brokers_at(LOOPBACK, port) == 0


def running_on(folder: Path) -> list[str]:
    """Processes that were started with that folder in their arguments."""
    commands = ((path, path / "cmdline") for path in Path("/proc").iterdir() if path.name.isdigit())
    return [path.name for path, command in commands if os.fsencode(folder) in read_gone(command)]


def read_gone(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_nobody_is_no_broker() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
    assert brokers_at(LOOPBACK, port) == 0


@pytest.mark.parametrize(
    "reply",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 12, b"\0\0\0\x08\0\0\0\x01" + b"\xff" * 4],
    ids=["nothing", "http", "zeros", "negative"],
)
def test_who_answers_otherwise_is_no_broker(reply: bytes) -> None:
    with answering(reply) as port:
        assert brokers_at(LOOPBACK, port) == 0


def test_who_accepts_and_stays_silent_is_given_up_on() -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        assert brokers_at(LOOPBACK, silent.getsockname()[1], timeout_s=0.2) == 0
