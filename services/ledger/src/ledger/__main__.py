"""``python -m ledger serve|api|worker|migrate|verify|rebuild|dead-letters|offsets [--json]``.

``serve`` is ``api`` (HTTP) and ``worker`` (consumer, relays, journal) in one process.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chassis.dead_letters_command import NAME as DEAD_LETTERS
from chassis.dead_letters_command import run_dead_letters
from chassis.http import serve_http
from chassis.logging import configure_logging
from chassis.offsets_command import NAME as OFFSETS
from chassis.offsets_command import run_offsets
from chassis.runtime import StopSignal, Task, main, run
from chassis.settings import load
from chassis.starting import migrate_database
from chassis.tracing import exported
from ledger.bootstrap import Parts, background_tasks, engine_tasks, open_parts
from ledger.entrypoints import operators
from ledger.entrypoints.bus.consumer import make_consumer
from ledger.entrypoints.http.app import make_app
from ledger.settings import LedgerSettings

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def _http(parts: Parts) -> dict[str, Task]:
    async def http(stop: StopSignal) -> None:
        await serve_http(make_app(parts), parts.settings.host, parts.settings.port, stop)

    return {**engine_tasks(parts), "http": http}


def _background(parts: Parts) -> dict[str, Task]:
    return {**engine_tasks(parts), "consumer": make_consumer(parts).run, **background_tasks(parts)}


PROCESSES: Mapping[str, Callable[[Parts], dict[str, Task]]] = {
    "serve": lambda parts: {**_http(parts), **_background(parts)},
    "api": _http,
    "worker": _background,
}


async def command(arguments: Sequence[str]) -> int:
    """Run the command that ``arguments`` name; answers the exit code."""
    if arguments[:1] == [DEAD_LETTERS]:
        return await run_dead_letters(LedgerSettings, arguments[1:])
    if arguments[:1] == [OFFSETS]:
        return await run_offsets(LedgerSettings, arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m ledger",
        description="The only owner of money.",
        epilog=f"See {DEAD_LETTERS} --help and {OFFSETS} --help, too.",
    )
    parser.add_argument("command", choices=[*PROCESSES, "migrate", "verify", "rebuild"])
    parser.add_argument("--json", action="store_true", help="verify, rebuild: one JSON object on standard output")
    chosen = parser.parse_args(arguments)
    settings = load(LedgerSettings)
    configure_logging(settings.service, settings.log_format)
    if chosen.command == "migrate":
        return await migrate_database(settings, MIGRATIONS)
    if chosen.command == "verify":
        return await operators.verify(settings, as_json=chosen.json)
    if chosen.command == "rebuild":
        return await operators.rebuild(settings, as_json=chosen.json)
    with exported(settings):
        async with open_parts(settings) as parts:
            return await run(settings.service, PROCESSES[chosen.command](parts))


if __name__ == "__main__":
    sys.exit(main(command(sys.argv[1:])))
