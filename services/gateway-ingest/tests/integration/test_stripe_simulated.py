"""Whole lives of payments at the simulated Stripe, by its own signed webhooks: what we keep and publish of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from chassis.ids import SequenceIds
from embedded.gateway_simulators.stripe.app import create_stripe_simulator
from embedded.gateway_simulators.stripe.webhooks import Webhooks
from gateway_ingest.entrypoints.http.app import create

from .conftest import SECRET, Gateway

pytestmark = pytest.mark.asyncio
KEY = {"authorization": "Bearer sk_test_x"}
REFERENCE = "4F7K2M9QXT8ZB3C6W5H1"
METADATA = {"reference": REFERENCE, "user_id": "alice"}
SESSION = {
    "mode": "payment",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][unit_amount]": "2500",
    "success_url": "https://shop.example/credits/success",
    **{f"metadata[{name}]": value for name, value in METADATA.items()},
    **{f"payment_intent_data[metadata][{name}]": value for name, value in METADATA.items()},
}


class Stripe:
    """The simulator, whose webhooks go to the service."""

    def __init__(self, ingest: Gateway) -> None:
        transport = httpx.ASGITransport(create(ingest.service))
        self.ingest = ingest
        self.webhooks = Webhooks("http://ingest", SECRET.encode(), ingest.clock, pause_s=0.001, transport=transport)
        app = create_stripe_simulator(self.webhooks, ingest.clock, SequenceIds(), "http://stripe")
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://stripe")

    async def simulate(self, path: str, **body: Any) -> Any:
        answer = await self.http.post(f"/simulate/{path}", json=body)
        assert answer.status_code in (200, 402), answer.text
        await self.webhooks.drained()
        return answer.json()

    async def call(self, path: str, **form: str) -> Any:
        answer = await self.http.post(f"/v1/{path}", data=form, headers=KEY)
        assert answer.status_code == 200, answer.text
        await self.webhooks.drained()
        return answer.json()

    async def paid(self) -> str:
        """The id of an intent that was paid by Checkout."""
        session = await self.call("checkout/sessions", **SESSION)
        return str((await self.simulate(f"payments/{session['id']}"))["id"])

    async def published(self) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of the messages, in order."""
        rows = await self.ingest.rows("SELECT event_type, reason FROM raw_events WHERE verdict = 'quarantined'")
        assert rows == []
        return [(str(message.get("state", "")), message) for message in await self.ingest.outgoing()]


@asynccontextmanager
async def standing(open_gateway: Any) -> AsyncIterator[Stripe]:
    async with open_gateway() as ingest:
        stripe = Stripe(ingest)
        async with stripe.http:
            yield stripe
        await stripe.webhooks.close()


async def test_a_checkout_is_told_twice_as_one_payment(open_gateway: Any) -> None:
    async with standing(open_gateway) as stripe:
        payment = await stripe.paid()
        messages = [message for _, message in await stripe.published()]
        assert [message["gateway_payment_id"] for message in messages] == [payment, payment]
        for message in messages:
            assert (message["received"], message["user_id"]) == ({"amount": "25.00", "asset": "USD/2"}, "alice")
            assert message["metadata"] == METADATA


async def test_a_declined_card_and_an_expired_session(open_gateway: Any) -> None:
    async with standing(open_gateway) as stripe:
        session = await stripe.call("checkout/sessions", **SESSION)
        await stripe.simulate(f"payments/{session['id']}", card="4000000000009995")
        await stripe.call(f"checkout/sessions/{session['id']}/expire")
        ((_, declined),) = await stripe.published()
        assert (declined["reason_code"], declined["is_over"]) == ("insufficient_funds", False)


async def test_a_slow_method(open_gateway: Any) -> None:
    async with standing(open_gateway) as stripe:
        session = await stripe.call("checkout/sessions", **SESSION)
        await stripe.simulate(f"payments/{session['id']}", action="later")
        assert [state for state, _ in await stripe.published()] == ["processing"]
        await stripe.simulate(f"payments/{session['id']}", action="settle")
        assert [message.get("received") is not None for _, message in await stripe.published()] == [False, True, True]


async def test_a_refund_in_part_that_fails_late(open_gateway: Any) -> None:
    async with standing(open_gateway) as stripe:
        payment = await stripe.paid()
        refund = await stripe.call("refunds", payment_intent=payment, amount="1000")
        await stripe.simulate(f"refunds/{refund['id']}", state="failed", reason="lost_or_stolen_card")
        told = (await stripe.published())[2:]
        assert [state for state, _ in told] == ["succeeded", "", "failed"]
        assert told[1][1]["refunded_total"] == {"amount": "10.00", "asset": "USD/2"}
        assert {message["gateway_payment_id"] for _, message in told} == {payment}
        assert {told[0][1]["refund_id"], told[2][1]["refund_id"]} == {refund["id"]}


@pytest.mark.parametrize("end", ["won", "lost"])
async def test_a_dispute_and_its_fee(open_gateway: Any, end: str) -> None:
    async with standing(open_gateway) as stripe:
        payment = await stripe.paid()
        dispute = await stripe.simulate(f"payments/{payment}/disputes", amount=2000)
        await stripe.simulate(f"disputes/{dispute['id']}", status=end)
        told = [message for _, message in (await stripe.published())[2:]]
        states = [message["state"] for message in told if "dispute_id" in message]
        assert (states[0], states[-1]) == ("opened", end)
        fees = [message for message in told if "fee_id" in message]
        # Each event tells of it; by its id it is one.
        assert {fee["fee_id"] for fee in fees} == {dispute["balance_transactions"][0]["id"]}
        assert {fee["amount"]["amount"] for fee in fees} == {"15.00"}


async def test_an_inquiry_is_kept_and_nothing_published(open_gateway: Any) -> None:
    async with standing(open_gateway) as stripe:
        payment = await stripe.paid()
        before = len(await stripe.published())
        inquiry = await stripe.simulate(f"payments/{payment}/disputes", inquiry=True)
        await stripe.simulate(f"disputes/{inquiry['id']}", status="warning_closed")
        assert len(await stripe.published()) == before
        assert [reason for _, _, reason in await stripe.ingest.kept()][-2:] == ["dispute_inquiry"] * 2


async def test_doubled_and_reversed_webhooks_leave_the_same(open_gateway: Any) -> None:
    async with standing(open_gateway) as stripe:
        await stripe.simulate("webhooks", mode="hold", copies=3)
        payment = await stripe.paid()
        await stripe.call("refunds", payment_intent=payment)
        await stripe.simulate("webhooks/release", reversed=True)
        kept = await stripe.ingest.kept()
        assert len(kept) == len({event for event, _, _ in kept}) == 5
        assert len(await stripe.published()) == 4
