"""``python -m gateway_ingest serve|api|worker|migrate|quarantine|event|reconcile|dead-letters|offsets``.

serve is api and worker in one process: webhooks are heard, the outbox is published, chains are watched.
"""

from __future__ import annotations

import argparse
import sys

from chassis import runtime
from chassis.bus import Bus
from chassis.dead_letters_command import NAME as DEAD_LETTERS
from chassis.dead_letters_command import run_dead_letters
from chassis.errors import OperationalError
from chassis.http import serve_http
from chassis.inbox import run_inbox_pruning
from chassis.logging import configure_logging
from chassis.offsets_command import NAME as OFFSETS
from chassis.offsets_command import run_offsets
from chassis.runtime import StopSignal, Task
from chassis.settings import load
from chassis.starting import migrate_database
from chassis.tracing import exported
from contracts.topics import PARTITIONS
from gateway_ingest.bootstrap import MIGRATIONS, Service, build
from gateway_ingest.entrypoints import commands, look_command, reconcile_command
from gateway_ingest.entrypoints.bus.handlers import make_consumer
from gateway_ingest.entrypoints.http.app import create
from gateway_ingest.settings import IngestSettings

RUNNING = ("serve", "api", "worker")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="gateway_ingest", description=__doc__, epilog=f"See {DEAD_LETTERS} --help and {OFFSETS} --help, too."
    )
    modes = parser.add_subparsers(dest="mode", required=True)
    modes.add_parser("serve", help="hear webhooks and publish what was paid")
    modes.add_parser("api", help="only hear webhooks")
    modes.add_parser("worker", help="only publish, and watch chains")
    modes.add_parser("migrate", help="bring the database's tables up to date")
    quarantine = modes.add_parser("quarantine", help="list the genuine webhooks that make no sense to us")
    quarantine.add_argument("--json", action="store_true", help="one JSON object a line")
    event = modes.add_parser("event", help="show one event as it came, decrypted")
    event.add_argument("gateway")
    event.add_argument("event_id")
    reconcile = modes.add_parser("reconcile", help="compare a gateway's own list with the ledger")
    reconcile_command.add_arguments(reconcile)
    look_command.add_arguments(modes.add_parser("watch", help="look at a transaction that the watchers did not see"))
    return parser.parse_args()


async def _command() -> int:
    if sys.argv[1:2] == [DEAD_LETTERS]:
        return await run_dead_letters(IngestSettings, sys.argv[2:])
    if sys.argv[1:2] == [OFFSETS]:
        return await run_offsets(IngestSettings, sys.argv[2:])
    return await _main(_arguments())


async def _main(arguments: argparse.Namespace) -> int:
    if arguments.mode == "reconcile":
        return await reconcile_command.run(arguments)
    if arguments.mode == "watch":
        return await look_command.run(arguments)
    settings = load(IngestSettings)
    # What commands print is for programs; log lines would be in between.
    configure_logging(settings.service, settings.log_format, stream=None if arguments.mode in RUNNING else sys.stderr)
    match arguments.mode:
        case "migrate":
            return await migrate_database(settings, MIGRATIONS)
        case "quarantine":
            return await commands.quarantine(settings, as_json=arguments.json)
        case "event":
            return await commands.event(settings, arguments.gateway, arguments.event_id)
        case mode:
            with exported(settings):
                async with build(settings) as service:
                    return await runtime.run(settings.service, tasks_of(service, mode))


def tasks_of(service: Service, mode: str) -> dict[str, Task]:
    """What runs in this mode, by name."""

    async def http(stop: StopSignal) -> None:
        await serve_http(create(service), service.settings.host, service.settings.port, stop)

    match mode:
        case "api":
            return {"http": http}
        case "worker":
            return _background(service)
        case _:
            return {"http": http, **_background(service)}


def _background(service: Service) -> dict[str, Task]:
    """Publishing; and where a network has a node, hearing of addresses and watching it."""
    tasks: dict[str, Task] = {"relay": service.relay}
    if not service.watchers:
        return tasks

    async def hear(bus: Bus, stop: StopSignal) -> bool:
        try:
            await bus.ensure_topics(PARTITIONS)
        except OperationalError:
            return False
        await make_consumer(service, bus).run(stop)
        return True

    async def deposits(stop: StopSignal) -> None:
        await service.on_bus(hear, stop)

    async def inbox(stop: StopSignal) -> None:
        await run_inbox_pruning(service.pool, stop)

    watching = {f"watch-{network}": watcher.run for network, watcher in service.watchers.items()}
    return {**tasks, "deposits": deposits, "inbox-pruning": inbox, **watching}


if __name__ == "__main__":
    sys.exit(runtime.main(_command()))
