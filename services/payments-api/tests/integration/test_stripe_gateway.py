"""StripeGateway against the simulated Stripe over real HTTP: what is opened, what is learnt, what is given back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request

from chassis.clock import ManualClock
from chassis.http import create_app
from chassis.ids import SequenceIds
from embedded.gateway_simulators.stripe.app import create_stripe_simulator
from embedded.gateway_simulators.stripe.webhooks import PATH, Webhooks
from payments_api.adapters.gateways.stripe.api import StripeApi
from payments_api.adapters.gateways.stripe.connection import StripeAccess, StripeConnection
from payments_api.adapters.gateways.stripe.gateway import StripeGateway, StripeShop
from payments_api.application.gateways import (
    AskedPayment,
    CannotRefund,
    GatewayAway,
    GatewayRefused,
    Observation,
    Opened,
    PayRequest,
    RefundRequest,
)
from payments_api.domain.quotes import Pricing, Terms

from .conftest import START, free_port, served

pytestmark = pytest.mark.asyncio
KEY = "sk_test_verysecret"
PRICING = Pricing(Terms("USD/2", "TFC/2", Fraction(1), 3600), {})
REQUEST = PayRequest("p-1", "REF1", "alice", "USD/2", 2500, customer_email="ada@example.com", metadata={"order": "7"})
BY_INTENT = replace(REQUEST, options={"mode": "payment_intent"})
METADATA = {
    "reference": "REF1",
    "user_id": "alice",
    "payment_id": "p-1",
    "credits": "25.00",
    "tfc_amount": "25.00",
    "purpose": "tfc_purchase",
    "order": "7",
}
USD_2500 = {"units": 2500, "asset": "USD/2"}


@dataclass
class World:
    """The gateway, the simulator behind it, and what its webhooks told."""

    gateway: StripeGateway
    http: httpx.AsyncClient
    webhooks: Webhooks
    clock: ManualClock
    events: list[dict[str, Any]]

    async def open(self, request: PayRequest = REQUEST) -> tuple[Opened, AskedPayment]:
        """A payment that is open at Stripe, and as it is asked about."""
        opened = await self.gateway.initiate(request, await self.gateway.quote(request, self.clock.now()))
        return opened, AskedPayment(
            request.payment_id,
            request.reference,
            request.user_id,
            opened.gateway_payment_id,
            request.asset,
            request.price,
            opened.details,
        )

    async def simulate(self, path: str, **body: Any) -> Any:
        """The simulator's control; declined cards are 402."""
        answer = await self.http.post(f"/simulate/{path}", json=body)
        assert answer.status_code in (200, 402), answer.text
        await self.webhooks.drained()
        return answer.json()

    async def paid(self) -> tuple[str, AskedPayment]:
        """The id of a paid intent."""
        _, asked = await self.open()
        intent = await self.simulate(f"payments/{asked.details['session_id']}")
        return intent["id"], asked

    async def made(self, kind: str) -> list[Any]:
        answer = await self.http.get(f"/v1/{kind}?limit=100", headers={"authorization": f"Bearer {KEY}"})
        return list(answer.json()["data"])

    def told(self, kind: str) -> list[Any]:
        """The objects of the webhooks of that type."""
        return [event["data"]["object"] for event in self.events if event["type"] == kind]


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    clock, events, ear = ManualClock(START), [], FastAPI()  # type: ignore[var-annotated]

    @ear.post(PATH)
    async def hear(request: Request) -> None:
        events.append(json.loads(await request.body()))

    webhooks = Webhooks("http://ear", b"whsec_x", clock, transport=httpx.ASGITransport(ear))
    port = free_port()
    base = f"http://127.0.0.1:{port}/stripe"
    # Under a path, as beside other gateways' simulators.
    parent = create_app(title="Simulators", readiness=_ready)
    parent.mount("/stripe", create_stripe_simulator(webhooks, clock, SequenceIds(), base))
    async with served(parent, port), httpx.AsyncClient(base_url=base, trust_env=False) as http:
        shop = StripeShop("https://shop.example/", "pk_test_x")
        gateway = StripeGateway(StripeApi(StripeConnection(StripeAccess(KEY, 5.0, api_base=base + "/"))), shop, PRICING)
        yield World(gateway, http, webhooks, clock, events)
        await gateway.close()
        await webhooks.close()


async def _ready() -> dict[str, bool]:
    return {}


def short(news: list[Observation] | Any) -> list[tuple[str, str]]:
    return [(each.kind, each.name) for each in news]


