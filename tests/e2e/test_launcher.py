"""``make run``: what keeps it from starting is one line; it keeps its data, stops in order, leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from testkit.waiting_for import eventually

EXIT_UNUSABLE = 2
ENDED_TIMEOUT_S = 60.0


@contextmanager
def port_taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def refusal(stack: Any) -> str:
    """The one line that the launcher leaves when it cannot start."""
    result = stack.command("run")
    assert result.returncode == EXIT_UNUSABLE, result
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("error: ")
    return str(result.stderr)


def is_running(pid: int) -> bool:
    """Whether it runs; a process that ended and that nobody has asked about yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


def test_a_taken_port_is_one_line_with_its_variable(new_stack: Callable[..., Any]) -> None:
    with port_taken() as port:
        assert "LEDGER_PORT" in refusal(new_stack(LEDGER_PORT=str(port)))


def test_a_taken_port_of_postgresql_is_one_line_too(new_stack: Callable[..., Any]) -> None:
    with port_taken() as port:
        assert str(port) in refusal(new_stack(POSTGRES_PORT=str(port)))


def test_a_port_that_is_none_is_one_line(new_stack: Callable[..., Any]) -> None:
    assert "DEPLOYMENTS_PORT" in refusal(new_stack(DEPLOYMENTS_PORT="http"))


def test_two_processes_on_one_port_are_one_line(new_stack: Callable[..., Any]) -> None:
    said = refusal(new_stack(LEDGER_PORT="18999", DEPLOYMENTS_PORT="18999"))
    assert "LEDGER_PORT" in said
    assert "DEPLOYMENTS_PORT" in said


def test_a_folder_that_cannot_be_written_is_one_line(new_stack: Callable[..., Any]) -> None:
    stack = new_stack()
    (stack.folder / "a-file").touch()
    stack.environment["DATA_DIR"] = str(stack.folder / "a-file" / "data")
    assert "DATA_DIR" in refusal(stack)


def test_a_missing_catalogue_is_one_line(new_stack: Callable[..., Any]) -> None:
    assert "MARKETPLACE_CONFIG" in refusal(new_stack(MARKETPLACE_CONFIG="nowhere.toml"))


def test_a_bus_that_there_is_none_of_is_one_line(new_stack: Callable[..., Any]) -> None:
    assert "BUS" in refusal(new_stack(BUS="carrier-pigeons"))


def test_a_setting_that_a_service_refuses_is_one_line(new_stack: Callable[..., Any]) -> None:
    assert "LOG_FORMAT" in refusal(new_stack(LOG_FORMAT="carved in stone"))


def test_a_second_launcher_on_the_same_folder_is_one_line(stack: Any) -> None:
    assert str(stack.data_dir) in refusal(stack)


def test_secrets_are_for_their_owner_alone(stack: Any) -> None:
    for name in ("secrets.json", "stack.json", "connections.env"):
        assert stat.S_IMODE((stack.data_dir / name).stat().st_mode) == 0o600
    service_token = stack.note().environments["ledger"]["SERVICE_TOKEN"]
    assert service_token not in stack.log


def test_the_stack_keeps_its_data_and_its_books_stand_the_proof(new_stack: Callable[..., Any]) -> None:
    stack = new_stack()
    stack.start()
    stack.wait_ready()
    told = stack.command("demo", "--json")
    assert told.returncode == 0, told.stderr
    before = looked_up(stack)
    pids = dict(stack.note().pids)
    assert len(pids) == 7

    assert stack.stop(signal.SIGINT) == 0
    assert not any(is_running(pid) for pid in pids.values())
    for command in ("rebuild", "verify"):
        result = stack.command("exec", "ledger", command)
        assert result.returncode == 0, f"{command}: {result.stdout} {result.stderr}"

    stack.start()
    stack.wait_ready()
    assert looked_up(stack) == before
    assert stack.stop() == 0


def looked_up(stack: Any) -> list[Any]:
    """The books as an operator sees them."""
    note = stack.note()
    headers = {"Authorization": f"Bearer {note.environments['ledger']['SERVICE_TOKEN']}"}
    with httpx.Client(headers=headers, base_url=f"{stack.url('ledger')}/v1", trust_env=False) as http:
        paths = ("/trial-balance", "/accounts/platform:commission", "/events?after=0&limit=200")
        answers = [http.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * len(paths)
    seen = [answer.json() for answer in answers]
    assert seen[0]["balanced"] is True
    assert len(seen[2]["events"]) == 6
    return seen


@pytest.mark.asyncio
async def test_a_launcher_that_is_killed_leaves_no_process_behind(new_stack: Callable[..., Any]) -> None:
    stack = new_stack()
    stack.start()
    await asyncio.to_thread(stack.wait_ready)
    pids = dict(stack.note().pids)
    ports = dict(stack.note().ports)

    os.kill(stack.launcher_pid, signal.SIGKILL)

    await eventually(lambda: not any(is_running(pid) for pid in pids.values()), ENDED_TIMEOUT_S)
    for port in ports.values():
        socket.create_server(("127.0.0.1", port)).close()
    # What was killed starts again on the same folder.
    stack.stop()
    stack.start()
    await asyncio.to_thread(stack.wait_ready)
    assert stack.stop() == 0


def test_it_stops_while_it_is_still_starting(new_stack: Callable[..., Any]) -> None:
    stack = new_stack()
    stack.start()
    wait_for_log(stack, "PostgreSQL")
    assert stack.stop() == 0
    assert not (stack.data_dir / "stack.json").exists()


def wait_for_log(stack: Any, text: str) -> None:
    asyncio.run(eventually(lambda: text in stack.log, 60.0))
