"""What all tests of this service share: no noise of logs, and processes that end with their test."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from testkit.waiting_for import eventually


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    with capture_logs():
        yield


class Processes:
    """Processes that a test starts; whatever is left is killed at its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self._folder / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env={**os.environ, "LOG_FORMAT": "json", **environment},
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        self._running.append(process)
        return process

    async def simulator(self, *, provision_s: float) -> str:
        """A simulated grid; answers its URL once it serves."""
        port = free_port()
        storage = str(self._folder / "grid.sqlite3")
        self.start(
            "embedded.grid_simulator", "--port", str(port), "--storage", storage, "--provision-s", str(provision_s)
        )
        url = f"http://127.0.0.1:{port}"
        await eventually(lambda: answers(f"{url}/health"))
        return url

    def log(self) -> str:
        """All that they said so far."""
        return (self._folder / "processes.log").read_text()

    def end(self) -> None:
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait(10)


async def answers(url: str) -> bool:
    """Whether something serves there."""
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(url)).status_code == 200
        except httpx.TransportError:
            return False


def free_port() -> int:
    """A port that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    opened = Processes(tmp_path)
    yield opened
    opened.end()


@pytest.fixture
def port() -> int:
    """A port of the loopback that is free at this moment."""
    return free_port()
