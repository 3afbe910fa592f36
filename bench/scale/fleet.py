"""A stack of which there may be several of each service: databases, bus and grid of its own, replicas by name.

Owns processes and addresses; what is measured on them is the business of the other modules here.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from webhooks import STRIPE_SECRET

from chassis.bus.postgres_log import MIGRATIONS as BUS_MIGRATIONS
from chassis.migrate import migrate
from embedded.ports import free_port
from embedded.postgres_server import PostgresServer
from embedded.provisioning import DatabaseAccess, provision

ROOT = Path(__file__).resolve().parents[2]
MODULES = {"gateway-ingest": "gateway_ingest", "ledger": "ledger", "deployments": "deployments"}
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.05
SESSION_TIMEOUT_S = 6
"""How long a killed replica keeps its partitions."""
PROVISION_S = 0.05
"""How long the simulated grid takes for a deployment: short, so that it is not what is measured."""


@dataclass(frozen=True)
class Replica:
    """One process of a service."""

    service: str
    port: int
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


class Fleet:
    """Starts and ends replicas on one set of databases and one bus."""

    def __init__(self, access: Mapping[str, DatabaseAccess], bus_url: str, grid_url: str, log: Path) -> None:
        self.access = access
        self.bus_url = bus_url
        self.service_token = secrets.token_hex(16)
        self._grid_url = grid_url
        self._log = log
        self._raw_event_key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.replicas: list[Replica] = []

    def environment(self, service: str) -> dict[str, str]:
        """What a process of ``service`` is told, but its port."""
        database = self.access[MODULES[service]]
        return {
            **os.environ,
            "DATABASE_URL": database.app_dsn,
            "MIGRATION_DATABASE_URL": database.owner_dsn,
            "BUS_URL": self.bus_url,
            "SERVICE_TOKEN": self.service_token,
            "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
            "RAW_EVENT_KEY": self._raw_event_key,
            "GRID_URL": self._grid_url,
            "MARKETPLACE_CONFIG": str(ROOT / "config/marketplace.toml"),
        }

    async def start(self, service: str, count: int = 1) -> list[Replica]:
        """Start ``count`` more of ``service`` and wait until they are ready."""
        started = await asyncio.gather(*(self._start(service) for _ in range(count)))
        await asyncio.gather(*(self._ready(replica) for replica in started))
        return started

    async def end(self, replica: Replica, number: signal.Signals = signal.SIGTERM) -> None:
        """End one, by a signal."""
        self.replicas.remove(replica)
        if replica.process.returncode is None:
            replica.process.send_signal(number)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await replica.process.wait()

    async def end_all(self, service: str | None = None) -> None:
        """End every replica, or every one of a service."""
        chosen = [replica for replica in self.replicas if service in (None, replica.service)]
        await asyncio.gather(*(self.end(replica) for replica in chosen))

    async def run(self, service: str, command: str) -> int:
        """Run an operator's command; answers its exit code."""
        with self._log.open("ab") as log:
            arguments = (sys.executable, "-m", MODULES[service], command, "--json")
            process = await asyncio.create_subprocess_exec(
                *arguments, env=self.environment(service) | {"PORT": "1"}, stdout=log, stderr=log
            )
            return await process.wait()

    @asynccontextmanager
    async def working(self, service: str) -> AsyncIterator[None]:
        """One more process of a service for as long as the block runs: no door, only what it does by itself."""
        command = [sys.executable, "-m", MODULES[service], "worker"]
        process = await _spawn(command, self.environment(service) | {"PORT": "1"}, self._log)
        try:
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    def of(self, service: str) -> list[Replica]:
        """The replicas of a service that run now."""
        return [replica for replica in self.replicas if replica.service == service]

    async def _start(self, service: str) -> Replica:
        port = free_port()
        environment = self.environment(service) | {"PORT": str(port)}
        process = await _spawn([sys.executable, "-m", MODULES[service], "serve"], environment, self._log)
        replica = Replica(service, port, process)
        self.replicas.append(replica)
        return replica

    async def _ready(self, replica: Replica) -> None:
        await _answers(f"{replica.url}/readyz", replica.process)


@asynccontextmanager
async def fleet(folder: Path, bus_url: str | None) -> AsyncIterator[tuple[Fleet, Mapping[str, Any]]]:
    """A fleet without replicas, and a connection to each of its databases; without a bus, on the PostgreSQL log."""
    server = PostgresServer(folder / "postgres", settings={"max_connections": "300"})
    info = await asyncio.to_thread(server.start)
    log = folder / "services.log"
    try:
        access = await provision(info.superuser_dsn, [*MODULES.values(), "bus"])
        for service, module in MODULES.items():
            await migrate(access[module].owner_dsn, ROOT / "services" / service / "migrations")
        bus = access.pop("bus")
        if bus_url is None:
            await migrate(bus.owner_dsn, BUS_MIGRATIONS)
            bus_url = f"{bus.app_dsn}?session_timeout_s={SESSION_TIMEOUT_S}"
        async with _grid(folder, log) as grid_url:
            made = Fleet(access, bus_url, grid_url, log)
            connections = {name: await asyncpg.connect(dsns.app_dsn) for name, dsns in access.items()}
            try:
                yield made, connections
            finally:
                await made.end_all()
                for connection in connections.values():
                    await connection.close()
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def _grid(folder: Path, log: Path) -> AsyncIterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "embedded.grid_simulator", "--port", str(port)]
    command += ["--storage", str(folder / "grid.sqlite3"), "--provision-s", str(PROVISION_S)]
    process = await _spawn(command, dict(os.environ), log)
    try:
        await _answers(f"http://127.0.0.1:{port}/readyz", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> asyncio.subprocess.Process:
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(*command, env=environment, stdout=output, stderr=output)


async def _answers(url: str, process: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client, asyncio.timeout(READY_TIMEOUT_S):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"{url}: the process ended with code {process.returncode}")
            if await _is_ok(client, url):
                return
            await asyncio.sleep(POLL_S)


async def _is_ok(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
