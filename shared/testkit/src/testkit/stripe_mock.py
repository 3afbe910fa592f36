"""Stripe's own stripe-mock as a process of the tests: it checks every call against Stripe's published interface.

Built once by Go into the checkout's cache. Without Go it is missing, which CI must not be.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from testkit.waiting_for import eventually

ROOT = Path(__file__).resolve().parents[4]
MODULE = "github.com/stripe/stripe-mock"
VERSION = "v0.203.0"
BUILD_TIMEOUT_S = 100
START_TIMEOUT_S = 20.0


def stripe_mock() -> Path:
    """The binary, built if it is not there yet. Skips by name where it cannot be had; fails in CI."""
    folder = ROOT / ".cache" / "go" / "bin" / VERSION
    binary = folder / "stripe-mock"
    if binary.is_file():
        return binary
    go = shutil.which("go")
    if go is None:
        _missing("stripe-mock is not here: it is built by Go, which is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(go), "install", f"{MODULE}@{VERSION}"]
    try:
        subprocess.run(  # noqa: S603 - our own fixed program
            command, env=os.environ | {"GOBIN": str(folder)}, check=True, capture_output=True, timeout=BUILD_TIMEOUT_S
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        _missing(f"stripe-mock cannot be built: {said[-1] if said else type(error).__name__}")
    return binary


@asynccontextmanager
async def running(binary: Path) -> AsyncIterator[str]:
    """Its address, for as long as the block runs."""
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        binary, "-http-addr", f"127.0.0.1:{port}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:

            async def answers() -> bool:
                if process.returncode is not None:
                    pytest.fail(f"stripe-mock ended with {process.returncode}")
                try:
                    return (await client.get("/v1/charges")).status_code == 401
                except httpx.TransportError:
                    return False

            await eventually(answers, START_TIMEOUT_S)
        yield url
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; CI must have it")
    pytest.skip(reason)
