"""Runs the tasks of one process and ends them together.

SIGTERM and SIGINT set the stop signal; every task finishes what it has in hand and returns, within the time to drain.
A task that crashes, or returns before it was asked to, ends the whole process with exit code 1: whoever started it
starts it anew. Knows nothing of what the tasks do.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import structlog
import uvloop

from chassis import metrics
from chassis.settings import SettingsError

DRAIN_S = 25.0
CANCEL_GRACE_S = 2.0
EXIT_CLEAN, EXIT_FAILED = 0, 1
SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger("runtime")


class StopSignal:
    """Tells tasks to end. Set once, never cleared."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Ask every task to end."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether tasks should end."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait until tasks should end."""
        await self._event.wait()

    async def wait_for(self, seconds: float) -> bool:
        """Wait at most ``seconds``; answers whether tasks should end. This is how a loop pauses between rounds."""
        if self._event.is_set():
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


Task = Callable[[StopSignal], Awaitable[None]]

GC_THRESHOLDS = (50_000, 20, 100)
"""Young objects before a collection, and collections before the next older generation. Python's own 700 make a
process that handles thousands of messages at once walk its whole heap many times a second."""


def collect_garbage_seldom() -> None:
    """Leave what start-up made out of all collections, and collect the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def run(service: str, tasks: Mapping[str, Task], *, drain_s: float = DRAIN_S) -> int:
    """Run ``tasks`` until a signal comes or one of them ends; answers the process's exit code.

    0 after a clean stop; 1 when a task crashed, ended unasked or did not end within ``drain_s``.
    """
    collect_garbage_seldom()
    stop = StopSignal()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, _on_signal, service, number, stop)
    try:
        return await _supervise(service, tasks, stop, drain_s)
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def main(work: Coroutine[Any, Any, int]) -> int:
    """Run ``work`` on uvloop and answer its exit code; a SettingsError becomes one line on standard error."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED


def _on_signal(service: str, number: signal.Signals, stop: StopSignal) -> None:
    log.info("stopping", process=service, signal=number.name)
    stop.set()


async def _supervise(service: str, tasks: Mapping[str, Task], stop: StopSignal, drain_s: float) -> int:
    running = {asyncio.create_task(_call(work, stop), name=name) for name, work in tasks.items()}
    stopped = asyncio.create_task(stop.wait(), name="stop-signal")
    failed = False
    try:
        await asyncio.wait({*running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        failed = _report_ended(service, running, asked=stop.is_set())
        stop.set()
        failed |= await _drain(service, running, drain_s)
    finally:
        stopped.cancel()
        await _cancel(running)
    log.info("stopped", process=service, clean=not failed)
    return EXIT_FAILED if failed else EXIT_CLEAN


async def _call(work: Task, stop: StopSignal) -> None:
    await work(stop)


async def _drain(service: str, running: set[asyncio.Task[None]], drain_s: float) -> bool:
    """Let the tasks finish; answers whether something went wrong."""
    unfinished = {task for task in running if not task.done()}
    if not unfinished:
        return False
    ended, late = await asyncio.wait(unfinished, timeout=drain_s)
    failed = _report_ended(service, ended, asked=True)
    for task in late:
        log.error("task_did_not_drain", process=service, task=task.get_name(), drain_s=drain_s)
    return failed or bool(late)


async def _cancel(running: set[asyncio.Task[None]]) -> None:
    unfinished = {task for task in running if not task.done()}
    for task in unfinished:
        task.cancel()
    if unfinished:
        await asyncio.wait(unfinished, timeout=CANCEL_GRACE_S)


def _report_ended(service: str, tasks: set[asyncio.Task[None]], *, asked: bool) -> bool:
    """Name every task that should not have ended as it did; answers whether there was one."""
    failed = False
    for task in filter(asyncio.Task.done, tasks):
        error = asyncio.CancelledError("cancelled") if task.cancelled() else task.exception()
        if error is None and asked:
            continue
        failed = True
        metrics.TASK_CRASHES.labels(task.get_name()).inc()
        if isinstance(error, SettingsError):
            log.error("task_refused", process=service, task=task.get_name(), reason=str(error))
        elif error is not None:
            log.error("task_crashed", process=service, task=task.get_name(), exc_info=error)
        else:
            log.error("task_ended_unasked", process=service, task=task.get_name())
    return failed
