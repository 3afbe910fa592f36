"""The stack's PostgreSQL: started, filled with databases and tables, and started again should it die.

Roles' passwords are kept, and the port stays for as long as the launcher runs, so that services that lost the database
find the same one again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from chassis.runtime import StopSignal
from chassis.settings import SettingsError
from embedded.log_lines import LAUNCHER, LogLines
from embedded.postgres_server import PostgresServer, ServerInfo
from embedded.server_account import PostgresServerError
from embedded.supervisor import ERROR_PREFIX, ending

GUARD_POLL_S = 0.5
RESTART_PAUSE_S = 1.0


class DatabaseServer:
    """PostgreSQL in ``folder``. Its calls may be cancelled; a start or stop that has begun is still finished."""

    def __init__(self, folder: Path, port: int | None) -> None:
        self._folder = folder
        self._port = port
        self._server = PostgresServer(folder, port=port)

    @property
    def pid(self) -> int | None:
        """The postmaster's process id."""
        return self._server.pid

    async def start(self) -> ServerInfo:
        """Start and wait until it accepts connections. Raises SettingsError with one line."""
        info = await self._start()
        self._port = info.port
        return info

    async def _start(self) -> ServerInfo:
        starting = asyncio.create_task(asyncio.to_thread(self._server.start))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait({starting})
            raise
        except PostgresServerError as error:
            raise SettingsError(str(error)) from error

    async def keep_running(self, stop: StopSignal, log: LogLines, changed: Callable[[], None]) -> None:
        """Start it again whenever it dies, until stopped; ``changed`` is called each time."""
        while not await stop.wait_for(GUARD_POLL_S):
            code = self._server.returncode()
            if code is None:
                continue
            log.say(LAUNCHER, f"PostgreSQL ended ({ending(code)}); starting it again")
            await self._start_again(stop, log)
            changed()

    async def stop(self) -> None:
        """Stop it; everything that was committed is on disk."""
        await asyncio.to_thread(self._server.stop)

    async def _start_again(self, stop: StopSignal, log: LogLines) -> None:
        # What is left of the old one is let go of; the new one takes the old one's port.
        await self.stop()
        self._server = PostgresServer(self._folder, port=self._port)
        while not stop.is_set():
            try:
                await self.start()
            except SettingsError as error:
                log.say(LAUNCHER, f"PostgreSQL did not start: {error}")
                await stop.wait_for(RESTART_PAUSE_S)
            else:
                return


async def migrate_all(environments: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
    """Bring each service up to date. ``environments``: service → (its module, its whole environment).

    Raises SettingsError with the first fault in one line.
    """
    results = await asyncio.gather(*(_migrate(name, *how) for name, how in environments.items()))
    faults = [fault for fault in results if fault]
    if faults:
        raise SettingsError(faults[0])


async def _migrate(service: str, module: str, environment: Mapping[str, str]) -> str | None:
    """Run ``python -m <module> migrate``; answers what is wrong."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        "migrate",
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode == 0:
        return None
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()] or ["no output"]
    errors = [line.removeprefix(ERROR_PREFIX) for line in lines if line.startswith(ERROR_PREFIX)]
    return (errors or [f"{service}: migrate ended with {process.returncode}: {lines[-1]}"])[0]
