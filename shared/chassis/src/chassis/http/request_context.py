"""The outermost layer of an interface: names each request, counts it, and lets no error out without an answer.

``x-request-id`` comes from the caller when it is harmless, else is made here; it goes into every log line of the
request and back in the response. What nobody handled is logged with its traceback and answered 500, or 503 when it
is an error that passes.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from functools import lru_cache

import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import metrics
from chassis.http.problem import problem, unavailable
from chassis.logging import request_id
from chassis.postgres import is_transient

HEADER = b"x-request-id"
HARMLESS_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
OTHER_METHOD = "other"
UNMATCHED = "unmatched"

log = structlog.get_logger("http")


class RequestContext:
    """ASGI middleware; must stand outside all others but the one that traces."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # Unlike any other process's, and cheap: it is made for every request.
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = _given_id(scope) or f"{self._prefix}-{next(self._numbers):x}".encode()
        answer = _Answer(send, name)
        started = time.perf_counter()
        token = request_id.set(name.decode())
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001 - the last place where a request can still be answered
            await _answer_error(error, answer, scope, receive)
        finally:
            request_id.reset(token)
            _count(scope, answer.status, time.perf_counter() - started)


class _Answer:
    """Adds the request's id to the response and notes whether one began."""

    __slots__ = ("_request_id", "_send", "status")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (HEADER, self._request_id)]
        await self._send(message)


async def _answer_error(error: Exception, answer: _Answer, scope: Scope, receive: Receive) -> None:
    passes = is_transient(error)
    if passes:
        log.warning("request_failed_for_now", path=scope["path"], error=repr(error))
    else:
        log.error("request_crashed", path=scope["path"], exc_info=error)
    if answer.status:
        # Half a response cannot be taken back; the server cuts the connection, so the client sees that it is half.
        raise error
    response = (
        unavailable("Something this request needs is away; try again")
        if passes
        else problem(500, "internal_error", "We made a mistake; it has been recorded")
    )
    await response(scope, receive, answer.send)


def _given_id(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == HEADER:
            return value if HARMLESS_ID.fullmatch(value) else None
    return None


def route_of(scope: Scope) -> str:
    """The route's template, never the path: paths hold ids."""
    return str(scope.get("route_template") or getattr(scope.get("route"), "path", UNMATCHED))


def _count(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
    # 499: the client left, or the process ended, before there was an answer.
    requests, duration = _series(method, route_of(scope), status or 499)
    requests.inc()
    duration.observe(seconds)


@lru_cache(maxsize=4096)
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Looking up labels costs more than counting; templates and statuses are few."""
    return metrics.HTTP_REQUESTS.labels(method, route, status), metrics.HTTP_DURATION_S.labels(method, route)
