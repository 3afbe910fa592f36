"""Calls of our own services carry the trace that they are made in; what a gateway sends along ends at our door."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr

from chassis.tracing.live import LiveTracing
from chassis.tracing.spans import install
from payments_api.adapters.ledger_http import HttpLedger
from payments_api.adapters.observing import HttpObserving
from payments_api.adapters.webhook_forwarding import WebhookForwarding
from payments_api.application.gateways import Observation

OLDER = f"00-{'1' * 32}-{'2' * 16}-01"
TOKEN = SecretStr("hunter2")
Call = Callable[[httpx.AsyncBaseTransport], Awaitable[None]]
pytestmark = pytest.mark.asyncio


class Listener:
    """Answers every request with a status, and remembers what it carried."""

    def __init__(self, status: int, body: Any) -> None:
        self.carried: list[str | None] = []
        self._status, self._body = status, body
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.carried.append(request.headers.get("traceparent"))
        # Not read yet, as one that comes over a line.
        return httpx.Response(self._status, stream=httpx.ByteStream(json.dumps(self._body).encode()))


@pytest.fixture
def kept() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing = LiveTracing(SimpleSpanProcessor(exporter), "payments-api", 1.0)
    install(tracing)
    yield exporter
    install(None)
    tracing.close(1)


async def ask_ledger(transport: httpx.AsyncBaseTransport) -> None:
    async with HttpLedger("http://ledger", TOKEN, "TFC/2", transport=transport) as ledger:
        await ledger.wallet("alice")


async def observe(transport: httpx.AsyncBaseTransport) -> None:
    observation = Observation("stripe", "pi_1.confirmed", "confirmed", "pi_1", user_id="alice")
    async with HttpObserving("http://ingest", TOKEN, transport=transport) as observing:
        await observing.tell([observation])


async def forward(transport: httpx.AsyncBaseTransport) -> None:
    headers = [(b"stripe-signature", b"s"), (b"traceparent", OLDER.encode())]
    async with AsyncExitStack() as stack:
        forwarding = await stack.enter_async_context(WebhookForwarding("http://ingest", transport=transport))
        await forwarding.forward("/api/webhooks/stripe", b"", headers, b"{}")


WALLET = {"available": "1.00", "held": "0.00", "debt": "0.00", "version": 1}
CALLS: dict[str, tuple[Call, str]] = {
    "ledger": (ask_ledger, "GET ledger"),
    "observations": (observe, "POST gateway-ingest"),
    "webhook": (forward, "POST gateway-ingest"),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_is_a_span_that_the_other_side_goes_on_from(kept: Any, call: str) -> None:
    make, name = CALLS[call]
    listener = Listener(200, WALLET)
    await make(listener.transport)
    (span,) = kept.get_finished_spans()
    (carried,) = listener.carried
    assert carried is not None
    assert carried.split("-")[1:3] == [f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"]
    assert (span.name, span.attributes["http.response.status_code"]) == (name, 200)
    assert not any(secret in span.to_json() for secret in ("alice", "hunter2", "pi_1"))


@pytest.mark.parametrize("call", ["ledger", "observations"])
async def test_a_call_that_fails_says_so(kept: Any, call: str) -> None:
    make, _ = CALLS[call]
    with pytest.raises(Exception, match="answered 503"):
        await make(Listener(503, {}).transport)
    (span,) = kept.get_finished_spans()
    assert (span.status.is_ok, span.attributes["error.type"]) == (False, "503")


@pytest.mark.parametrize(("call", "carried"), [("ledger", None), ("observations", None), ("webhook", OLDER)])
async def test_while_tracing_is_off_a_call_is_as_it_was(call: str, carried: str | None) -> None:
    make, _ = CALLS[call]
    listener = Listener(200, WALLET)
    await make(listener.transport)
    assert listener.carried == [carried]
