"""A service as a process of its own: started, spoken to, told to stop. Never used by the product."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from embedded.ports import LOOPBACK, free_port
from testkit.waiting_for import eventually

UP_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 40.0
"""Longer than a process may take to finish what it has begun."""


class ProcessEnded(Exception):
    """It should serve, and it is gone."""


@dataclass(frozen=True)
class Served:
    """A process that serves, and a client that shows it the service token."""

    process: Process
    http: httpx.AsyncClient

    async def is_ready(self) -> bool:
        """Whether it is fit for traffic. Raises ProcessEnded."""
        _refuse_ended(self.process)
        return (await self.http.get("/readyz")).status_code == httpx.codes.OK

    async def stopped(self) -> int:
        """Tell it to stop; answers its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)


@asynccontextmanager
async def serving(module: str, environment: Mapping[str, str]) -> AsyncIterator[Served]:
    """``python -m <module> serve`` from the moment at which it answers at all; killed at the end if it still runs."""
    port = free_port()
    told = {"PATH": os.environ["PATH"], **environment, "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, "serve", env=told)
    headers = {"authorization": f"Bearer {environment['SERVICE_TOKEN']}"}
    try:
        async with httpx.AsyncClient(
            base_url=f"http://{LOOPBACK}:{port}", headers=headers, timeout=ANSWER_TIMEOUT_S, trust_env=False
        ) as http:

            async def is_up() -> bool:
                _refuse_ended(process)
                try:
                    return (await http.get("/healthz")).status_code == httpx.codes.OK
                except httpx.TransportError:
                    return False

            await eventually(is_up, UP_TIMEOUT_S)
            yield Served(process, http)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _refuse_ended(process: Process) -> None:
    if process.returncode is not None:
        raise ProcessEnded(f"exit code {process.returncode}")
