"""``make run``: PostgreSQL, migrations, topics, then every process; until Ctrl-C stops all of it in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping

from rich.console import Console

from chassis.bus import open_bus
from chassis.bus.postgres_log import MIGRATIONS as BUS_MIGRATIONS
from chassis.migrate import migrate
from chassis.runtime import StopSignal
from chassis.settings import SettingsError
from contracts.topics import PARTITIONS
from embedded.kept_secrets import kept_secrets
from embedded.postgres_server import PostgresServer, ServerInfo
from embedded.programs import BUS, DATABASES, SERVICES, programs, service_environment
from embedded.provisioning import DatabaseAccess, provision
from embedded.server_account import PostgresServerError
from embedded.stack_settings import StackSettings, read_settings, refuse_taken_ports
from embedded.supervisor import Supervisor

READY_TIMEOUT_S = 90.0
CONNECTIONS_FILE = "connections.env"
"""What operators' commands need to reach the databases while the stack runs; readable by its owner alone."""

Say = Callable[[str, str], None]


class Stack:
    """The whole stack of one data folder."""

    def __init__(self, settings: StackSettings, say: Say) -> None:
        self.settings = settings
        self.secrets: Mapping[str, str] = {}
        self._say = say
        self._postgres = PostgresServer(settings.data_dir / "postgres")

    async def run(self, stop: StopSignal, ready: Callable[[Stack], None]) -> int:
        """Start everything, call ``ready``, and keep it running until stopped; answers the exit code."""
        refuse_taken_ports(self.settings)
        self.secrets = kept_secrets(self.settings.data_dir, self.settings.given)
        info = await asyncio.to_thread(self._postgres.start)
        try:
            self._tell_where(info)
            databases = await self._prepare(info)
            return await self._supervise(databases, stop, ready)
        finally:
            await asyncio.to_thread(self._postgres.stop)

    def _tell_where(self, info: ServerInfo) -> None:
        self._say("launcher", f"PostgreSQL {info.version} as {info.user}, data in {info.data_dir}, port {info.port}")
        self._say("launcher", f"PostgreSQL's programs: {info.binaries_dir}")

    async def _prepare(self, info: ServerInfo) -> Mapping[str, DatabaseAccess]:
        databases = await provision(info.superuser_dsn, DATABASES)
        await migrate(databases[BUS].owner_dsn, BUS_MIGRATIONS)
        async with asyncio.TaskGroup() as group:
            for name in SERVICES:
                group.create_task(self._migrate(name, databases))
        bus = await open_bus(databases[BUS].app_dsn)
        try:
            await bus.ensure_topics(PARTITIONS)
        finally:
            await bus.close()
        self._write_connections(databases)
        return databases

    async def _migrate(self, name: str, databases: Mapping[str, DatabaseAccess]) -> None:
        environment = service_environment(self.settings, self.secrets, databases, name)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", name, "migrate",
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        if process.returncode:
            raise SettingsError(f"{name}: its migrations failed: {output.decode(errors='replace').strip()}")

    def _write_connections(self, databases: Mapping[str, DatabaseAccess]) -> None:
        path = self.settings.data_dir / CONNECTIONS_FILE
        lines = [f"{name.upper()}_DATABASE_URL={access.app_dsn}" for name, access in databases.items()]
        lines += [f"{name.upper()}_MIGRATION_DATABASE_URL={access.owner_dsn}" for name, access in databases.items()]
        lines += [f"BUS_URL={databases[BUS].app_dsn}", f"SERVICE_TOKEN={self.secrets['SERVICE_TOKEN']}"]
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(lines) + "\n")

    async def _supervise(
        self, databases: Mapping[str, DatabaseAccess], stop: StopSignal, ready: Callable[[Stack], None]
    ) -> int:
        supervisor = Supervisor(programs(self.settings, self.secrets, databases), self._say)
        running = asyncio.create_task(supervisor.run(stop))
        guarding = asyncio.create_task(self._guard_postgres(stop))
        try:
            late = await supervisor.wait_ready(stop, READY_TIMEOUT_S)
            if late and not stop.is_set():
                self._say("launcher", f"not ready after {READY_TIMEOUT_S:.0f} s: {', '.join(late)}")
                return 1
            if not stop.is_set():
                ready(self)
            await stop.wait()
            return 0
        finally:
            stop.set()
            await running
            await guarding

    async def _guard_postgres(self, stop: StopSignal) -> None:
        """A database that dies takes the stack down loudly: its port and passwords would be other ones anyway."""
        while not await stop.wait_for(1.0):
            code = self._postgres.returncode()
            if code is not None:
                self._say("launcher", f"PostgreSQL ended with {code}; stopping")
                stop.set()


async def run_stack() -> int:
    """Run the stack in the foreground; answers the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    stop = StopSignal()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def say(name: str, line: str) -> None:
        console.print(f"[dim]{name:>15} |[/dim] ", end="")
        console.print(line, markup=False)

    stack = Stack(read_settings(), say)
    try:
        return await stack.run(stop, lambda ready: _welcome(console, ready))
    except PostgresServerError as error:
        raise SettingsError(str(error)) from error


def _welcome(console: Console, stack: Stack) -> None:
    settings = stack.settings
    rows = {
        "payments-api": f"{settings.url('PAYMENTS_API_PORT')}/api/marketplace/services",
        "webhooks": f"{settings.url('GATEWAY_INGEST_PORT')}/api/webhooks/stripe",
        "ledger": f"{settings.url('LEDGER_PORT')}/v1/trial-balance",
        "deployments": settings.url("DEPLOYMENTS_PORT"),
        "data": str(settings.data_dir),
        "secrets": str(settings.data_dir / "secrets.json"),
    }
    console.print("\n[bold green]Gridledger is running.[/bold green] Ctrl-C stops it.")
    for name, place in rows.items():
        console.print(f"  {name:<13} {place}", markup=False)
    console.print()
