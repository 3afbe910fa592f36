"""Reads a request's body within its limits: so many bytes, so many seconds.

One timer watches all bodies that are under way, since nearly every body is there at once and a timer for each would
cost more than reading it. What is over is told by an exception; answers are the endpoint's.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive


class BodyTooLarge(Exception):
    """There are more bytes than may be; the rest was not read."""


class BodyTooSlow(Exception):
    """The body was not there in time."""


class BodyReader:
    """Reads bodies of at most ``max_bytes``; one that is not there after ``timeout_s`` is given up, up to the same
    time later."""

    def __init__(self, *, max_bytes: int, timeout_s: float) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        # In the order in which they began, so the first is the oldest.
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._sweeping = False

    async def read(self, receive: Receive) -> bytes:
        """The whole body. Raises BodyTooLarge, BodyTooSlow, ClientDisconnect."""
        task = asyncio.current_task()
        assert task is not None
        self._watch(task)
        try:
            return await self._collect(receive)
        except asyncio.CancelledError:
            # Ours, unless somebody else cancelled the task as well.
            if task in self._late and task.uncancel() == 0:
                raise BodyTooSlow from None
            raise
        finally:
            self._reading.pop(task, None)
            self._late.discard(task)

    async def _collect(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        length = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            length += len(chunk)
            if length > self._max_bytes:
                raise BodyTooLarge
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _watch(self, task: asyncio.Task[Any]) -> None:
        loop = asyncio.get_running_loop()
        self._reading[task] = loop.time()
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(self._timeout_s, self._sweep)

    def _sweep(self) -> None:
        """Give up what began too long ago, and look again while there is anything."""
        loop = asyncio.get_running_loop()
        began_before = loop.time() - self._timeout_s
        for task, began in self._reading.items():
            if began > began_before:
                break
            if task not in self._late:
                self._late.add(task)
                task.cancel()
        self._sweeping = bool(self._reading)
        if self._sweeping:
            loop.call_later(self._timeout_s, self._sweep)
