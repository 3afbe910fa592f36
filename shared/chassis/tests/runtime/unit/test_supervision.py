"""Tasks end together, a crash is named, and nobody drains for ever."""

import asyncio
import os
import signal

import pytest
import structlog

from chassis.runtime import StopSignal, run
from chassis.settings import SettingsError

pytestmark = pytest.mark.asyncio


async def until_stopped(stop: StopSignal) -> None:
    await stop.wait()


async def crash(_stop: StopSignal) -> None:
    raise ValueError("boom")


async def refuse(_stop: StopSignal) -> None:
    raise SettingsError("PORT is taken")


async def return_at_once(_stop: StopSignal) -> None:
    return


async def never_end(_stop: StopSignal) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_all_tasks_cleanly(number: signal.Signals) -> None:
    finished: list[str] = []

    async def finish(stop: StopSignal) -> None:
        await stop.wait()
        finished.append("in hand")

    async def send(stop: StopSignal) -> None:
        os.kill(os.getpid(), number)
        await stop.wait()

    assert await run("sample", {"finish": finish, "send": send}, drain_s=5) == 0
    assert finished == ["in hand"]


@pytest.mark.parametrize(
    ("task", "event"), [(crash, "task_crashed"), (return_at_once, "task_ended_unasked"), (refuse, "task_refused")]
)
async def test_a_task_that_ends_by_itself_is_named_and_ends_the_process(task, event: str) -> None:  # type: ignore[no-untyped-def]
    with structlog.testing.capture_logs() as logged:
        assert await run("sample", {"bad": task, "good": until_stopped}, drain_s=5) == 1
    named = [entry for entry in logged if entry["event"] == event]
    assert [entry["task"] for entry in named] == ["bad"]


async def test_the_others_finish_what_they_have_in_hand_after_a_crash() -> None:
    finished: list[str] = []

    async def finish(stop: StopSignal) -> None:
        await stop.wait()
        finished.append("in hand")

    assert await run("sample", {"bad": crash, "finish": finish}, drain_s=5) == 1
    assert finished == ["in hand"]


async def test_a_task_that_does_not_drain_is_named_and_cancelled() -> None:
    cancelled: list[bool] = []

    async def stubborn(_stop: StopSignal) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    with structlog.testing.capture_logs() as logged:
        assert await run("sample", {"bad": crash, "stubborn": stubborn}, drain_s=0.01) == 1
    assert [entry["task"] for entry in logged if entry["event"] == "task_did_not_drain"] == ["stubborn"]
    assert cancelled == [True]


async def test_a_crash_while_draining_is_a_failure_too() -> None:
    async def crash_late(stop: StopSignal) -> None:
        await stop.wait()
        raise ValueError("late")

    async def send(stop: StopSignal) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()

    assert await run("sample", {"late": crash_late, "send": send}, drain_s=5) == 1


async def test_a_pause_ends_early_when_asked_to_stop() -> None:
    stop = StopSignal()
    assert await stop.wait_for(0.001) is False
    stop.set()
    assert await asyncio.wait_for(stop.wait_for(3600), 1) is True
