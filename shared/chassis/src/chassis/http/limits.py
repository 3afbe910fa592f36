"""Bounds on one request: how many bytes its body may have and how long it may take to be answered.

Counted while the body streams in, so a missing or wrong Content-Length changes nothing. A response that has begun
(a stream of events) is no longer timed. Says nothing about how many requests come at once.
"""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.http.problem import problem, unavailable


class BodyTooLarge(HTTPException):
    """The body is longer than the interface takes; 413. The connection is closed, the rest is not read."""

    def __init__(self, body_max_bytes: int) -> None:
        super().__init__(413, f"the body must not be longer than {body_max_bytes} bytes", {"connection": "close"})


class Limits:
    """ASGI middleware. ``timeout_s`` runs from the request's head to the first byte of the response."""

    def __init__(self, app: ASGIApp, *, body_max_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._body_max_bytes = body_max_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _declared_length(scope) > self._body_max_bytes:
            error = BodyTooLarge(self._body_max_bytes)
            title = "Content Too Large"
            answer = problem(413, "body_too_large", title, error.detail, headers=error.headers)
            await answer(scope, receive, send)
            return
        await self._timed(scope, receive, send)

    async def _timed(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(receive, send, self._body_max_bytes)
        try:
            async with asyncio.timeout(self._timeout_s) as exchange.limit:
                await self._app(scope, exchange.receive, exchange.send)
        except TimeoutError:
            if exchange.limit is None or not exchange.limit.expired():
                raise
            await unavailable(f"Not answered within {self._timeout_s:g} s; try again")(scope, receive, send)


class _Exchange:
    """One request's body and response on their way through."""

    __slots__ = ("_body_max_bytes", "_receive", "_received_bytes", "_send", "limit")

    def __init__(self, receive: Receive, send: Send, body_max_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._body_max_bytes = body_max_bytes
        self._received_bytes = 0
        self.limit: asyncio.Timeout | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received_bytes += len(message.get("body", b""))
            if self._received_bytes > self._body_max_bytes:
                raise BodyTooLarge(self._body_max_bytes)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self.limit is not None:
            self.limit.reschedule(None)
        await self._send(message)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            # A length that is no number is refused by the HTTP parser before it comes here.
            return int(value) if value.isdigit() else 0
    return 0
