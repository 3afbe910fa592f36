"""The page that shows how to add a gateway: its code is run, and does what the page says."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from chassis.clock import ManualClock
from chassis.errors import InvalidField
from contracts.envelope import Envelope
from contracts.messages import PaymentConfirmed
from gateway_ingest.adapters.publishing import to_record
from gateway_ingest.application.intake import Intake, WebhookRefused
from gateway_ingest.application.ports import Outcome, ReceivedEvent, SealedEvent
from gateway_ingest.domain.signatures import sign
from payments_api.application.gateways import AskedPayment, GatewayAway, PayRequest
from payments_api.domain.quotes import Pricing, Terms

PAGE = Path(__file__).resolve().parents[3] / "docs" / "adding-a-gateway.md"
BLOCK = re.compile(r"```python\n# (\S+/src/(\S+)\.py)\n(.*?)```", re.DOTALL)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
SECRET = b"voucher-secret"
PRICING = Pricing(Terms("USD/2", "TFC/2", Fraction(1), 3600), {})


def modules() -> dict[str, ModuleType]:
    """The page's modules, by their import name."""
    made = {}
    for _, path, code in BLOCK.findall(PAGE.read_text()):
        name = path.replace("/", ".")
        module = sys.modules.setdefault(f"{name}_of_the_page", ModuleType(name))
        exec(compile(code, str(PAGE), "exec"), module.__dict__)  # noqa: S102 - our own page
        made[name] = module
    return made


class Kept:
    """Keeps events in memory."""

    def __init__(self) -> None:
        self.events: list[ReceivedEvent] = []

    def seal(self, event: ReceivedEvent) -> SealedEvent:
        return SealedEvent(event, ())

    async def keep(self, sealed: Sequence[SealedEvent]) -> Sequence[Outcome]:
        self.events += [one.event for one in sealed]
        return [Outcome.NEW] * len(sealed)


async def take(body: bytes, secret: bytes = SECRET) -> ReceivedEvent:
    kept, clock = Kept(), ManualClock(NOW)
    port = modules()["gateway_ingest.adapters.gateways.voucher"].gateway([SECRET])
    header = sign(body, secret, int(NOW.timestamp()))
    await Intake(kept, clock).take(port, [(b"voucher-signature", header)], body)
    return kept.events[0]


@pytest.mark.asyncio
async def test_a_voucher_that_was_paid_is_published() -> None:
    body = json.dumps({"id": "e1", "type": "voucher.paid", "voucher": "v1", "cents": 2500}).encode()
    event = await take(body)
    assert event.fact is not None
    record = to_record(event, event.fact)
    message = PaymentConfirmed.from_envelope(Envelope.from_record(record.headers, record.value))
    assert (message.gateway, message.gateway_payment_id, message.received.units) == ("voucher", "v1", 2500)


@pytest.mark.asyncio
async def test_what_makes_no_sense_is_kept_and_what_is_not_signed_is_refused() -> None:
    body = json.dumps({"id": "e1", "type": "voucher.paid", "voucher": "v1", "cents": -1}).encode()
    assert (await take(body)).reason == "amount_not_positive"
    with pytest.raises(WebhookRefused):
        await take(body, b"guessed")


def desk(answer: dict[str, Any] | int) -> Any:
    """The page's gateway before a server that answers that."""

    def serve(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(answer) if isinstance(answer, int) else httpx.Response(200, json=answer)

    client = httpx.AsyncClient(transport=httpx.MockTransport(serve), base_url="https://voucher.test")
    return modules()["payments_api.adapters.gateways.voucher"].VoucherGateway(client, PRICING)


ASKED = PayRequest("p1", "GLX", "alice", "USD/2", 2500)


@pytest.mark.asyncio
async def test_it_is_quoted_and_opened() -> None:
    gateway = desk({"id": "v1", "url": "https://voucher.test/v1"})
    quote = await gateway.quote(ASKED, NOW)
    opened = await gateway.initiate(ASKED, quote)
    assert (quote.credits, opened.gateway_payment_id) == (2500, "v1")
    with pytest.raises(InvalidField):
        await gateway.quote(PayRequest("p1", "GLX", "alice", "TZS/0", 2500), NOW)


@pytest.mark.asyncio
async def test_its_state_becomes_an_observation() -> None:
    asked = AskedPayment("p1", "GLX", "alice", "v1", "USD/2", 2500)
    (observation,) = await desk({"id": "v1", "state": "paid", "cents": 2500}).status(asked)
    assert (observation.kind, observation.payment_id, observation.name) == ("confirmed", "v1", "v1.paid")
    assert await desk({"id": "v1", "state": "open"}).status(asked) == ()
    with pytest.raises(GatewayAway):
        await desk(503).status(asked)
