"""``python -m payments_api serve|api|worker|migrate|dead-letters|offsets``.

``serve`` is ``api`` (HTTP and the live feed) and ``worker`` (consumer, relays, open purchases) in one process.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from chassis import starting
from chassis.dead_letters_command import NAME as DEAD_LETTERS
from chassis.dead_letters_command import run_dead_letters
from chassis.http import serve_http
from chassis.logging import configure_logging
from chassis.offsets_command import NAME as OFFSETS
from chassis.offsets_command import run_offsets
from chassis.runtime import StopSignal, Task, main, run
from chassis.settings import load
from chassis.tracing import exported
from payments_api.bootstrap import Parts, housekeeping_tasks, open_parts, relay_tasks
from payments_api.entrypoints.bus.handlers import make_consumer
from payments_api.entrypoints.http.api import make_app
from payments_api.settings import PaymentsApiSettings

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
EXIT_USAGE = 2


async def serve() -> int:
    """HTTP and background work."""
    return await _run(lambda parts: {**_http(parts), **_background(parts)})


async def api() -> int:
    """HTTP alone."""
    return await _run(_http)


async def worker() -> int:
    """Background work alone."""
    return await _run(_background)


async def migrate_database() -> int:
    """Bring the database up to date, as its owner."""
    return await starting.migrate_database(_settings(), MIGRATIONS)


COMMANDS: Mapping[str, Callable[[], Awaitable[int]]] = {
    "serve": serve,
    "api": api,
    "worker": worker,
    "migrate": migrate_database,
}


async def command(arguments: Sequence[str]) -> int:
    """Run the command that ``arguments`` name; answers the exit code."""
    if arguments[:1] == [DEAD_LETTERS]:
        return await run_dead_letters(PaymentsApiSettings, arguments[1:])
    if arguments[:1] == [OFFSETS]:
        return await run_offsets(PaymentsApiSettings, arguments[1:])
    chosen = COMMANDS.get(arguments[0]) if len(arguments) == 1 else None
    if chosen is None:
        print(f"usage: python -m payments_api {'|'.join([*COMMANDS, DEAD_LETTERS, OFFSETS])}", file=sys.stderr)
        return EXIT_USAGE
    return await chosen()


async def _run(tasks: Callable[[Parts], Mapping[str, Task]]) -> int:
    settings = _settings()
    with exported(settings):
        async with open_parts(settings) as parts:
            return await run(settings.service, tasks(parts))


def _http(parts: Parts) -> dict[str, Task]:
    async def http(stop: StopSignal) -> None:
        await serve_http(make_app(parts), parts.settings.host, parts.settings.port, stop)

    return {"http": http, "live-feed": parts.feed.run}


def _background(parts: Parts) -> dict[str, Task]:
    return {"consumer": make_consumer(parts).run, **relay_tasks(parts), **housekeeping_tasks(parts)}


def _settings() -> PaymentsApiSettings:
    settings = load(PaymentsApiSettings)
    configure_logging(settings.service, settings.log_format)
    return settings


if __name__ == "__main__":
    sys.exit(main(command(sys.argv[1:])))
