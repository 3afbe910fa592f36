"""A lean HTTP/1.1 load generator: keep-alive connections that send ready-made requests, one at a time each.

Everything is built before the clock starts; while it runs, a connection only writes bytes, looks for the end of the
answer and notes the time. It shares the machine with what it measures, so it must cost next to nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "
OK = b"HTTP/1.1 200 "


@dataclass(frozen=True, slots=True)
class Round:
    """What one round measured. ``latencies_s`` is one entry per request, in no order."""

    requests: int
    seconds: float
    latencies_s: Sequence[float]

    @property
    def requests_per_s(self) -> float:
        """Answered with 200, per second of the round."""
        return self.requests / self.seconds


class NotTwoHundred(AssertionError):
    """An answer that is not 200: the round measured something else than was meant."""


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], latencies_s: list[float], done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._latencies_s = latencies_s
        self._done = done
        self._received = b""
        self._started = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def send_next(self) -> None:
        request = next(self._requests, None)
        assert self._transport is not None
        if request is None:
            self._transport.close()
            self._finish(None)
            return
        self._started = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        end = received.find(HEAD_END)
        if end < 0 or len(received) < end + len(HEAD_END) + _body_length(received, end):
            self._received = received
            return
        self._received = b""
        self._latencies_s.append(time.perf_counter() - self._started)
        if not received.startswith(OK):
            self._finish(NotTwoHundred(received[:500].decode(errors="replace")))
            return
        self.send_next()

    def connection_lost(self, error: Exception | None) -> None:
        self._finish(error or ConnectionResetError("the server closed the connection"))

    def _finish(self, error: Exception | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)


def _body_length(received: bytes, end: int) -> int:
    start = received.find(LENGTH, 0, end) + len(LENGTH)
    return int(received[start : received.find(b"\r", start)])


async def run_round(port: int, requests: Sequence[bytes], connections: int) -> Round:
    """Send ``requests`` over ``connections`` connections to the loopback port; every answer must be 200."""
    loop = asyncio.get_running_loop()
    waiting, latencies_s = iter(requests), list[float]()
    opened: list[_Connection] = []
    dones: list[asyncio.Future[None]] = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        connection = _Connection(waiting, latencies_s, done)
        await loop.create_connection(lambda made=connection: made, "127.0.0.1", port)  # type: ignore[misc]
        opened.append(connection)
        dones.append(done)
    started = time.perf_counter()
    for connection in opened:
        connection.send_next()
    await asyncio.gather(*dones)
    seconds = time.perf_counter() - started
    assert len(latencies_s) == len(requests)
    return Round(len(requests), seconds, latencies_s)
