"""Serves an application over HTTP until the process is asked to stop.

Takes the port before anything else, so that one that is taken is one clear line. On stop it accepts no more, answers
what it has begun, and returns. Installs no signal handlers: those are the runtime's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from chassis.runtime import StopSignal
from chassis.settings import SettingsError

BACKLOG_MAX = 2048
KEEP_ALIVE_S = 30
DRAIN_S = 20


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


async def serve_http(app: ASGIApp, host: str, port: int, stop: StopSignal, *, drain_s: int = DRAIN_S) -> None:
    """Serve until ``stop``; requests that run then have ``drain_s`` to be answered.

    Raises SettingsError when the address cannot be taken, RuntimeError when the application's own start fails.
    """
    listening = _listen(host, port)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=drain_s,
    )
    server = _Server(config)
    ender = asyncio.create_task(_end_on(stop, server), name="http-stop")
    try:
        await server.serve(sockets=[listening])
    except SystemExit as error:
        # uvicorn's way to say that the lifespan failed; it would tear the other tasks down without draining them.
        raise RuntimeError("the application did not start; the log says why") from error
    finally:
        ender.cancel()
        listening.close()


async def _end_on(stop: StopSignal, server: uvicorn.Server) -> None:
    await stop.wait()
    server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG_MAX)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(f"cannot listen on {host} port {port} (PORT): {reason}") from error
