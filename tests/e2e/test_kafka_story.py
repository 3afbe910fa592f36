"""What is its own about ``make run BUS=kafka``: the data folder keeps its bus, and what was accepted comes through.

The journeys that it shares with the other bus are in test_money_story, test_crowd and test_kill, which run on both.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testkit.waiting_for import eventually

EXIT_UNUSABLE = 2
ENDED_TIMEOUT_S = 60.0
CENTS, CREDITS = 2500, "25.00"


def refusal(stack: Any, command: str) -> str:
    """The one line that the launcher leaves when it cannot start."""
    result = stack.command(command)
    assert result.returncode == EXIT_UNUSABLE, result
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return str(result.stderr)


def is_running(pid: int) -> bool:
    """Whether it runs; a process that ended and that nobody has asked about yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


@pytest.fixture
def fresh_kafka_stack(plain_kafka: None, new_stack: Callable[..., Any]) -> Any:
    """A running stack that a test may kill as a whole."""
    stack = new_stack(BUS="kafka")
    stack.start()
    stack.wait_ready()
    return stack


def test_without_java_it_is_one_line(new_stack: Callable[..., Any], tmp_path: Path) -> None:
    assert "Kafka needs Java 17 or newer" in refusal(new_stack(BUS="kafka", PATH=str(tmp_path), JAVA_HOME=""), "run")


def test_a_running_stack_says_where_its_kafka_is(kafka_stack: Any) -> None:
    told = {environment["BUS_URL"].partition("?")[0] for environment in kafka_stack.note().environments.values()}
    connections = (kafka_stack.data_dir / "connections.env").read_text()

    assert len(told) == 1
    assert f"BUS_URL={told.pop()}\n" in connections
    assert "BUS_DATABASE_URL" not in connections, "there is no database for a bus that is not used"


def test_kafka_alone_keeps_off_a_folder_that_is_in_use(kafka_stack: Any) -> None:
    assert "another launcher is running" in refusal(kafka_stack, "kafka")


@pytest.mark.parametrize("stack", ["fresh_kafka"], indirect=True)
@pytest.mark.asyncio
async def test_what_was_accepted_before_everything_was_killed_is_credited_after_it(visitor: Any) -> None:
    stack = visitor.stack
    pids = dict(stack.note().pids)
    assert "kafka" in pids

    assert (await visitor.pay(CENTS)).status_code == 200
    os.kill(stack.launcher_pid, signal.SIGKILL)
    await eventually(lambda: not any(is_running(pid) for pid in pids.values()), ENDED_TIMEOUT_S)
    stack.stop()

    # The folder remembers its bus, and takes no other: what the one has not delivered would not come out of the other.
    del stack.environment["BUS"]
    stack.start()
    await asyncio.to_thread(stack.wait_ready)
    assert "kafka" in stack.note().pids
    await visitor.balance_becomes(CREDITS)
    assert await asyncio.to_thread(stack.stop) == 0

    stack.environment["BUS"] = "postgresql"
    assert "BUS" in await asyncio.to_thread(refusal, stack, "run")
    del stack.environment["BUS"]
    verified = await asyncio.to_thread(stack.command, "exec", "ledger", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
