"""``python -m deployments serve|api|worker|migrate|dead-letters|offsets``.

``serve`` is ``api`` (HTTP) and ``worker`` (consumer, grid worker, relays) in one process.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from chassis import starting
from chassis.dead_letters_command import NAME as DEAD_LETTERS
from chassis.dead_letters_command import run_dead_letters
from chassis.http import serve_http
from chassis.inbox import run_inbox_pruning
from chassis.logging import configure_logging
from chassis.offsets_command import NAME as OFFSETS
from chassis.offsets_command import run_offsets
from chassis.runtime import StopSignal, Task, main, run
from chassis.settings import load
from chassis.tracing import exported
from deployments.bootstrap import Parts, make_worker, open_parts, relay_tasks
from deployments.entrypoints.bus.handlers import make_consumer
from deployments.entrypoints.http.routes import make_app
from deployments.settings import DeploymentsSettings

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


async def migrate() -> int:
    """Bring the database up to date, as its owner."""
    return await starting.migrate_database(_settings(), MIGRATIONS)


COMMANDS: Mapping[str, Callable[[], Awaitable[int]]] = {
    "serve": serve,
    "api": api,
    "worker": worker,
    "migrate": migrate,
}


async def command(arguments: Sequence[str]) -> int:
    """Run the command that ``arguments`` name; answers the exit code."""
    if arguments[:1] == [DEAD_LETTERS]:
        return await run_dead_letters(DeploymentsSettings, arguments[1:])
    if arguments[:1] == [OFFSETS]:
        return await run_offsets(DeploymentsSettings, arguments[1:])
    chosen = COMMANDS.get(arguments[0]) if len(arguments) == 1 else None
    if chosen is None:
        print(f"usage: python -m deployments {'|'.join([*COMMANDS, DEAD_LETTERS, OFFSETS])}", file=sys.stderr)
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

    return {"http": http}


def _background(parts: Parts) -> dict[str, Task]:
    return {
        "consumer": make_consumer(parts).run,
        "inbox-pruning": partial(run_inbox_pruning, parts.pool),
        "worker": make_worker(parts).run,
        **relay_tasks(parts),
    }


def _settings() -> DeploymentsSettings:
    settings = load(DeploymentsSettings)
    configure_logging(settings.service, settings.log_format)
    return settings


if __name__ == "__main__":
    sys.exit(main(command(sys.argv[1:])))
