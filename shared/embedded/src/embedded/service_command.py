"""Runs a service's own command (``ledger verify`` and the like) on the data of this machine's stack.

Beside a running stack where there is one; else it starts PostgreSQL and the bus, for as long as the command takes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from chassis.settings import SettingsError
from embedded.data_folder import hold_folder, read_note
from embedded.launcher import Stack
from embedded.log_lines import LAUNCHER, LogLines
from embedded.programs import SERVICES
from embedded.stack_settings import read_settings


async def run_service_command(service: str, arguments: Sequence[str]) -> int:
    """Run ``python -m <service> <arguments>``; answers its exit code. Raises SettingsError with one line."""
    settings = read_settings(os.environ, Path.cwd())
    if not settings.data_dir.is_dir():
        raise SettingsError(f"DATA_DIR: there is no folder {settings.data_dir}; start the stack once")
    note = read_note(settings.data_dir)
    if note is not None:
        return await _run(service, arguments, note.environments[service])
    with hold_folder(settings.data_dir):
        # What the command prints is for programs too; the launcher's own words go beside it.
        stack = Stack(settings, LogLines(sys.stderr, (LAUNCHER,)))
        try:
            environments = await stack.start_ground()
            return await _run(service, arguments, environments[service])
        finally:
            await stack.stop()


async def _run(service: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", SERVICES[service], *arguments, env={**os.environ, **environment}
    )
    return await process.wait()
