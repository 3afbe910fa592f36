"""The data folder of one stack: who uses it, and what a running launcher leaves there for other commands.

One launcher at a time holds ``launcher.lock``. ``stack.json`` (0600) says where everything runs; it is only to be
believed while the lock is held.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chassis.settings import SettingsError
from embedded.kept_secrets import KeptSecrets, write_private
from embedded.provisioning import DatabaseAccess

LOCK_NAME = "launcher.lock"
NOTE_NAME = "stack.json"
CONNECTIONS_NAME = "connections.env"


@dataclass(frozen=True, slots=True)
class StackNote:
    """A running stack: process → port, process → pid, service → everything it is configured by (with secrets)."""

    launcher_pid: int
    ready: bool
    ports: Mapping[str, int]
    pids: Mapping[str, int]
    environments: Mapping[str, Mapping[str, str]] = field(repr=False)


@contextmanager
def hold_folder(data_dir: Path) -> Iterator[None]:
    """Make the folder if it is missing and keep all other launchers out of it. Raises SettingsError."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(f"DATA_DIR: cannot use the folder {data_dir}: {error.strerror}") from error
    try:
        if not _take(lock):
            raise SettingsError(f"DATA_DIR: another launcher is running on {data_dir}")
        # One that was killed left its note, which must not be taken for ours.
        (data_dir / NOTE_NAME).unlink(missing_ok=True)
        yield
        (data_dir / NOTE_NAME).unlink(missing_ok=True)
    finally:
        os.close(lock)


def leave_note(data_dir: Path, note: StackNote) -> None:
    """Say where everything runs. The folder must be held."""
    write_private(data_dir / NOTE_NAME, json.dumps(asdict(note), indent=2))


def write_connections(
    data_dir: Path, databases: Mapping[str, DatabaseAccess], bus_address: str, kept: KeptSecrets
) -> None:
    """For a shell: how operators reach databases and bus while the stack runs. Only ports change between starts."""
    lines = [f"{name.upper()}_DATABASE_URL={access.app_dsn}" for name, access in databases.items()]
    lines += [f"{name.upper()}_MIGRATION_DATABASE_URL={access.owner_dsn}" for name, access in databases.items()]
    lines += [f"BUS_URL={bus_address}", f"SERVICE_TOKEN={kept.variables['SERVICE_TOKEN']}"]
    write_private(data_dir / CONNECTIONS_NAME, "\n".join(lines) + "\n")


def read_note(data_dir: Path) -> StackNote | None:
    """What the launcher that holds the folder says; None when there is no launcher or it has said nothing yet."""
    try:
        lock = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _take(lock) else _parse(data_dir / NOTE_NAME)
    finally:
        os.close(lock)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parse(path: Path) -> StackNote | None:
    try:
        return StackNote(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error
