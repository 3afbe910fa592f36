"""Payments at the simulated ClickPesa, by its own webhooks and our asking back: what we keep and publish of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from chassis.errors import OperationalError
from chassis.ids import SequenceIds
from contracts.references import make_reference
from embedded.gateway_simulators.clickpesa.app import create_clickpesa_simulator
from embedded.gateway_simulators.clickpesa.checksum import checksum
from embedded.gateway_simulators.clickpesa.webhooks import PATH, ClickPesaWebhooks
from gateway_ingest.adapters.gateways.clickpesa import gateway as clickpesa
from gateway_ingest.adapters.gateways.clickpesa.api import ClickPesaAccess, ClickPesaApi
from gateway_ingest.entrypoints.http.app import create

from .conftest import Gateway

pytestmark = pytest.mark.asyncio
KEY = b"CHKsimulated"
REFERENCE = make_reference(5)
KEYS = {"client": "verysecret"}
BASE = "http://clickpesa"


class ClickPesa:
    """The simulator, the service that hears it, and the way by which that asks back."""

    def __init__(self, ingest: Gateway) -> None:
        self.ingest = ingest
        simulator_app: Any = None

        async def to_simulator(scope: Any, receive: Any, send: Any) -> None:
            await simulator_app(scope, receive, send)

        self.line = httpx.ASGITransport(to_simulator)
        self.api = ClickPesaApi(ClickPesaAccess("client", KEYS["client"], 5.0, BASE), ingest.clock, transport=self.line)
        asking = clickpesa.Asking(self.api, ingest.clock, 100)
        service = replace(ingest.service, gateways={"clickpesa": clickpesa.gateway([KEY], asking)})
        self.ear = httpx.ASGITransport(create(service))
        self.webhooks = ClickPesaWebhooks("http://ingest", KEY, pause_s=0.001, transport=self.ear)
        simulator_app = create_clickpesa_simulator(self.webhooks, ingest.clock, SequenceIds(), BASE, keys=KEYS)
        self.http = httpx.AsyncClient(transport=self.line, base_url=BASE)

    async def link(self, price: str = "10000", currency: str = "TZS", reference: str = REFERENCE) -> None:
        token = (
            await self.http.post("/generate-token", headers={"client-id": "client", "api-key": "verysecret"})
        ).json()
        asked = {"totalPrice": price, "orderReference": reference, "orderCurrency": currency}
        asked["checksum"] = checksum(asked, KEY)
        headers = {"authorization": token["token"]}
        made = await self.http.post("/checkout-link/generate-checkout-url", json=asked, headers=headers)
        assert made.status_code == 200, made.text

    async def simulate(self, path: str, **body: Any) -> Any:
        answer = await self.http.post(f"/simulate/{path}", json=body)
        assert answer.status_code == 200, answer.text
        await self.webhooks.drained()
        return answer.json()

    async def happens(self, action: str, **more: Any) -> Any:
        return await self.simulate(f"payments/{REFERENCE}", action=action, **more)

    async def post(self, event: dict[str, Any]) -> int:
        """A webhook of our own making; its status."""
        async with httpx.AsyncClient(transport=self.ear, base_url="http://ingest") as http:
            signed = event | {"checksum": checksum(event, KEY)}
            return (await http.post(PATH, json=signed)).status_code


@asynccontextmanager
async def standing(open_gateway: Any) -> AsyncIterator[ClickPesa]:
    async with open_gateway() as ingest:
        world = ClickPesa(ingest)
        async with world.http:
            await world.link()
            yield world
        await world.webhooks.close()


@pytest.mark.parametrize("shape", ["current", "old"])
@pytest.mark.parametrize("place", ["body", "data", "header"])
@pytest.mark.parametrize("method", ["canonical", "legacy"])
async def test_a_payment_by_every_kind_of_webhook(open_gateway: Any, shape: str, place: str, method: str) -> None:
    async with standing(open_gateway) as world:
        await world.simulate("webhooks", shape=shape, place=place, method=method, copies=3)
        payment = await world.happens("pay")
        [message] = await world.ingest.outgoing()
        assert (message["gateway"], message["gateway_payment_id"]) == ("clickpesa", payment["id"])
        assert message["received"] == {"amount": "10000", "asset": "TZS/0"}
        assert message["reference"] == REFERENCE
        # 10,000 shillings at 2,631.58 for a dollar, less one per cent.
        assert message["worth"] == {"amount": "3.76", "asset": "USD/2"}
        assert message["user_id"] is None


async def test_dollars_that_are_less_than_the_price(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        await world.link("25.00", "USD", "USDREF")
        await world.simulate("payments/USDREF", action="pay", amount="24.50")
        [message] = await world.ingest.outgoing()
        assert (message["received"], message["worth"]) == ({"amount": "24.50", "asset": "USD/2"}, None)


async def test_a_failure_then_a_payment_in_any_order(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        await world.simulate("webhooks", mode="hold")
        failed = await world.happens("fail")
        paid = await world.happens("pay")
        assert failed["id"] != paid["id"]
        await world.simulate("webhooks/release", reversed=True)
        # What had failed is over by then: only what ClickPesa says now counts.
        [message] = await world.ingest.outgoing()
        assert message["gateway_payment_id"] == paid["id"]


async def test_a_failure_is_told_with_clickpesas_reason(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        failed = await world.happens("fail", message="Subscriber has no money")
        [message] = await world.ingest.outgoing()
        assert (message["gateway_payment_id"], message["reference"]) == (failed["id"], REFERENCE)
        assert (message["reason"], message["is_over"]) == ("Subscriber has no money", False)


async def test_a_webhook_that_lies_credits_what_clickpesa_says(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        await world.simulate("webhooks", mode="lose")
        await world.happens("pay", amount="500")
        data = {"id": "LCPX", "status": "SUCCESS", "orderReference": REFERENCE, "collectedAmount": "900000"}
        assert await world.post({"event": "PAYMENT RECEIVED", "data": data}) == 200
        assert await world.post({"event": "PAYMENT FAILED", "data": data | {"status": "FAILED"}}) == 200
        [message] = await world.ingest.outgoing()
        assert message["received"] == {"amount": "500", "asset": "TZS/0"}


async def test_a_payment_that_clickpesa_does_not_know_is_set_aside(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        assert await world.post({"event": "PAYMENT RECEIVED", "data": {"orderReference": "NOBODYS"}}) == 200
        assert await world.post({"event": "PAYOUT INITIATED", "data": {}}) == 200
        assert [row[1:] for row in await world.ingest.kept()] == [
            ("quarantined", "unknown_at_gateway"),
            ("ignored", "type_not_handled"),
        ]


async def test_a_wrong_checksum_is_refused_before_anybody_is_asked(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        world.webhooks.checksum_key = b"CHKwrong"
        await world.happens("pay")
        assert await world.ingest.kept() == []
        assert await world.simulate("tokens/forget") == {"tokens_made": 1}


async def test_clickpesa_away_means_come_again(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        await world.simulate("webhooks", mode="hold")
        await world.happens("pay")
        await world.simulate("silence", calls=1)
        await world.simulate("webhooks/release")
        assert len(await world.ingest.outgoing()) == 1
        await world.simulate("silence", calls=100)
        data = {"orderReference": REFERENCE}
        assert await world.post({"event": "PAYMENT RECEIVED", "data": data}) == 503
        assert len(await world.ingest.kept()) == 1


async def test_without_a_rate_the_payment_counts_all_the_same(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        await world.simulate("webhooks", mode="lose")
        await world.happens("pay")

        async def away() -> list[Any]:
            raise OperationalError("clickpesa: away")

        world.api.shilling_rates = away  # type: ignore[method-assign]
        assert await world.post({"event": "PAYMENT RECEIVED", "data": {"orderReference": REFERENCE}}) == 200
        [message] = await world.ingest.outgoing()
        assert (message["received"]["amount"], message["worth"]) == ("10000", None)


async def test_a_token_lasts_55_minutes_and_a_refused_one_is_renewed_once(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        await world.happens("process")
        before = (await world.simulate("tokens/forget"))["tokens_made"]
        for advance_s in (0, 54 * 60, 2 * 60):
            world.ingest.clock.advance(advance_s)
            assert [row["status"] for row in await world.api.payment(REFERENCE)] == ["PROCESSING"]
        assert (await world.simulate("tokens/forget"))["tokens_made"] == before + 2
        assert [row["status"] for row in await world.api.payment(REFERENCE)] == ["PROCESSING"]
        assert (await world.simulate("tokens/forget"))["tokens_made"] == before + 3


async def test_a_refused_key_is_never_told(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        access = ClickPesaAccess("client", "otherverysecret", 5.0, BASE)
        with pytest.raises(OperationalError) as refused:
            await ClickPesaApi(access, world.ingest.clock, transport=world.line).payment(REFERENCE)
        assert str(refused.value) == "clickpesa refuses our key"
        assert "verysecret" not in repr(access)


async def test_the_list_holds_every_payment_of_the_days(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        await world.simulate("webhooks", mode="lose")
        start = world.ingest.clock.now()
        for number in range(45):
            await world.link("100", "TZS", f"R{number}")
            await world.simulate(f"payments/R{number}", action="pay" if number % 2 else "fail")
            world.ingest.clock.advance(3600)

        async def listed(since_h: int, until_h: int) -> list[tuple[str, str]]:
            since, until = (start + timedelta(hours=hours) for hours in (since_h, until_h))
            found = clickpesa.list_payments(world.api, since, until)
            return [(row.reference, row.standing) async for row in found]

        assert await listed(0, 45) == [(f"R{number}", "paid" if number % 2 else "failed") for number in range(45)]
        assert await listed(3, 5) == [("R3", "paid"), ("R4", "failed")]
