"""``python -m embedded run | demo [--json]``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from chassis.settings import SettingsError
from embedded.launcher import run_stack

EXIT_UNUSABLE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; one line on standard error and exit code 2 when it cannot even start."""
    parser = argparse.ArgumentParser(prog="python -m embedded", description="Gridledger on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start everything; Ctrl-C stops it")
    chosen = parser.parse_args(arguments)
    assert chosen.command == "run"
    try:
        return asyncio.run(run_stack())
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
