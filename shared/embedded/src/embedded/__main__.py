"""``python -m embedded run | demo [--json] | exec SERVICE COMMAND… | kafka``: Gridledger on one machine.

Whatever keeps a command from starting is one line on standard error and exit code 2.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from chassis.settings import SettingsError
from embedded.demo.command import run_demo
from embedded.kafka_command import run_kafka
from embedded.launcher import run_stack
from embedded.programs import SERVICES
from embedded.service_command import run_service_command

EXIT_UNUSABLE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; answers the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "run":
            return asyncio.run(run_stack())
        if chosen.command == "demo":
            return asyncio.run(run_demo(json_only=chosen.json))
        if chosen.command == "kafka":
            return asyncio.run(run_kafka())
        return asyncio.run(run_service_command(chosen.service, chosen.arguments))
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_UNUSABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m embedded", description="Gridledger on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start everything; Ctrl-C stops it")
    demo = commands.add_parser("demo", help="show the money's way, on the running stack or on one of its own")
    demo.add_argument("--json", action="store_true", help="one JSON object on standard output")
    commands.add_parser("kafka", help="run Kafka alone, as a plain process; Ctrl-C stops it")
    execute = commands.add_parser("exec", help="run a service's own command on this stack's data")
    execute.add_argument("service", choices=[*SERVICES])
    execute.add_argument("arguments", nargs=argparse.REMAINDER, help="for instance: verify")
    return parser


if __name__ == "__main__":
    sys.exit(main())
