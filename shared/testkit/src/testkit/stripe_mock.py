"""Stripe's own stripe-mock as a process of the tests: it checks every call against Stripe's published interface.

Its program comes by testkit.registry_programs.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from embedded.ports import free_ports
from testkit.registry_programs import ProgramMissing, go_program, skip_or_fail
from testkit.waiting_for import eventually

MODULE = "github.com/stripe/stripe-mock"
VERSION = "v0.203.0"
START_TIMEOUT_S = 60.0


def program() -> Path:
    """Raises ProgramMissing."""
    return go_program(MODULE, VERSION)


@asynccontextmanager
async def running() -> AsyncIterator[str]:
    """Its address, for as long as the block runs. Skips where its program cannot be had, but in CI."""
    port, tls_port = free_ports(2)
    # Not told where, it would also serve TLS at one port of every address, which two of them cannot share.
    places = ("-http-addr", f"127.0.0.1:{port}", "-https-addr", f"127.0.0.1:{tls_port}")
    process = await asyncio.create_subprocess_exec(
        _program_or_skip(), *places, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
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


def _program_or_skip() -> Path:
    try:
        return program()
    except ProgramMissing as missing:
        skip_or_fail(missing)
