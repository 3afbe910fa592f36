"""Keeps child processes running: passes on what they print, names one that dies, starts it anew, ends all in order.

Knows processes and nothing of what they do. A child that ends before it was ever ready is not started anew: something
is wrong that a person must see.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import httpx

from chassis.runtime import StopSignal
from chassis.settings import SettingsError
from embedded.kafka.probe import brokers_at
from embedded.log_lines import LAUNCHER, LogLines
from embedded.programs import Program

RESTART_PAUSE_S = 0.2
RESTART_PAUSE_MAX_S = 5.0
STEADY_AFTER_S = 20.0
"""A process that lived this long begins anew with the shortest pause."""
READY_POLL_S = 0.05
READY_TIMEOUT_S = 120.0
PROBE_TIMEOUT_S = 2.0
ERROR_PREFIX = "error: "


class Child:
    """One program and the process that runs it now."""

    def __init__(self, program: Program, process_group: int, log: LogLines, changed: Callable[[], None]) -> None:
        self.program = program
        self.is_ready = False
        self._process_group = process_group
        self._log = log
        self._changed = changed
        self.stopping = StopSignal()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def keep_running(self) -> None:
        """Run the program until ``stop``, again whenever it ends. Raises SettingsError when it was never ready."""
        pause_s = RESTART_PAUSE_S
        loop = asyncio.get_running_loop()
        while not self.stopping.is_set():
            started = loop.time()
            code = await self._run_once()
            if self.stopping.is_set():
                return
            if not self.is_ready:
                raise SettingsError(f"{self.program.name} did not start: {self._why(code)}")
            if loop.time() - started > STEADY_AFTER_S:
                pause_s = RESTART_PAUSE_S
            self._log.say(LAUNCHER, f"{self.program.name} ended ({ending(code)}); starting it again in {pause_s:g} s")
            await self.stopping.wait_for(pause_s)
            pause_s = min(2 * pause_s, RESTART_PAUSE_MAX_S)

    def stop(self) -> None:
        """Ask the process to end, and start it no more."""
        self.stopping.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process now, and start it no more."""
        self.stopping.set()
        self._signal(signal.SIGKILL)

    async def _run_once(self) -> int:
        self._process = await asyncio.create_subprocess_exec(
            *self.program.arguments,
            env=self.program.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            process_group=self._process_group,
        )
        if self.stopping.is_set():
            self._signal(signal.SIGTERM)
        self._changed()
        assert self._process.stdout is not None
        await self._log.follow(self.program.name, self._process.stdout)
        return await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def _why(self, code: int) -> str:
        said = [line for line in self._log.last(self.program.name) if line.strip()]
        errors = [line.removeprefix(ERROR_PREFIX) for line in said if line.startswith(ERROR_PREFIX)]
        return (errors or said or [ending(code)])[-1]


class Supervisor:
    """All children of a stack. ``changed`` is called when one was started."""

    def __init__(
        self, programs: Sequence[Program], process_group: int, log: LogLines, changed: Callable[[], None]
    ) -> None:
        self._children = {program.name: Child(program, process_group, log, changed) for program in programs}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def pids(self) -> Mapping[str, int]:
        """Process ids of the children that run now."""
        return {name: child.pid for name, child in self._children.items() if child.pid is not None}

    async def start(self) -> None:
        """Start all and wait until each says that it is ready. Raises SettingsError naming the one that does not."""
        for name, child in self._children.items():
            self._tasks[name] = asyncio.create_task(child.keep_running(), name=name)
        readiness = asyncio.create_task(self._all_ready(), name="readiness")
        try:
            ended, _ = await asyncio.wait({readiness, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
            await min(ended, key=lambda task: task is readiness)
        finally:
            readiness.cancel()

    async def run(self) -> None:
        """Returns when every child was stopped; an error in here is passed on at once."""
        await asyncio.gather(*self._tasks.values())

    async def stop(self, order: Sequence[Sequence[str]], timeout_s: float) -> Sequence[str]:
        """End the children group by group; answers the names of those that had to be killed after ``timeout_s``."""
        late: Sequence[str] = ()
        try:
            async with asyncio.timeout(timeout_s):
                for group in order:
                    await self._stop_group(group)
        except TimeoutError:
            late = sorted(self.pids)
        finally:
            await self.kill()
        return late

    async def kill(self) -> None:
        """End every child now."""
        for child in self._children.values():
            child.kill()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _stop_group(self, names: Sequence[str]) -> None:
        present = [name for name in names if name in self._tasks]
        for name in present:
            self._children[name].stop()
        if present:
            await asyncio.wait([self._tasks[name] for name in present])

    async def _all_ready(self) -> None:
        async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
            await asyncio.gather(*(self._ready(child, client) for child in self._children.values()))

    async def _ready(self, child: Child, client: httpx.AsyncClient) -> None:
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while not await _answers(client, child.program.ready_url):
                    await child.stopping.wait_for(READY_POLL_S)
        except TimeoutError as error:
            raise SettingsError(f"{child.program.name} was not ready within {READY_TIMEOUT_S:.0f} s") from error
        child.is_ready = True


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "kafka":
        assert parts.hostname is not None
        assert parts.port is not None
        return await asyncio.to_thread(brokers_at, parts.hostname, parts.port) > 0
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def ending(code: int) -> str:
    """How a process ended, for people."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
