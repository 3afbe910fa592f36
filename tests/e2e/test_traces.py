"""One trace shows the way of a payment: its signed webhook, what was stored, published, and handled by the ledger."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import pytest_asyncio

from testkit.otlp_receiver import OtlpReceiver, ReceivedSpan, otlp_receiver
from testkit.waiting_for import eventually

Trace = Sequence[ReceivedSpan]
ARRIVES_WITHIN_S = 20.0
WEBHOOK = ("gateway-ingest", "POST /api/webhooks/stripe")


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as receiver:
        yield receiver


@pytest_asyncio.fixture
async def traced_visitor(
    collector: OtlpReceiver, new_stack: Callable[..., Any], somebody_new: Callable[[Any], Awaitable[Any]]
) -> Any:
    """Somebody new on a stack whose services send their spans to ``collector``."""
    stack = new_stack(BUS="postgresql", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    stack.start()
    stack.wait_ready()
    return await somebody_new(stack)


@pytest.mark.asyncio
async def test_a_trace_leads_from_the_webhook_to_the_ledger_and_from_the_buyer_to_the_charge(
    traced_visitor: Any,
    collector: OtlpReceiver,
    signed: Callable[..., dict[str, str]],
    webhook_body: Callable[..., bytes],
) -> None:
    gateways_trace, gateways_span = secrets.token_hex(16), secrets.token_hex(8)
    intent = f"pi_{secrets.token_hex(8)}"
    body = webhook_body(traced_visitor.user_id, 2500, intent)
    headers = {**signed(body), "traceparent": f"00-{gateways_trace}-{gateways_span}-01"}

    assert (await traced_visitor.webhook(body, headers)).status_code == 200
    await traced_visitor.balance_becomes("25.00")
    paid = await seen(collector, WEBHOOK, ("ledger", "process payments"))
    bought = await traced_visitor.buy("web-server")
    charged = await seen(collector, ("payments-api", "POST /api/marketplace/buy-now"), ("ledger", "POST /v1/charges"))

    by_name = of(paid)
    received, kept = by_name[WEBHOOK], by_name["gateway-ingest", "keep webhook"]
    published, handled = by_name["gateway-ingest", "publish payments"], by_name["ledger", "process payments"]
    assert {span.trace_id for span in paid} == {gateways_trace}
    assert [received.parent_id, kept.parent_id] == [gateways_span, received.span_id]
    assert [published.parent_id, handled.parent_id] == [kept.span_id, kept.span_id]
    assert received.begun_ns <= kept.begun_ns <= published.begun_ns <= handled.ended_ns
    assert handled.attributes["gridledger.outcome"] == "settled"
    assert handled.attributes["cloudevents.event_type"] == "gridledger.payments.PaymentConfirmed.v1"

    assert bought.json()["success"] is True
    calls = of(charged)
    asked, answered = calls["payments-api", "POST ledger"], calls["ledger", "POST /v1/charges"]
    assert (asked.kind, answered.kind, answered.parent_id) == ("client", "server", asked.span_id)

    told = b"".join(collector.bodies).decode()
    secrets_of_the_stack = traced_visitor.stack.note().environments["gateway-ingest"]
    hidden = {
        traced_visitor.user_id,
        intent,
        secrets_of_the_stack["SERVICE_TOKEN"],
        secrets_of_the_stack["DATABASE_URL"],
        traced_visitor.signed_in["Authorization"].removeprefix("Bearer "),
    }
    assert [one for one in hidden if one in told] == []
    assert "/healthz" not in told
    assert "/readyz" not in told


async def seen(collector: OtlpReceiver, *names: tuple[str, str]) -> Trace:
    """The first trace that has spans of all these names, given by service."""

    def whole() -> Trace:
        traces = collector.traces(holding=lambda span: (span.service, span.name) == names[0])
        found = [trace for trace in traces if set(names) <= of(trace).keys()]
        assert found, {(span.service, span.name) for span in collector.spans}
        return found[0]

    return await eventually(whole, ARRIVES_WITHIN_S)


def of(trace: Trace) -> Mapping[tuple[str, str], ReceivedSpan]:
    return {(span.service, span.name): span for span in trace}
