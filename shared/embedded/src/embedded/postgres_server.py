"""One PostgreSQL 18 in a data folder, as a child process on the loopback address.

Owns the folder ``<data_dir>``: ``cluster/`` (PostgreSQL's own), ``superuser.password`` (0600), ``server.log`` and
``in-use.lock``. Connections are TCP with scram-sha-256. A lifeline process ends the server when we die without
stopping it; should that die too, the next start ends the orphan. Creates no databases: see provisioning.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded.ports import LOOPBACK, free_port, port_refusal
from embedded.postmaster import FAST_STOP_TIMEOUT_S, IMMEDIATE_STOP_TIMEOUT_S, POLL_S, end_orphan, postmaster_status
from embedded.server_account import (
    PostgresServerError,
    ServerAccount,
    reachable_binaries,
    reachable_data_dir,
    server_account,
    wheel_version,
)

SUPERUSER = "postgres"
LOG_MAX_BYTES = 10 * 1024 * 1024
INIT_TIMEOUT_S = 60.0
START_TIMEOUT_S = 30.0
PORT_ATTEMPTS_MAX = 3
# Ends the server (argument 1) when its standard input closes, which the kernel does for us when we die.
LIFELINE = 'read -r _; kill -INT "$1" 2>/dev/null'

SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "password_encryption": "scram-sha-256",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Where a running server is. ``superuser_dsn`` holds the password, so it is kept out of the repr."""

    host: str
    port: int
    data_dir: Path
    binaries_dir: Path
    user: str
    version: str
    superuser_dsn: str = field(repr=False)


