"""The whole stack on one machine: PostgreSQL, bus, migrations, topics, every process; until it is stopped in order.

Builds the parts and decides when which of them starts and ends. One stack at a time on a data folder.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from rich.console import Console

from chassis.bus.port import PartitionCountMismatch
from chassis.errors import OperationalError
from chassis.runtime import StopSignal
from chassis.settings import SettingsError
from chassis.topics import make_topics
from embedded.buses import KafkaStackBus, PostgresStackBus, StackBus, address_for_services, kept_bus
from embedded.data_folder import StackNote, hold_folder, leave_note, write_connections
from embedded.databases import DatabaseServer, migrate_all
from embedded.kept_secrets import KeptSecrets, keep_secrets
from embedded.log_lines import LAUNCHER, LogLines
from embedded.postgres_server import ServerInfo
from embedded.programs import KAFKA, ROLES, SERVICES, STOP_ORDER, programs, service_environment
from embedded.provisioning import provision
from embedded.stack_settings import KAFKA_BUS, StackSettings, read_settings, refuse_taken_ports
from embedded.supervisor import Supervisor
from embedded.watchdog import Watchdog

CHILDREN_STOP_TIMEOUT_S = 26.5
"""Longer than a service takes to drain; with the bus's and PostgreSQL's own stop it stays below 30 s."""

TOPICS_TIMEOUT_S = 30.0
POSTGRES_FOLDER, KAFKA_FOLDER = "postgres", "kafka"


class Running(Protocol):
    """What runs in the foreground: ``start`` once, then ``run``, then always ``stop``; ``insist`` when that lasts."""

    async def start(self) -> None:
        """Start and wait until it is ready. Raises SettingsError with one line."""
        ...

    async def run(self) -> None:
        """Keep it running until cancelled."""
        ...

    async def stop(self) -> None:
        """End it in order. Fine at any point of the start."""
        ...

    async def insist(self) -> None:
        """End it now."""
        ...


class Stack:
    """The stack of one data folder, which the caller holds. ``start`` once, then ``run``, then always ``stop``."""

    def __init__(self, settings: StackSettings, log: LogLines) -> None:
        self.settings = settings
        self._log = log
        self._kept = keep_secrets(settings.data_dir, settings.environment, ROLES)
        self._bus = self._chosen_bus()
        self._server = DatabaseServer(settings.data_dir / POSTGRES_FOLDER, settings.postgres_port)
        self._watchdog: Watchdog | None = None
        self._supervisor: Supervisor | None = None
        self._environments: Mapping[str, Mapping[str, str]] = {}
        self._ready = False
        self._stopping = StopSignal()

    @property
    def secrets(self) -> KeptSecrets:
        """The secrets that this stack uses."""
        return self._kept

    async def start_ground(self) -> Mapping[str, Mapping[str, str]]:
        """PostgreSQL with its databases and roles, up to date, and the bus with its topics.

        Answers what each service is told beside what the launcher was. Raises SettingsError with one line.
        """
        await self._bus.find()
        info = await self._server.start()
        self._tell_where(info)
        wanted = (*SERVICES.values(), *self._bus.databases)
        databases = await provision(info.superuser_dsn, wanted, self._kept.passwords)
        address = await self._bus.start(databases)
        bus_url, given = address_for_services(address), self.settings.environment
        environments = {
            service: service_environment(self.settings, self._kept, databases[database], bus_url, service)
            for service, database in SERVICES.items()
        }
        await migrate_all({name: (module, {**given, **environments[name]}) for name, module in SERVICES.items()})
        await _make_topics(address)
        write_connections(self.settings.data_dir, databases, address, self._kept)
        return environments

    async def start(self) -> None:
        """Start everything and wait until it is ready. Raises SettingsError with one line."""
        refuse_taken_ports(self.settings)
        self._environments = await self.start_ground()
        self._watchdog = Watchdog()
        supervisor = self._supervisor = Supervisor(
            programs(self.settings, self._kept, self._environments),
            self._watchdog.process_group,
            self._log,
            self._leave_note,
        )
        await supervisor.start()
        self._ready = True
        self._leave_note()

    async def run(self) -> None:
        """Keep everything running until cancelled."""
        assert self._supervisor is not None, "a stack is started before it runs"
        async with asyncio.TaskGroup() as group:
            group.create_task(self._supervisor.run())
            group.create_task(self._bus.run())
            group.create_task(self._server.keep_running(self._stopping, self._log, self._leave_note))

    async def stop(self) -> None:
        """Stop all in order within 30 s, bus and PostgreSQL last. Fine at any point of the start."""
        self._stopping.set()
        try:
            if self._supervisor is not None:
                for name in await self._supervisor.stop(STOP_ORDER, CHILDREN_STOP_TIMEOUT_S):
                    self._log.say(LAUNCHER, f"{name} did not stop in time and was killed")
        finally:
            if self._watchdog is not None:
                self._watchdog.close()
            await self._bus.stop()
            await self._server.stop()

    async def insist(self) -> None:
        """End all processes now; what they had not finished, they find again at the next start."""
        if self._supervisor is not None:
            await self._supervisor.kill()

    def _chosen_bus(self) -> StackBus:
        settings = self.settings
        if kept_bus(settings.data_dir, settings.bus) != KAFKA_BUS:
            return PostgresStackBus()
        folder = settings.data_dir / KAFKA_FOLDER
        return KafkaStackBus(folder, settings.kafka_port, settings.environment, self._log, self._leave_note)

    def _tell_where(self, info: ServerInfo) -> None:
        place = f"data in {info.data_dir}, programs in {info.binaries_dir}"
        self._log.say(LAUNCHER, f"PostgreSQL {info.version} on port {info.port} as user {info.user}; {place}")

    def _leave_note(self) -> None:
        if self._supervisor is None:
            return
        pids = {**self._supervisor.pids, **self._bus.pids, "postgres": self._server.pid or 0}
        note = StackNote(os.getpid(), self._ready, dict(self.settings.ports), pids, self._environments)
        try:
            leave_note(self.settings.data_dir, note)
        except SettingsError as error:
            self._log.say(LAUNCHER, f"the note for other commands is out of date: {error}")


async def run_stack() -> int:
    """Run the stack in the foreground until a signal comes; answers the exit code. Raises SettingsError."""
    settings = read_settings(os.environ, Path.cwd())
    console = Console(highlight=False, soft_wrap=True)
    log = LogLines(sys.stdout, (*settings.ports, KAFKA, LAUNCHER))
    with hold_folder(settings.data_dir):
        stack = Stack(settings, log)
        return await until_signal(stack, log, lambda: _welcome(console, settings))


async def until_signal(running: Running, log: LogLines, ready: Callable[[], None]) -> int:
    """Start, call ``ready``, run until a signal comes, stop; answers the exit code. Raises SettingsError."""

    async def work() -> None:
        await running.start()
        ready()
        await running.run()

    working = asyncio.create_task(work())
    loop = asyncio.get_running_loop()
    stop_wishes = 0
    insisting: set[asyncio.Task[None]] = set()

    def on_signal() -> None:
        nonlocal stop_wishes
        stop_wishes += 1
        if stop_wishes == 1:
            log.say(LAUNCHER, "stopping; once more to stop at once")
            working.cancel()
        else:
            insisting.add(asyncio.create_task(running.insist()))

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup, the end of the terminal is meant to be ignored.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, on_signal)
    try:
        await asyncio.wait({working})
    finally:
        await running.stop()
    if not working.cancelled():
        _pass_on(working)
    log.say(LAUNCHER, "stopped")
    return 0


async def _make_topics(address: str) -> None:
    try:
        await make_topics(address, timeout_s=TOPICS_TIMEOUT_S)
    except OperationalError as error:
        raise SettingsError(f"bus: topics cannot be made: {error.reason}") from error
    except PartitionCountMismatch as error:
        raise SettingsError(f"bus: {error}") from error


def _pass_on(working: asyncio.Task[None]) -> None:
    """Raise what ended the stack, the first of a group of errors."""
    error = working.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        raise error


def _welcome(console: Console, settings: StackSettings) -> None:
    places = {
        "payments-api": f"{settings.url('payments-api')}/api/marketplace/services",
        "webhooks": f"{settings.url('gateway-ingest')}/api/webhooks/stripe",
        "ledger": f"{settings.url('ledger')}/v1/trial-balance",
        "deployments": f"{settings.url('deployments')}/readyz",
        "data": str(settings.data_dir),
        "secrets": str(settings.data_dir / "secrets.json"),
    }
    try:
        console.print("\n[bold green]Gridledger is running.[/bold green] Ctrl-C stops it.")
        for name, place in places.items():
            console.print(f"  {name:<13} {place}", markup=False)
        console.print()
    except OSError as error:
        raise SettingsError(f"standard output is gone: {error.strerror}") from error
