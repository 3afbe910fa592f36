"""What a PostgreSQL data folder says about the server that runs in it, and how a left-over one is ended.

Reads ``postmaster.pid`` only; never touches the data. A number in that file is believed only when the process
behind it serves this very folder, since numbers are used again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from embedded.server_account import PostgresServerError

FAST_STOP_TIMEOUT_S = 20.0
IMMEDIATE_STOP_TIMEOUT_S = 10.0
POLL_S = 0.01
PROC = Path("/proc")


def postmaster_status(cluster: Path) -> tuple[int, str] | None:
    """Process id and state ("starting", "ready", …) from the lock file, None without a readable one."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
    except (OSError, ValueError, IndexError):
        return None


def end_orphan(cluster: Path) -> None:
    """End a server that an earlier instance left behind. The caller holds the folder's lock, so nobody uses it.

    Raises PostgresServerError when the server ends neither fast nor immediately.
    """
    status = postmaster_status(cluster)
    if status is None:
        return
    pid = status[0]
    if not serves(pid, cluster):
        (cluster / "postmaster.pid").unlink(missing_ok=True)
        return
    for sign, patience_s in ((signal.SIGINT, FAST_STOP_TIMEOUT_S), (signal.SIGQUIT, IMMEDIATE_STOP_TIMEOUT_S)):
        os.kill(pid, sign)
        if _wait_gone(pid, cluster, patience_s):
            return
    raise PostgresServerError(f"a PostgreSQL left over in {cluster} (process {pid}) does not end")


def serves(pid: int, cluster: Path) -> bool:
    """Whether process ``pid`` lives and was started on this folder."""
    return os.fsencode(cluster) in _arguments(pid)


def _arguments(pid: int) -> list[bytes]:
    if (PROC / "self").exists():
        try:
            return (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return []
    listing = subprocess.run(  # noqa: S603 - our own fixed program
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False
    )
    return listing.stdout.split()


def _wait_gone(pid: int, cluster: Path, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while serves(pid, cluster):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
