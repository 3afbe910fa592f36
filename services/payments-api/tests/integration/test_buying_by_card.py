"""Buying a deployment by card: an intent for the price, and the purchase that begins once it is credited, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from contracts.messages import CreditsPurchased
from payments_api.application.gateways import GatewayAway
from testkit.waiting_for import eventually

from .conftest import OpenShop, Shop, exact, running
from .payment_story import purchased
from .scripted_gateway import ScriptedGateway
from .subscription_story import MAIL, mails

BUY = {"service_id": "web-server", "payment_method": "Stripe"}


@asynccontextmanager
async def card_shop(open_shop: OpenShop, **settings: Any) -> AsyncIterator[Any]:
    async with open_shop(**settings) as shop:
        shop.gateway = ScriptedGateway(shop.parts.gateways["demo"])
        shop.parts.initiating._gateways["stripe"] = shop.gateway
        yield shop


async def buy(shop: Shop, headers: dict[str, str], **said: Any) -> Any:
    return await shop.http.post("/api/marketplace/buy-now", headers=headers, json=BUY | said)


def credited_for(shop: Any) -> CreditsPurchased:
    """The ledger's news of the intent that was paid."""
    (request,) = shop.gateway.initiated
    return purchased(request.reference)


@pytest.mark.asyncio
async def test_an_intent_for_the_price_is_answered(open_shop: OpenShop) -> None:
    async with card_shop(open_shop) as shop:
        answer = exact(await buy(shop, await shop.sign_in()))
        (request,) = shop.gateway.initiated
        assert request.options == {"mode": "payment_intent"}
        intent = answer["action"]["payment_intent"]
        assert (answer["success"], answer["action"]["type"]) == (True, "PaymentRequired")
        assert (intent["amount_cents"], intent["tfc_amount"]) == (1000, Decimal("10.00"))
        assert (intent["client_secret"], intent["payment_intent_id"]) == (
            "secret-of-the-payer",
            f"gw-{request.reference}",
        )
        assert await shop.pool.fetchval("SELECT count(*) FROM deployments") == 0, "nothing is bought before it is paid"


@pytest.mark.asyncio
async def test_once_credited_the_deployment_is_charged_once(open_shop: OpenShop) -> None:
    async with card_shop(open_shop) as shop:
        headers = await shop.sign_in()
        await buy(shop, headers)
        news = credited_for(shop)
        await shop.deliver(news)
        await shop.deliver(news)
        shop.ledger.give("alice", 1000)
        async with running(shop.parts.purchasing.run):
            await eventually(lambda: shop.ledger.charges() == 1)
        ((key, (charge, _, _)),) = shop.ledger.answers.items()
        deployment_id = await shop.pool.fetchval("SELECT deployment_id FROM card_purchases")
        assert key == f"deployment:{deployment_id}:charge"
        assert (charge.service_id, charge.amount) == ("web-server", "10.00")
        shown = await shop.get("/api/deployments", headers)
        assert [one["id"] for one in shown["deployments"]] == [deployment_id]


@pytest.mark.asyncio
async def test_a_repeat_of_the_request_is_one_intent(open_shop: OpenShop) -> None:
    async with card_shop(open_shop) as shop:
        headers = await shop.sign_in() | {"idempotency-key": "k1"}
        first, again = await buy(shop, headers), await buy(shop, headers)
        assert (first.content, again.headers["idempotency-replayed"]) == (again.content, "true")
        assert len(shop.gateway.initiated) == 1


@pytest.mark.asyncio
async def test_without_the_gateway_nothing_is_begun(open_shop: OpenShop) -> None:
    async with card_shop(open_shop) as shop:
        shop.gateway.error = GatewayAway("stripe", "silence")
        assert (await buy(shop, await shop.sign_in())).status_code == 502
        assert await shop.pool.fetchval("SELECT count(*) FROM card_purchases") == 0


@pytest.mark.asyncio
async def test_what_cannot_be_bought_leaves_the_credits_and_says_so(open_shop: OpenShop) -> None:
    async with card_shop(open_shop) as shop:
        headers = await shop.sign_in()
        await buy(shop, headers)
        await shop.deliver(credited_for(shop))
        async with running(shop.parts.purchasing.run):
            await eventually(lambda: shop.pool.fetchval("SELECT state = 'refused' FROM purchases"))
        told = [data for kind, data in await shop.live("alice") if kind == "purchase_refused"]
        assert [one["service_id"] for one in told] == ["web-server"]
        assert (await shop.get("/api/deployments", headers))["deployments"] == []


@pytest.mark.asyncio
async def test_who_left_an_address_is_mailed_once_what_cannot_be_bought(open_shop: OpenShop) -> None:
    async with card_shop(open_shop, **MAIL) as shop:
        headers = await shop.sign_in()
        await buy(shop, headers, customer_email="alice@example.org")
        news = credited_for(shop)
        await shop.deliver(news, news)
        async with running(shop.parts.purchasing.run):
            await eventually(lambda: shop.pool.fetchval("SELECT state = 'refused' FROM purchases"))
        assert await shop.parts.purchasing.resume_once() == 0
        written = dict(await mails(shop))
        assert sorted(kind for kind, _ in await mails(shop)) == ["credited", "purchase_refused"]
        assert written["purchase_refused"] == {
            "service": "Web server",
            "required": "10.00 TFC",
            "available": "0.00 TFC",
        }
        assert await shop.pool.fetchval("SELECT recipient FROM mails LIMIT 1") == "alice@example.org"


@pytest.mark.asyncio
async def test_a_refusal_that_is_an_answer_is_no_mail(open_shop: OpenShop) -> None:
    async with card_shop(open_shop, **MAIL) as shop:
        answer = exact(await buy(shop, await shop.sign_in(), payment_method="TFC", customer_email="alice@example.org"))
        assert answer["action"]["type"] == "InsufficientFunds"
        assert await mails(shop) == []


@pytest.mark.asyncio
async def test_the_same_key_with_another_address_is_another_request(open_shop: OpenShop) -> None:
    async with card_shop(open_shop) as shop:
        headers = await shop.sign_in() | {"idempotency-key": "k1"}
        first = await buy(shop, headers, customer_email="alice@example.org")
        assert (await buy(shop, headers, customer_email="alice@example.org")).content == first.content
        assert (await buy(shop, headers)).status_code == 422
        assert (await buy(shop, headers, customer_email="nobody")).status_code == 422