async def test_a_checkout_is_paid_and_found(world: World) -> None:
    opened, asked = await world.open()
    session_id = opened.details["session_id"]
    assert opened.payment_url is not None
    page = await world.http.get(opened.payment_url)
    assert (page.status_code, "25.00 USD" in page.text, "REF1" in page.text) == (200, True, True)
    # Stripe makes a session's intent when somebody begins to pay.
    assert (opened.gateway_payment_id, opened.client_secret) == (None, None)
    (session,) = await world.made("checkout/sessions")
    assert (session["metadata"], session["client_reference_id"]) == (METADATA, "REF1")
    assert session["success_url"] == "https://shop.example/credits/success?session_id={CHECKOUT_SESSION_ID}"
    assert session["cancel_url"] == "https://shop.example/credits"
    assert session["expires_at"] == int((START + timedelta(hours=1)).timestamp())
    assert list(await world.gateway.status(asked)) == []
    intent = await world.simulate(f"payments/{session_id}")
    confirmed, fee = await world.gateway.status(asked)
    assert (confirmed.name, confirmed.payment_id) == (f"{intent['id']}.confirmed", intent["id"])
    assert (confirmed.reference, confirmed.user_id) == ("REF1", "alice")
    assert confirmed.fields == {"received": USD_2500, "metadata": METADATA}
    assert (fee.kind, fee.fields["amount"]) == ("fee", {"units": 103, "asset": "USD/2"})
    # The webhooks tell of the same payment.
    assert world.told("checkout.session.completed")[0]["payment_intent"] == confirmed.payment_id
    assert world.told("payment_intent.succeeded")[0]["metadata"] == METADATA


async def test_a_payment_intent_gives_its_secret_to_the_payer(world: World) -> None:
    opened, asked = await world.open(BY_INTENT)
    assert opened.payment_url is None
    assert opened.gateway_payment_id == opened.details["payment_intent_id"]
    assert (opened.client_secret or "").startswith(f"{opened.gateway_payment_id}_secret")
    await world.simulate(f"payments/{opened.gateway_payment_id}", card="4000000000009995")
    (declined,) = await world.gateway.status(asked)
    assert (declined.kind, declined.fields["reason_code"]) == ("failed", "insufficient_funds")
    assert declined.fields["is_over"] is False
    await world.simulate(f"payments/{opened.gateway_payment_id}", action="require_action")
    (waits,) = await world.gateway.status(asked)
    assert waits.name == f"{opened.gateway_payment_id}.pending.requires_action"
    await world.simulate(f"payments/{opened.gateway_payment_id}")
    assert [news.kind for news in await world.gateway.status(asked)] == ["confirmed", "fee"]


@pytest.mark.parametrize("request_", [REQUEST, BY_INTENT], ids=["checkout", "intent"])
async def test_the_same_request_again_comes_to_the_same(world: World, request_: PayRequest) -> None:
    first, _ = await world.open(request_)
    again, _ = await world.open(request_)
    assert again == first


async def test_a_repeat_with_a_newer_quote_is_opened_all_the_same(world: World) -> None:
    first, _ = await world.open()
    world.clock.advance(5)
    later, _ = await world.open()
    again, _ = await world.open()
    assert later.details != first.details
    assert again == later


async def test_a_slow_method_that_does_not_pay_ends_the_payment(world: World) -> None:
    _, asked = await world.open()
    intent = await world.simulate(f"payments/{asked.details['session_id']}", action="later")
    assert short(await world.gateway.status(asked)) == [("pending", f"{intent['id']}.pending.processing")]
    await world.simulate(f"payments/{intent['id']}", action="fail")
    news = await world.gateway.status(asked)
    assert [(each.kind, each.fields["is_over"]) for each in news] == [("failed", False), ("failed", True)]


async def test_a_session_that_expired_is_no_attempt_that_failed(world: World) -> None:
    opened, asked = await world.open()
    session_id = opened.details["session_id"]
    expired = await world.http.post(
        f"/v1/checkout/sessions/{session_id}/expire", headers={"authorization": f"Bearer {KEY}"}
    )
    assert expired.status_code == 200
    assert list(await world.gateway.status(asked)) == []


async def test_what_stripe_does_not_know_is_no_news(world: World) -> None:
    asked = AskedPayment("p-1", "REF1", "alice", "pi_unknown", "USD/2", 2500)
    assert list(await world.gateway.status(asked)) == []
    assert list(await world.gateway.status(replace(asked, gateway_payment_id=None))) == []
    assert list(await world.gateway.status(replace(asked, details={"session_id": "cs_unknown"}))) == []


def give_back(payment_id: str, refund_id: str = "rf-1", amount: int = 700) -> RefundRequest:
    return RefundRequest(refund_id, payment_id, "REF1", "USD/2", amount, "they asked")


