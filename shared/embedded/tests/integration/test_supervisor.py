"""Children are kept running, named when they die, and ended in order; one that never gets ready is a clear fault."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from chassis.settings import SettingsError
from embedded.log_lines import LogLines
from embedded.programs import Program
from embedded.supervisor import Supervisor
from embedded.watchdog import Watchdog
from testkit.waiting_for import eventually

SERVER = """
import http.server, signal, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *arguments): pass
def end(*_):
    print("asked to end", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in sys.argv else end)
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready)
print("listening", flush=True)
server.serve_forever()
"""


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    dog = Watchdog()
    yield dog
    dog.close()


class Output:
    def __init__(self) -> None:
        self._text = io.StringIO()
        self.log = LogLines(self._text, ())

    @property
    def lines(self) -> list[str]:
        return [line.replace(" ", "") for line in self._text.getvalue().splitlines()]


@pytest.fixture
def output() -> Output:
    return Output()


@pytest_asyncio.fixture
async def supervise(watchdog: Watchdog, output: Output) -> AsyncIterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(*programs: Program) -> Supervisor:
        made.append(Supervisor(programs, watchdog.process_group, output.log, lambda: None))
        return made[-1]

    yield make
    for supervisor in made:
        await supervisor.kill()


def server(name: str, *arguments: str) -> Program:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = (sys.executable, "-c", SERVER, str(port), *arguments)
    return Program(name, command, dict(os.environ), f"http://127.0.0.1:{port}/readyz")


def failing(name: str, script: str) -> Program:
    return Program(name, (sys.executable, "-c", script), dict(os.environ), "http://127.0.0.1:1/readyz")


@pytest.mark.asyncio
async def test_a_child_that_dies_is_named_and_started_again(
    supervise: Callable[..., Supervisor], output: Output
) -> None:
    supervisor = supervise(server("one"), server("two"))
    await supervisor.start()
    before = dict(supervisor.pids)

    os.kill(before["one"], signal.SIGKILL)

    await eventually(lambda: supervisor.pids.get("one", before["one"]) != before["one"])
    assert supervisor.pids["two"] == before["two"]
    assert any("oneended(killedbySIGKILL)" in line for line in output.lines)


@pytest.mark.asyncio
async def test_the_end_comes_group_by_group(supervise: Callable[..., Supervisor], output: Output) -> None:
    supervisor = supervise(server("one"), server("two"), server("three"))
    await supervisor.start()

    late = await supervisor.stop((("two",), ("missing", "three"), ("one",)), timeout_s=10)

    assert late == ()
    assert supervisor.pids == {}
    assert [line.partition("|")[0] for line in output.lines if line.endswith("askedtoend")] == ["two", "three", "one"]


@pytest.mark.asyncio
async def test_who_does_not_end_in_time_is_named_and_killed(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise(server("stubborn", "stubborn"), server("mild"))
    await supervisor.start()

    assert await supervisor.stop((("mild",), ("stubborn",)), timeout_s=0.5) == ["stubborn"]
    assert supervisor.pids == {}


@pytest.mark.asyncio
async def test_a_child_that_never_gets_ready_is_a_fault_with_its_own_words(
    supervise: Callable[..., Supervisor],
) -> None:
    script = "import sys; print('first words'); print('error: SOME_SETTING is not set', file=sys.stderr); sys.exit(1)"

    with pytest.raises(SettingsError, match=r"^odd did not start: SOME_SETTING is not set$"):
        await supervise(server("fine"), failing("odd", script)).start()


@pytest.mark.asyncio
async def test_a_child_that_never_gets_ready_and_says_nothing_is_a_fault_too(
    supervise: Callable[..., Supervisor],
) -> None:
    with pytest.raises(SettingsError, match=r"^mute did not start: exit code 3$"):
        await supervise(failing("mute", "raise SystemExit(3)")).start()


@pytest.mark.asyncio
async def test_the_watchdog_takes_the_children_along(supervise: Callable[..., Supervisor], watchdog: Watchdog) -> None:
    """As when the launcher is killed: the pipe closes."""
    supervisor = supervise(server("one"))
    await supervisor.start()
    before = supervisor.pids["one"]

    await asyncio.to_thread(watchdog.close)

    await eventually(lambda: supervisor.pids.get("one") != before)
