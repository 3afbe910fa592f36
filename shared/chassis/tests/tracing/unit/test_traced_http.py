"""Each request is a span by its route's template; health is not, and neither is anything while tracing is off."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry

from chassis.errors import OperationalError
from chassis.http import create_app
from chassis.http.traced import Traced
from chassis.tracing import current_trace_id

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE_ID}-{SPAN_ID}-01"
pytestmark = pytest.mark.asyncio


def application() -> FastAPI:
    async def ready() -> Mapping[str, bool]:
        return {}

    async def show(user_id: str) -> dict[str, str | None]:
        return {"user": user_id, "trace_id": current_trace_id()}

    async def crash() -> None:
        raise ValueError("password hunter2")

    async def away() -> None:
        raise OperationalError("database away")

    async def listen() -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            await asyncio.Event().wait()

        return StreamingResponse(events(), media_type="text/event-stream")

    app = create_app(title="sample", readiness=ready, metrics_registry=CollectorRegistry())
    for path, answer in {"/users/{user_id}": show, "/crash": crash, "/away": away, "/listen": listen}.items():
        app.get(path)(answer)
    return app


async def ask(path: str, headers: Any = None, method: str = "GET") -> httpx.Response:
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://sample") as http:
        return await http.request(method, path, headers=headers)


async def test_a_request_goes_on_from_its_caller_and_is_named_by_its_route(kept: Any) -> None:
    answer = await ask("/users/alice?token=hunter2", {"traceparent": GIVEN, "authorization": "Bearer hunter2"})
    (only,) = kept.get_finished_spans()
    assert answer.json() == {"user": "alice", "trace_id": TRACE_ID}
    assert (only.name, only.kind) == ("GET /users/{user_id}", SpanKind.SERVER)
    assert (f"{only.context.trace_id:032x}", f"{only.parent.span_id:016x}") == (TRACE_ID, SPAN_ID)
    assert dict(only.attributes) == {
        "http.request.method": "GET",
        "http.route": "/users/{user_id}",
        "http.response.status_code": 200,
    }
    assert "hunter2" not in only.to_json()


@pytest.mark.parametrize(
    "headers",
    [[], [("traceparent", "nonsense")], [("traceparent", GIVEN), ("traceparent", GIVEN.replace("4bf", "5bf"))]],
)
async def test_without_a_usable_traceparent_a_request_begins_a_trace(kept: Any, headers: Any) -> None:
    await ask("/users/alice", headers)
    (only,) = kept.get_finished_spans()
    assert only.parent is None
    assert f"{only.context.trace_id:032x}" != TRACE_ID


@pytest.mark.parametrize(
    ("path", "method", "name", "status", "outcome"),
    [
        ("/crash", "GET", "GET /crash", 500, StatusCode.ERROR),
        ("/away", "GET", "GET /away", 503, StatusCode.ERROR),
        ("/nowhere/alice", "GET", "GET unmatched", 404, StatusCode.UNSET),
        ("/users/alice", "BREW", "other /users/{user_id}", 405, StatusCode.UNSET),
    ],
)
async def test_how_it_ended_is_noted(
    kept: Any, path: str, method: str, name: str, status: int, outcome: StatusCode
) -> None:
    assert (await ask(path, method=method)).status_code == status
    (only,) = kept.get_finished_spans()
    assert (only.name, only.attributes["http.response.status_code"]) == (name, status)
    assert only.status.status_code is outcome
    assert "hunter2" not in only.to_json()
    assert "alice" not in only.to_json()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_what_is_asked_all_the_time_is_not_traced(kept: Any, path: str) -> None:
    assert (await ask(path, {"traceparent": GIVEN})).status_code == 200
    assert kept.get_finished_spans() == ()


async def test_a_stream_is_told_of_when_it_begins(kept: Any) -> None:
    begun = asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            begun.set()

    async def receive() -> Any:
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", "path": "/listen", "headers": [], "query_string": b"", "root_path": ""}
    listening = asyncio.create_task(application()(scope, receive, send))
    await begun.wait()
    (only,) = kept.get_finished_spans()
    assert (only.name, only.attributes["http.response.status_code"]) == ("GET /listen", 200)
    listening.cancel()
    await asyncio.wait([listening])
    assert len(kept.get_finished_spans()) == 1


async def test_an_application_made_while_tracing_is_off_has_no_such_layer() -> None:
    assert Traced not in [layer.cls for layer in application().user_middleware]
    assert (await ask("/users/alice", {"traceparent": GIVEN})).json()["trace_id"] is None


async def test_one_made_while_it_is_on_has_it_outermost(kept: Any) -> None:
    assert application().user_middleware[0].cls is Traced
