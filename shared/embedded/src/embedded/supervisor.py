"""Keeps child processes alive: starts them, passes on what they print, restarts what dies, stops all in order.

A child ends with its parent even if that is killed: the kernel is told so where it can be (Linux).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Callable, Sequence

import httpx

from chassis.runtime import StopSignal
from embedded.programs import Program

RESTART_FIRST_S = 0.5
RESTART_LONGEST_S = 10.0
STEADY_S = 30.0
"""A process that lived this long starts its pauses anew."""
STOP_S = 28.0
"""Longer than a service takes to drain."""
READY_POLL_S = 0.05
LINE_MAX_BYTES = 1024 * 1024
_PR_SET_PDEATHSIG = 1

Say = Callable[[str, str], None]
"""Takes the name of a process and a line about it or from it."""


class Child:
    """One program and the process that runs it now."""

    def __init__(self, program: Program, say: Say) -> None:
        self.program = program
        self.pid: int | None = None
        self._say = say
        self._process: Process | None = None

    async def keep_alive(self, stop: StopSignal) -> None:
        """Run the program until stopped, again whenever it ends."""
        pause_s = RESTART_FIRST_S
        while not stop.is_set():
            started = asyncio.get_running_loop().time()
            code = await self._run_once(stop)
            if stop.is_set():
                return
            if asyncio.get_running_loop().time() - started > STEADY_S:
                pause_s = RESTART_FIRST_S
            self._say("launcher", f"{self.program.name} ended with {_meaning(code)}; starting it again in {pause_s} s")
            await stop.wait_for(pause_s)
            pause_s = min(RESTART_LONGEST_S, pause_s * 2)

    async def _run_once(self, stop: StopSignal) -> int:
        process = await asyncio.create_subprocess_exec(
            *self.program.arguments,
            env={**os.environ, **self.program.environment, "PYTHONUNBUFFERED": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            limit=LINE_MAX_BYTES,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        self._process, self.pid = process, process.pid
        ender = asyncio.create_task(self._end_on(stop))
        try:
            await self._pass_on(process)
            return await process.wait()
        finally:
            ender.cancel()
            self._process = self.pid = None

    async def _pass_on(self, process: Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._say(self.program.name, line.decode("utf-8", "replace").rstrip())

    async def _end_on(self, stop: StopSignal) -> None:
        await stop.wait()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        await asyncio.sleep(STOP_S)
        self._say("launcher", f"{self.program.name} did not stop in {STOP_S} s; ending it")
        process.kill()


class Supervisor:
    """All children. ``run`` ends once every one has ended."""

    def __init__(self, programs: Sequence[Program], say: Say) -> None:
        self.children = [Child(program, say) for program in programs]

    async def run(self, stop: StopSignal) -> None:
        """Keep all alive until stopped."""
        async with asyncio.TaskGroup() as group:
            for child in self.children:
                group.create_task(child.keep_alive(stop), name=child.program.name)

    async def wait_ready(self, stop: StopSignal, timeout_s: float) -> list[str]:
        """Wait until every process says that it is ready; answers the names of those that did not in time."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        async with httpx.AsyncClient(timeout=2.0) as client:
            waiting = list(self.children)
            while waiting and not stop.is_set() and asyncio.get_running_loop().time() < deadline:
                waiting = [child for child in waiting if not await _is_ready(client, child.program.ready_url)]
                if waiting:
                    await stop.wait_for(READY_POLL_S)
        return [child.program.name for child in waiting]


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _meaning(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name}"


def _end_with_parent() -> None:
    """In the child, before it becomes the program."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
