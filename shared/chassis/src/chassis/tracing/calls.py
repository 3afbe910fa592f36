"""Spans around calls of others over HTTP, and the header by which they go on. Knows no client by name."""

from __future__ import annotations

from typing import Any

from chassis.tracing.spans import Kind, Span, current_traceparent, span

HEADER = "traceparent"


def call_to(whom: str, method: str) -> Span:
    """Around one request to another service. Its path stays out: it holds ids."""
    return span(f"{method} {whom}", Kind.CLIENT, {"peer.service": whom, "http.request.method": method})


async def carry_trace(request: Any) -> None:
    """A client's hook before each request: it carries the current span, and no older one that was only passed on."""
    traceparent = current_traceparent()
    if traceparent is not None:
        request.headers[HEADER] = traceparent