class PostgresServer:
    """Starts and stops the server of one data folder. Not for use by several threads at once.

    ``port`` None takes a free one at each start. ``settings`` override the defaults of SETTINGS.
    """

    def __init__(self, data_dir: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        self._wanted_dir = data_dir
        self._port = port
        self._settings = {**SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None while stopped."""
        return self._process.pid if self._process else None

    def returncode(self) -> int | None:
        """The exit code of a server that ended by itself; None while it runs or was never started."""
        return self._process.poll() if self._process else None

    def start(self) -> ServerInfo:
        """Make the cluster if it is missing, start the server and wait until it accepts connections.

        Raises PostgresServerError with one line: port taken, folder in use or unusable, another major version.
        """
        if self._process is not None and self._process.poll() is None:
            raise PostgresServerError("this server is running already")
        self._release()
        account = server_account()
        binaries = reachable_binaries(account)
        data_dir = reachable_data_dir(account, self._wanted_dir)
        self._lock = _take_lock(data_dir)
        try:
            port = self._launch(account, binaries, data_dir)
        except BaseException:
            self._end(immediately=True)
            raise
        password = (data_dir / "superuser.password").read_text().strip()
        return ServerInfo(
            host=LOOPBACK,
            port=port,
            data_dir=data_dir,
            binaries_dir=binaries,
            user=account.name,
            version=wheel_version(),
            superuser_dsn=f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{port}/postgres",
        )

    def stop(self) -> None:
        """Stop the server: open transactions are rolled back, data is on disk afterwards. Stopping twice is fine."""
        self._end(immediately=False)

    def _launch(self, account: ServerAccount, binaries: Path, data_dir: Path) -> int:
        cluster = data_dir / "cluster"
        _refuse_other_version(cluster)
        if not cluster.exists():
            _create_cluster(account, binaries, data_dir)
        end_orphan(cluster)
        for _ in range(PORT_ATTEMPTS_MAX):
            port = self._port or free_port()
            if self._port:
                _refuse_taken_port(port)
            log_path = _rotated_log(data_dir)
            log_start = log_path.stat().st_size
            self._spawn(account, binaries, cluster, port, log_path)
            if self._wait_ready(cluster, log_path, log_start):
                return port
        raise PostgresServerError(f"PostgreSQL found no free port in {PORT_ATTEMPTS_MAX} attempts")

    def _spawn(self, account: ServerAccount, binaries: Path, cluster: Path, port: int, log_path: Path) -> None:
        settings = {**self._settings, "port": str(port)}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        with log_path.open("ab") as log:
            account.own(log_path)
            self._process = subprocess.Popen(  # noqa: S603 - our own fixed program
                [str(binaries / "postgres"), "-D", str(cluster), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C at the terminal is for the launcher, which stops the database last.
                start_new_session=True,
                **_as_account(account),
            )
        self._lifeline = subprocess.Popen(  # noqa: S603 - our own fixed program
            ["/bin/sh", "-c", LIFELINE, "lifeline", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **_as_account(account),
        )

    def _wait_ready(self, cluster: Path, log_path: Path, log_start: int) -> bool:
        """True once ready; False when a port that we chose ourselves was taken meanwhile."""
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return self._explain_exit(log_path, log_start)
            if postmaster_status(cluster) == (self._process.pid, "ready"):
                return True
            time.sleep(POLL_S)
        raise PostgresServerError(f"PostgreSQL was not ready within {START_TIMEOUT_S:.0f} s; see {log_path}")

    def _explain_exit(self, log_path: Path, log_start: int) -> bool:
        said = log_path.read_bytes()[log_start:].decode(errors="replace")
        self._stop_lifeline()
        if "Address already in use" in said and self._port is None:
            return False
        lines = [line for line in said.splitlines() if "FATAL" in line] or said.splitlines()[-1:] or ["no output"]
        raise PostgresServerError(f"PostgreSQL did not start: {lines[-1].strip()} (log: {log_path})")

    def _end(self, *, immediately: bool) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
            _wait_or_insist(process)
        self._release()

    def _release(self) -> None:
        self._stop_lifeline()
        self._process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _stop_lifeline(self) -> None:
        if self._lifeline is None:
            return
        self._lifeline.kill()
        self._lifeline.wait()
        assert self._lifeline.stdin is not None
        self._lifeline.stdin.close()
        self._lifeline = None


def _as_account(account: ServerAccount) -> dict[str, Any]:
    """Arguments for subprocess that switch to the account; the folder of the caller may be closed to it."""
    if not account.switches:
        return {"cwd": "/"}
    return {"cwd": "/", "user": account.uid, "group": account.gid, "extra_groups": [], "umask": 0o077}


def _take_lock(data_dir: Path) -> int:
    lock = os.open(data_dir / "in-use.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise PostgresServerError(f"the data folder {data_dir} is in use by another running instance") from error
    return lock


def _refuse_other_version(cluster: Path) -> None:
    version_file = cluster / "PG_VERSION"
    if not version_file.exists():
        return
    found, ours = version_file.read_text().strip(), wheel_version().split(".")[0]
    if found != ours:
        raise PostgresServerError(
            f"the data in {cluster} is PostgreSQL {found}'s, this is {ours}; dump and restore it or run pg_upgrade"
        )


def _create_cluster(account: ServerAccount, binaries: Path, data_dir: Path) -> None:
    """Run initdb beside the final place and rename, so that an interrupted one is never taken for a cluster."""
    scratch, password_file = data_dir / "cluster.new", data_dir / "superuser.password"
    shutil.rmtree(scratch, ignore_errors=True)
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_urlsafe(24))
    account.own(password_file)
    result = subprocess.run(  # noqa: S603 - our own fixed program
        [
            str(binaries / "initdb"),
            f"--pgdata={scratch}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-instructions",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=INIT_TIMEOUT_S,
        **_as_account(account),
    )
    if result.returncode != 0:
        reason = (result.stderr or result.stdout).strip().splitlines() or ["no output"]
        raise PostgresServerError(f"initdb failed in {data_dir}: {reason[-1]}")
    scratch.rename(data_dir / "cluster")


def _wait_or_insist(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(FAST_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        process.wait(IMMEDIATE_STOP_TIMEOUT_S)


def _rotated_log(data_dir: Path) -> Path:
    log_path = data_dir / "server.log"
    if log_path.exists() and log_path.stat().st_size > LOG_MAX_BYTES:
        log_path.replace(data_dir / "server.log.1")
    log_path.touch(mode=0o600)
    return log_path


def _refuse_taken_port(port: int) -> None:
    refusal = port_refusal(port)
    if refusal is not None:
        raise PostgresServerError(f"port {port} for PostgreSQL is taken or not allowed: {refusal}")
