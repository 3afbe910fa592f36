"""A port that belongs to a server and at which nobody answers until a test says so: a server that comes up late.

Until then connections are refused, as they are where nobody listens, and nobody else can take the port.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

from embedded.ports import LOOPBACK, free_port

CHUNK_BYTES = 64 * 1024


class LateDoor:
    """In front of the server that a URL names: ``async with LateDoor(dsn) as door``. ``door.url`` leads through it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._behind = parts.hostname, parts.port
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((LOOPBACK, free_port()))
        signed_in, at, _ = parts.netloc.rpartition("@")
        self.port: int = self._socket.getsockname()[1]
        self.url = parts._replace(netloc=f"{signed_in}{at}{LOOPBACK}:{self.port}").geturl()
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> LateDoor:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._socket.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def open(self) -> None:
        """The server has come: from now on whoever knocks is led to it."""
        assert self._server is None, "it is open"
        self._server = await asyncio.start_server(self._lead, sock=self._socket)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        try:
            # One of the two may leave while the other speaks.
            with suppress(OSError):
                await self._pass_on(reader, writer)
        finally:
            self._passing.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._behind)
        try:
            ways = [_pump(reader, server_writer), _pump(server_reader, writer)]
            pumps = [asyncio.ensure_future(way) for way in ways]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            server_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
