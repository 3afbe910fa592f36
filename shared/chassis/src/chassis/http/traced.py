"""A span for each request, which goes on from the caller's ``traceparent``. Stands outside all other layers.

The route's template is noted, never the path: paths hold ids. What orchestrators ask all the time is left out.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.http.request_context import METHODS, OTHER_METHOD, RequestContext, route_of
from chassis.tracing import Kind, Span, continued, is_on

HEADER = b"traceparent"
UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})
LEFT = 499
"""The client left, or the process ended, before there was an answer."""


class Traced:
    """ASGI middleware; an application has it only where tracing is on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNTRACED:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        with continued(_given(scope), method, Kind.SERVER, {"http.request.method": method}) as span:
            answer = _Answer(scope, send, span, method)
            try:
                await self._app(scope, receive, answer.send)
            finally:
                answer.note()


def outermost(app: ASGIApp) -> ASGIApp:
    """What stands outside all else also where an endpoint does without the framework."""
    named = RequestContext(app)
    return Traced(named) if is_on() else named


class _Answer:
    """Notes what the request turned out to be."""

    __slots__ = ("_method", "_scope", "_send", "_span", "_status")

    def __init__(self, scope: Scope, send: Send, span: Span, method: str) -> None:
        self._scope = scope
        self._send = send
        self._span = span
        self._method = method
        self._status = LEFT

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if _is_stream(message):
                # It lasts as long as somebody listens: nobody would see its span before.
                self.note()
                self._span.end()
        await self._send(message)

    def note(self) -> None:
        """Name the span by its route, and note the answer."""
        route = route_of(self._scope)
        self._span.rename(f"{self._method} {route}")
        self._span.note("http.route", route)
        self._span.answered(self._status)


def _is_stream(message: Message) -> bool:
    headers = message.get("headers", ())
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)


def _given(scope: Scope) -> str | None:
    """The caller's; two of them say nothing, as the header's own rules have it."""
    given = [value for name, value in scope["headers"] if name == HEADER]
    return given[0].decode("latin-1") if len(given) == 1 else None
