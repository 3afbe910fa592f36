"""A real process: SIGTERM drains it, its exit code tells, a port that is taken is one line."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from embedded.ports import free_port
from testkit.waiting_for import eventually

PROGRAM = Path(__file__).with_name("sample_service.py")
EXIT_TIMEOUT_S = 20


@contextmanager
def service(port: int, mode: str = "serve") -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(port), mode], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = await asyncio.to_thread(process.communicate, timeout=EXIT_TIMEOUT_S)
    return process.returncode, output


async def answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/healthz")).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_the_running_request_finish_and_takes_no_more(number: signal.Signals) -> None:
    port = free_port()
    with service(port) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=EXIT_TIMEOUT_S) as http:
            await eventually(lambda: answers(http))
            running = asyncio.create_task(http.get("/until-stopped"))
            await eventually(lambda: begun(http))
            process.send_signal(number)
            response = await running
            assert (response.status_code, response.json()) == (200, {"finished": True})
            code, output = await ended(process)
        assert code == 0, output
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        assert "worker drained" in output


async def begun(http: httpx.AsyncClient) -> bool:
    return bool((await http.get("/begun")).json()["begun"])


@pytest.mark.asyncio
async def test_a_crash_is_named_and_the_exit_code_is_not_0() -> None:
    with service(free_port(), "crash") as process:
        code, output = await ended(process)
    assert code == 1
    assert "task_crashed" in output
    assert "unlucky" in output
    assert "ValueError: boom" in output


@pytest.mark.asyncio
async def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with service(port) as process:
            code, output = await ended(process)
    assert code == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in output
    assert "Traceback" not in output


@pytest.mark.asyncio
async def test_a_setting_that_is_missing_is_one_clear_line() -> None:
    with service(free_port(), "unset") as process:
        code, output = await ended(process)
    assert (code, output.strip()) == (1, "error: sample: DATABASE_URL is not set")


@pytest.mark.asyncio
async def test_a_start_of_the_application_that_fails_ends_the_process() -> None:
    with service(free_port(), "bad-lifespan") as process:
        code, output = await ended(process)
    assert code == 1
    assert "no database at start" in output
