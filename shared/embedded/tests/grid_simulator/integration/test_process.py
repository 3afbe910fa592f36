"""The simulator as a process: killed without warning, it still knows what it answered."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from testkit.waiting_for import eventually

SPEC = {"kind": "vm", "cpu": 1, "memory_mb": 2048, "disk_gb": 25}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def simulator(port: int, storage: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    arguments = ["--port", str(port), "--storage", str(storage), *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "embedded.grid_simulator", *arguments],
        env={**os.environ, "LOG_FORMAT": "json"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.asyncio
async def test_it_survives_kill_9(tmp_path: Path) -> None:
    port, storage = free_port(), tmp_path / "deep" / "grid.sqlite3"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        with simulator(port, storage, "--provision-s", "0"):
            await eventually(lambda: ready(client))
            created = await client.put("/deployments/one", json=SPEC)
        with simulator(port, storage, "--provision-s", "0"):
            await eventually(lambda: ready(client))
            found = (await client.get("/deployments/one")).json()

    assert created.status_code == 202
    assert found["contract_ids"] == created.json()["contract_ids"]
    assert found["state"] == "ok"


@pytest.mark.asyncio
async def test_it_ends_on_a_signal(tmp_path: Path) -> None:
    port = free_port()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        with simulator(port, tmp_path / "grid.sqlite3") as process:
            await eventually(lambda: ready(client))
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0


def test_a_storage_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with simulator(free_port(), tmp_path / "file" / "grid.sqlite3") as process:
        assert process.wait(timeout=20) == 1
        assert process.stderr is not None
        lines = process.stderr.read().decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: the grid simulator cannot use")
