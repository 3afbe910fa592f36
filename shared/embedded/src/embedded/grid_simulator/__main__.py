"""``python -m embedded.grid_simulator --port 8011 --storage FILE``: the simulated grid as a process.

Options win over GRID_SIMULATOR_PORT, GRID_SIMULATOR_STORAGE and GRID_SIMULATOR_PROVISION_S.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from chassis.http import serve_http
from chassis.logging import configure_logging
from chassis.runtime import StopSignal, main, run
from chassis.settings import SettingsError
from embedded.grid_simulator.app import PROVISION_S, create_simulator

SERVICE = "grid-simulator"
PORT = 8011
DRAIN_S = 5


def _arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    environment = os.environ
    parser = argparse.ArgumentParser(prog="python -m embedded.grid_simulator", description="A simulated grid.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback by default; it asks nobody who they are")
    parser.add_argument("--port", type=int, default=environment.get("GRID_SIMULATOR_PORT", str(PORT)))
    parser.add_argument("--storage", type=Path, default=environment.get("GRID_SIMULATOR_STORAGE", "grid.sqlite3"))
    parser.add_argument(
        "--provision-s", type=float, default=environment.get("GRID_SIMULATOR_PROVISION_S", str(PROVISION_S))
    )
    return parser.parse_args(argv)


async def serve(options: argparse.Namespace) -> int:
    """Serve until a signal comes; answers the exit code."""
    try:
        app = create_simulator(options.storage, provision_s=options.provision_s)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(f"the grid simulator cannot use {options.storage}: {error}") from error

    async def http(stop: StopSignal) -> None:
        await serve_http(app, options.host, options.port, stop, drain_s=DRAIN_S)

    return await run(SERVICE, {"http": http})


if __name__ == "__main__":
    arguments = _arguments()
    configure_logging(SERVICE, os.environ.get("LOG_FORMAT") or "console")
    sys.exit(main(serve(arguments)))
