"""A call of the grid carries the trace that it is made in, and its span does not say whose it is."""

from __future__ import annotations

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis.tracing import span
from chassis.tracing.live import LiveTracing
from chassis.tracing.spans import install
from deployments.adapters.grid_http import HttpGrid
from deployments.application.ports import GridUnavailable

pytestmark = pytest.mark.asyncio


async def test_the_grid_goes_on_from_our_span() -> None:
    kept, carried = InMemorySpanExporter(), []

    def answer(request: httpx.Request) -> httpx.Response:
        carried.append(request.headers["traceparent"])
        return httpx.Response(503)

    tracing = LiveTracing(SimpleSpanProcessor(kept), "deployments", 1.0)
    install(tracing)
    try:
        with span("work"):
            async with HttpGrid("http://grid", transport=httpx.MockTransport(answer)) as grid:
                with pytest.raises(GridUnavailable):
                    await grid.get("d-secret")
    finally:
        install(None)
        tracing.close(1)

    call, work = kept.get_finished_spans()
    assert (call.name, call.status.is_ok, call.attributes["error.type"]) == ("GET grid", False, "503")
    assert call.parent.span_id == work.context.span_id
    assert carried[0].split("-")[1:3] == [f"{call.context.trace_id:032x}", f"{call.context.span_id:016x}"]
    assert "d-secret" not in call.to_json()


async def test_while_tracing_is_off_nothing_is_carried() -> None:
    carried = []

    def answer(request: httpx.Request) -> httpx.Response:
        carried.append(request.headers.get("traceparent"))
        return httpx.Response(404)

    async with HttpGrid("http://grid", transport=httpx.MockTransport(answer)) as grid:
        assert await grid.get("d1") is None
    assert carried == [None]
