"""A real server in a real folder: it starts fast, keeps its data, survives hard ends, and refuses in one line."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from embedded.ports import free_port
from embedded.postgres_server import PostgresServer, ServerInfo
from embedded.postmaster import postmaster_status, serves
from embedded.server_account import PostgresServerError

START_MAX_S = 10
QUICK = {"shared_buffers": "16MB", "fsync": "off"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the server's own user can go, also when the tests run as root."""
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & stat.S_IXOTH:
            parent.chmod(0o711)
    return tmp_path / "postgres"


@pytest.fixture
def server(folder: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(folder, settings=QUICK)
    yield server
    server.stop()


async def query(info: ServerInfo, sql: str) -> object:
    connection = await asyncpg.connect(info.superuser_dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def wait_until_gone(pid: int, cluster: Path) -> None:
    deadline = time.monotonic() + START_MAX_S
    while serves(pid, cluster):
        assert time.monotonic() < deadline, f"process {pid} is still there"


@pytest.mark.asyncio
async def test_it_starts_answers_and_keeps_its_data(server: PostgresServer, folder: Path) -> None:
    first = server.start()
    await query(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    server.stop()
    assert server.pid is None
    second = server.start()
    assert await query(second, "SELECT answer FROM kept") == 42
    assert (second.host, second.data_dir) == ("127.0.0.1", folder)
    assert await query(second, "SHOW server_encoding") == "UTF8"
    assert await query(second, "SELECT datcollate FROM pg_database WHERE datname = 'postgres'") == "C"


@pytest.mark.asyncio
async def test_only_the_password_opens_and_it_is_for_the_owner_alone(server: PostgresServer) -> None:
    info = server.start()
    secret = info.data_dir / "superuser.password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(info.data_dir.stat().st_mode) == 0o700
    assert secret.read_text() in info.superuser_dsn
    assert secret.read_text() not in repr(info)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host=info.host, port=info.port, user="postgres", password="wrong", database="postgres")
    stored = await query(info, "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")
    assert str(stored).startswith("SCRAM-SHA-256$")


@pytest.mark.asyncio
async def test_the_defaults_are_durable_and_loopback_only(folder: Path) -> None:
    server = PostgresServer(folder)
    info = server.start()
    try:
        shown = {name: await query(info, f"SHOW {name}") for name in ("fsync", "listen_addresses", "max_connections")}
        assert shown == {"fsync": "on", "listen_addresses": "127.0.0.1", "max_connections": "200"}
    finally:
        server.stop()


def test_a_port_that_is_taken_is_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PostgresServerError, match=f"port {port} for PostgreSQL is taken") as refused:
            PostgresServer(folder, port=port, settings=QUICK).start()
    assert "\n" not in str(refused.value)


def test_a_given_port_is_used(folder: Path) -> None:
    port = free_port()
    server = PostgresServer(folder, port=port, settings=QUICK)
    try:
        assert server.start().port == port
    finally:
        server.stop()


def test_a_folder_in_use_is_refused_and_its_server_left_alone(server: PostgresServer, folder: Path) -> None:
    server.start()
    with pytest.raises(PostgresServerError, match="in use by another running instance"):
        PostgresServer(folder, settings=QUICK).start()
    assert server.returncode() is None
    with pytest.raises(PostgresServerError, match="running already"):
        server.start()


def test_another_major_version_is_refused(server: PostgresServer, folder: Path) -> None:
    server.start()
    server.stop()
    (folder / "cluster" / "PG_VERSION").write_text("15\n")
    with pytest.raises(PostgresServerError, match=r"is PostgreSQL 15's, this is 18; dump") as refused:
        server.start()
    assert "\n" not in str(refused.value)


def test_a_bad_setting_is_one_line_from_its_log(folder: Path) -> None:
    with pytest.raises(PostgresServerError, match=r"did not start: .*shared_buffers") as refused:
        PostgresServer(folder, settings={"shared_buffers": "nonsense"}).start()
    assert "\n" not in str(refused.value)


@pytest.mark.asyncio
async def test_a_server_killed_hard_starts_again(server: PostgresServer, folder: Path) -> None:
    first = server.start()
    await query(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.returncode() is None:
        pass
    assert postmaster_status(folder / "cluster") is not None
    assert await query(server.start(), "SELECT answer FROM kept") == 42


def test_an_initdb_that_was_interrupted_is_begun_anew(server: PostgresServer, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "cluster.new").mkdir()
    (folder / "cluster.new" / "PG_VERSION").write_text("18\n")
    server.start()
    assert not (folder / "cluster.new").exists()


LAUNCHER = """
import sys, time
from pathlib import Path
from embedded.postgres_server import PostgresServer
server = PostgresServer(Path(sys.argv[1]), settings={"shared_buffers": "16MB", "fsync": "off"})
server.start()
print(server.pid, server._lifeline.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def launcher(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", int, int]]:
    """Another process that runs the folder's server: the process, the server's id and the lifeline's."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    server, lifeline = map(int, process.stdout.readline().split())
    yield process, server, lifeline
    process.kill()
    process.communicate()


def test_the_server_ends_when_its_launcher_is_killed(
    launcher: tuple["subprocess.Popen[str]", int, int], folder: Path
) -> None:
    process, server, _ = launcher
    process.kill()
    process.wait()
    wait_until_gone(server, folder / "cluster")


def test_an_orphan_whose_lifeline_died_too_is_ended_by_the_next_start(
    launcher: tuple["subprocess.Popen[str]", int, int], folder: Path, server: PostgresServer
) -> None:
    process, orphan, lifeline = launcher
    os.kill(lifeline, signal.SIGKILL)
    process.kill()
    process.wait()
    assert serves(orphan, folder / "cluster")
    server.start()
    assert not serves(orphan, folder / "cluster")
    assert server.pid != orphan


def test_a_lock_file_that_names_somebody_elses_process_is_put_aside(server: PostgresServer, folder: Path) -> None:
    server.start()
    server.stop()
    pid_file = folder / "cluster" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{folder / 'cluster'}\n")
    server.start()
    status = postmaster_status(folder / "cluster")
    assert status == (server.pid, "ready")
