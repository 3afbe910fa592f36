"""A webhook's trace goes into the outbox with what is published of it, also where many are written at once."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from chassis.bus.headers import unpack_headers
from chassis.clock import ManualClock
from chassis.tracing.live import LiveTracing
from chassis.tracing.otlp import OtlpExporter
from chassis.tracing.spans import install
from gateway_ingest.domain.signatures import sign
from testkit.otlp_receiver import OtlpReceiver, otlp_receiver

SECRET = "whsec_x"
STRIPE = "/api/webhooks/stripe"
pytestmark = pytest.mark.asyncio


class Traced:
    """Tracing that is on, and what came of it."""

    def __init__(self, receiver: OtlpReceiver, processor: BatchSpanProcessor) -> None:
        self._receiver = receiver
        self._processor = processor

    async def span_ids(self, name: str) -> Mapping[str, str]:
        """Trace → id of its span of that name."""
        await asyncio.to_thread(self._processor.force_flush)
        return {span.trace_id: span.span_id for span in self._receiver.spans if span.name == name}


@pytest.fixture
def traced() -> Iterator[Traced]:
    with otlp_receiver() as receiver:
        processor = BatchSpanProcessor(OtlpExporter(receiver.url))
        tracing = LiveTracing(processor, "gateway-ingest", 1.0)
        install(tracing)
        yield Traced(receiver, processor)
        install(None)
        tracing.close(10)


async def post(gateway: Any, event: Any, traceparent: str) -> httpx.Response:
    clock: ManualClock = gateway.clock
    body = json.dumps(event).encode()
    signature = sign(body, SECRET.encode(), int(clock.now().timestamp())).decode()
    headers = {"stripe-signature": signature, "traceparent": traceparent}
    answer: httpx.Response = await gateway.http.post(STRIPE, content=body, headers=headers)
    return answer


def new_trace() -> tuple[str, str]:
    trace_id = secrets.token_hex(16)
    return trace_id, f"00-{trace_id}-{secrets.token_hex(8)}-01"


async def carried(gateway: Any) -> list[str | None]:
    """What each row of the outbox carries, in order."""
    rows = await gateway.rows("SELECT headers FROM outbox ORDER BY position")
    found = [dict(unpack_headers(row["headers"])).get("traceparent") for row in rows]
    return [None if value is None else value.decode() for value in found]


async def test_each_of_many_webhooks_is_published_in_its_own_trace(traced: Traced, open_gateway: Any) -> None:
    opened: AbstractAsyncContextManager[Any] = open_gateway()
    async with opened as gateway:
        traces = [new_trace() for _ in range(12)]
        posts = [post(gateway, gateway.event(number), given) for number, (_, given) in enumerate(traces)]
        assert {answer.status_code for answer in await asyncio.gather(*posts)} == {200}
        keeping = await traced.span_ids("keep webhook")
        answered = await traced.span_ids(f"POST {STRIPE}")
        assert set(keeping) == set(answered) == {trace_id for trace_id, _ in traces}
        assert set(await carried(gateway)) == {f"00-{trace_id}-{span_id}-01" for trace_id, span_id in keeping.items()}


async def test_what_is_published_at_a_second_look_is_in_the_trace_that_brought_it(
    traced: Traced, open_gateway: Any
) -> None:
    """It is judged again while it is written, by a task that belongs to nobody's request."""
    async with open_gateway() as gateway:
        (_, first), (trace_id, second) = new_trace(), new_trace()
        await post(gateway, gateway.event(currency="xyz"), first)
        await post(gateway, gateway.event(), second)
        keeping = await traced.span_ids("keep webhook")
        assert await carried(gateway) == [f"00-{trace_id}-{keeping[trace_id]}-01"]


async def test_while_tracing_is_off_nothing_is_carried(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        await post(gateway, gateway.event(), new_trace()[1])
        assert await carried(gateway) == [None]
