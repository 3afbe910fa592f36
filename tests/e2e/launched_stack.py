"""The launcher as a process, on free ports and a folder of its own; and of those that tests share, one at a time.

A stack that only stands there still asks its database for news, so that many of them would leave no time to the tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from embedded.data_folder import StackNote, read_note
from embedded.demo.stack_at_hand import ports_of_its_own

ROOT = Path(__file__).resolve().parents[2]
STRIPE_SECRET = "whsec_x"
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 60.0
RETRY_S = 0.1


class LaunchedStack:
    """A launcher, started as ``make run`` does. ``environment`` comes on top of free ports."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            **ports_of_its_own(),
            "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
            "DATA_DIR": str(folder / "data"),
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data_dir(self) -> Path:
        return Path(self.environment["DATA_DIR"])

    @property
    def log(self) -> str:
        return (self.folder / "run.log").read_text(errors="replace")

    @property
    def launcher_pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with (self.folder / "run.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "embedded", "run"], env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, f"the launcher ended with {self._process.returncode}:\n{self.log}"
            note = read_note(self.data_dir)
            if note is not None and note.ready:
                return
            time.sleep(RETRY_S)
        pytest.fail(f"not ready in time:\n{self.log}")

    def note(self) -> StackNote:
        note = read_note(self.data_dir)
        assert note is not None, f"no launcher runs:\n{self.log}"
        return note

    def url(self, process: str) -> str:
        return f"http://127.0.0.1:{self.note().ports[process]}"

    def pid(self, process: str) -> int:
        return self.note().pids[process]

    def kill(self, process: str) -> int:
        """kill -9; answers the pid that it had."""
        pid = self.pid(process)
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the launcher to end; answers its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            pytest.fail(f"the launcher did not stop within {STOP_TIMEOUT_S} s:\n{self.log}")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``python -m embedded …`` beside or without the running stack."""
        return subprocess.run(
            [sys.executable, "-m", "embedded", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )

    def remove(self) -> None:
        """Stop it, if it was started, and forget its folder."""
        if self._process is not None:
            self.stop()
        shutil.rmtree(self.folder)


def new_stack(**environment: str) -> LaunchedStack:
    """One that is not started yet, for ``remove`` in the end."""
    folder = Path(tempfile.mkdtemp(prefix="gridledger-e2e-"))
    # As root, PostgreSQL runs as another user, who must be able to walk in.
    folder.chmod(0o755)
    return LaunchedStack(folder, environment)


def running(stack: LaunchedStack) -> LaunchedStack:
    stack.start()
    stack.wait_ready()
    return stack


class SharedStack:
    """The stack at hand: asked for another, it ends the one and starts the other."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._stack: LaunchedStack | None = None

    def __call__(self, name: str, **environment: str) -> LaunchedStack:
        """The running one of that name."""
        if self._stack is None or self._name != name:
            self.end()
            self._name, self._stack = name, new_stack(**environment)
            running(self._stack)
        return self._stack

    def end(self) -> None:
        """Whatever runs, or never got so far."""
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.remove()
