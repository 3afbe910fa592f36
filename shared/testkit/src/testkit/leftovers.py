"""What killed test sessions left behind: found by the process id in its name, removed once that process is gone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def remove_leftover_folders(parent: Path, prefix: str) -> None:
    """Remove the folders ``<prefix><pid>-…`` of sessions that ended; their servers ended with them."""
    for folder in parent.glob(f"{prefix}*"):
        session_pid = folder.name.removeprefix(prefix).partition("-")[0]
        if session_pid.isdigit() and not lives(int(session_pid)):
            shutil.rmtree(folder, ignore_errors=True)


def lives(pid: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
