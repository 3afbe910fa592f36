"""The bus of a stack: the log in its PostgreSQL, or a Kafka beside it, whichever the data folder was begun with.

Messages that are on their way, and how far each consumer has come, belong to one bus: a folder keeps the one it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import asyncpg

from chassis.bus.postgres_log import MIGRATIONS as BUS_MIGRATIONS
from chassis.migrate import MigrationError, migrate
from chassis.settings import SettingsError
from embedded.data_folder import hold_folder
from embedded.kafka import (
    KafkaError,
    KafkaInstallation,
    KafkaMissing,
    KafkaNode,
    command,
    installed_kafka,
    new_cluster_id,
    prepare,
)
from embedded.kept_secrets import write_private
from embedded.log_lines import LAUNCHER, LogLines
from embedded.ports import NoFreePort, free_ports, port_refusal
from embedded.programs import BUS, KAFKA, Program
from embedded.provisioning import DatabaseAccess
from embedded.stack_settings import KAFKA_PORT, POSTGRES_BUS
from embedded.supervisor import Supervisor
from embedded.watchdog import Watchdog

SESSION_TIMEOUT_S = 3
"""How long a killed service keeps its partitions: short, since only one of each runs here."""

KAFKA_STOP_TIMEOUT_S = 2.0
NOTE_NAME = "bus"


class StackBus(Protocol):
    """``find`` before anything is started, ``start`` after PostgreSQL, then ``run``; then always ``stop``."""

    databases: Sequence[str]
    """Those that it needs in the stack's PostgreSQL."""

    @property
    def pids(self) -> Mapping[str, int]:
        """Process ids of what it runs."""
        ...

    async def find(self) -> None:
        """Make sure that its programs are here. Raises SettingsError with one line."""
        ...

    async def start(self, databases: Mapping[str, DatabaseAccess]) -> str:
        """Answers the bus's address, once it answers. Raises SettingsError with one line."""
        ...

    async def run(self) -> None:
        """Keep it running, until it was stopped."""
        ...

    async def stop(self) -> None:
        """End it. Fine at any point of the start."""
        ...


class PostgresStackBus:
    """A log in the database ``bus``: nothing to run."""

    databases: Sequence[str] = (BUS,)

    @property
    def pids(self) -> Mapping[str, int]:
        """None: PostgreSQL is the stack's."""
        return {}

    async def find(self) -> None:
        """It has no programs."""

    async def start(self, databases: Mapping[str, DatabaseAccess]) -> str:
        """Bring its tables up to date; answers the DSN of its users."""
        try:
            await migrate(databases[BUS].owner_dsn, BUS_MIGRATIONS)
        except (MigrationError, OSError, asyncpg.PostgresError) as error:
            raise SettingsError(f"bus: migrations stopped: {error}") from error
        return databases[BUS].app_dsn

    async def run(self) -> None:
        """Nothing runs."""

    async def stop(self) -> None:
        """Nothing to end."""


class KafkaStackBus:
    """One broker as a plain process in ``folder``, started again whenever it dies. ``port`` None takes a free one."""

    databases: Sequence[str] = ()

    def __init__(
        self,
        folder: Path,
        port: int | None,
        environment: Mapping[str, str],
        log: LogLines,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._port = port
        self._environment = environment
        self._log = log
        self._changed = changed
        self._held = ExitStack()
        self._supervisor: Supervisor | None = None
        self._installation: KafkaInstallation | None = None

    @property
    def pids(self) -> Mapping[str, int]:
        """The broker's process id while it runs."""
        return self._supervisor.pids if self._supervisor else {}

    async def find(self) -> None:
        """Java must be there; the jars are fetched the first time."""
        try:
            self._installation = await asyncio.to_thread(installed_kafka, say=self._say)
        except KafkaMissing as error:
            raise SettingsError(str(error)) from error

    async def start(self, databases: Mapping[str, DatabaseAccess] | None = None) -> str:
        """Format the folder once, start the broker; answers ``kafka://host:port``."""
        self._held.enter_context(hold_folder(self._folder))
        watchdog = Watchdog()
        self._held.callback(watchdog.close)
        program = await asyncio.to_thread(self._prepared)
        self._supervisor = Supervisor((program,), watchdog.process_group, self._log, self._changed)
        await self._supervisor.start()
        return program.ready_url

    async def run(self) -> None:
        """See StackBus."""
        assert self._supervisor is not None, "a bus is started before it runs"
        await self._supervisor.run()

    async def stop(self) -> None:
        """End it in order; being killed would only cost it a slower start."""
        try:
            if self._supervisor is not None:
                await self._supervisor.stop(((KAFKA,),), KAFKA_STOP_TIMEOUT_S)
        finally:
            self._held.close()

    def _say(self, line: str) -> None:
        self._log.say(LAUNCHER, line)

    def _prepared(self) -> Program:
        installation = self._installation
        assert installation is not None, "a bus is found before it starts"
        if self._port is not None and port_refusal(self._port) is not None:
            raise SettingsError(f"{KAFKA_PORT}: port {self._port} cannot be had; set {KAFKA_PORT} to another")
        try:
            port, controller_port = free_ports(2)
            node = KafkaNode(1, self._port or port, controller_port, self._folder)
            prepare(installation, node, (node,), new_cluster_id())
        except (KafkaError, NoFreePort) as error:
            raise SettingsError(str(error)) from error
        self._say(f"Kafka {installation.version} on port {node.port}; data in {self._folder}")
        return Program(KAFKA, command(installation, node), self._environment, f"kafka://{node.address}")


def address_for_services(address: str) -> str:
    """The bus's address with what services on one machine are told besides."""
    return f"{address}?{urlencode({'session_timeout_s': SESSION_TIMEOUT_S})}"


def kept_bus(data_dir: Path, wanted: str | None) -> str:
    """The bus of this folder, which must be held: the one it was begun with. Raises SettingsError for another."""
    note = data_dir / NOTE_NAME
    begun = note.read_text(encoding="utf-8").strip() if note.exists() else None
    if begun is None and (data_dir / "postgres").exists():
        begun = POSTGRES_BUS
    bus = begun or wanted or POSTGRES_BUS
    if wanted not in (None, bus):
        raise SettingsError(f"BUS: the data in {data_dir} was begun with BUS={bus}; set DATA_DIR to another folder")
    if not note.exists():
        write_private(note, f"{bus}\n")
    return bus