async def test_a_refund_goes_out_once_by_its_own_id(world: World) -> None:
    payment_id, asked = await world.paid()
    started = await world.gateway.refund(give_back(payment_id))
    (told,) = started.observations
    assert told.name == f"{payment_id}.refund.{started.gateway_refund_id}.succeeded"
    assert told.fields["amount"] == {"units": 700, "asset": "USD/2"}
    assert await world.gateway.refund(give_back(payment_id)) == started
    second = await world.gateway.refund(give_back(payment_id, "rf-2", 1800))
    assert second.gateway_refund_id != started.gateway_refund_id
    (charge,) = await world.made("charges")
    assert charge["amount_refunded"] == 2500
    assert {refund["metadata"]["refund_id"] for refund in await world.made("refunds")} == {"rf-1", "rf-2"}
    kinds = [news.kind for news in await world.gateway.status(asked)]
    assert kinds == ["confirmed", "fee", "refund", "refund"]


async def test_a_refund_is_found_after_stripe_forgot_its_key(world: World) -> None:
    payment_id, _ = await world.paid()
    started = await world.gateway.refund(give_back(payment_id))
    # A day later a key is unknown; here it stands for something else, so that using it would show.
    again = replace(give_back(payment_id), amount=701)
    assert (await world.gateway.refund(again)).gateway_refund_id == started.gateway_refund_id
    assert len(await world.made("refunds")) == 1


async def test_a_refund_that_fails_late_is_told_anew(world: World) -> None:
    payment_id, asked = await world.paid()
    started = await world.gateway.refund(give_back(payment_id))
    await world.simulate(f"refunds/{started.gateway_refund_id}", state="failed", reason="lost_or_stolen_card")
    told = [news for news in await world.gateway.status(asked) if news.kind == "refund"]
    assert [news.name for news in told] == [f"{payment_id}.refund.{started.gateway_refund_id}.failed"]
    assert told[0].fields["reason"] == "lost_or_stolen_card"


async def test_what_stripe_will_not_refund(world: World) -> None:
    payment_id, asked = await world.paid()
    with pytest.raises(GatewayRefused) as too_much:
        await world.gateway.refund(give_back(payment_id, amount=2501))
    assert (too_much.value.status, too_much.value.extra) == (402, {"param": "amount"})
    await world.gateway.refund(give_back(payment_id, amount=2500))
    with pytest.raises(GatewayRefused) as again:
        await world.gateway.refund(give_back(payment_id, "rf-2"))
    assert again.value.extra["error_code"] == "charge_already_refunded"
    with pytest.raises(CannotRefund):
        await world.gateway.refund(give_back(asked.details["session_id"], "rf-3"))


@pytest.mark.parametrize("end", ["won", "lost"])
async def test_a_dispute_is_found_with_its_fee(world: World, end: str) -> None:
    payment_id, asked = await world.paid()
    dispute = await world.simulate(f"payments/{payment_id}/disputes", amount=2000)
    found = (await world.gateway.status(asked))[2:]
    fee_id = dispute["balance_transactions"][0]["id"]
    assert short(found) == [
        ("disputed", f"{payment_id}.dispute.{dispute['id']}.opened"),
        ("fee", f"{payment_id}.fee.{fee_id}"),
    ]
    assert [news.fields["amount"]["units"] for news in found] == [2000, 1500]
    await world.simulate(f"disputes/{dispute['id']}", status=end)
    names = [news.name for news in await world.gateway.status(asked)]
    assert f"{payment_id}.dispute.{dispute['id']}.{end}" in names


async def test_silence_is_waited_out_or_told(world: World) -> None:
    await world.simulate("silence", calls=2)
    opened, asked = await world.open()
    assert opened.payment_url
    await world.simulate("silence", calls=3)
    with pytest.raises(GatewayAway, match="APIError 503"):
        await world.gateway.status(asked)
    await world.simulate("silence", calls=0)
    assert len(await world.made("checkout/sessions")) == 1


async def test_nobody_there_is_told_within_the_time(world: World) -> None:
    api = StripeApi(StripeConnection(StripeAccess(KEY, 0.2, api_base=f"http://127.0.0.1:{free_port()}")))
    gateway = StripeGateway(api, StripeShop("https://shop.example"), PRICING)
    with pytest.raises(GatewayAway) as away:
        await gateway.initiate(REQUEST, await gateway.quote(REQUEST, world.clock.now()))
    assert (away.value.gateway, KEY in str(away.value)) == ("stripe", False)
    await gateway.close()


async def test_a_refused_key_is_no_answer_and_not_repeated_to_anybody(world: World) -> None:
    secret = "sk_live_verysecret"
    api = StripeApi(StripeConnection(StripeAccess(secret, 5.0, api_base=str(world.http.base_url))))
    gateway = StripeGateway(api, StripeShop("https://shop.example"), PRICING)
    with pytest.raises(GatewayAway, match="refuses our key") as away:
        await gateway.status(AskedPayment("p-1", "REF1", "alice", "pi_1", "USD/2", 2500))
    assert secret not in f"{away.value!r} {away.value.__cause__!r} {away.value.__context__}"
    await gateway.close()
