"""Every call about saved cards, checked against Stripe's published interface by its own stripe-mock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from payments_api.adapters.gateways.stripe.api import StripeApi
from payments_api.adapters.gateways.stripe.connection import StripeAccess, StripeConnection
from payments_api.adapters.gateways.stripe.gateway import StripeGateway, StripeShop
from payments_api.adapters.gateways.stripe.saved_cards import StripeSavedCards
from payments_api.application.gateways import GatewayRefused
from testkit.stripe_mock import running

from .test_stripe_mock import PRICING, REQUEST, quote

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def stripe() -> AsyncIterator[StripeConnection]:
    async with running() as url:
        connection = StripeConnection(StripeAccess("sk_test_123", 10.0, api_base=url))
        yield connection
        await connection.close()


async def test_it_takes_everything_that_we_ask(stripe: StripeConnection) -> None:
    vault = StripeSavedCards(stripe, "https://shop.example/", "pk_test_x")
    customer = await vault.make_customer("alice", "customer:alice")
    assert customer.startswith("cus_")
    begun = await vault.begin_saving(customer, "alice", "setup:1")
    assert begun.setup_intent_id.startswith("seti_")
    assert (bool(begun.client_secret), begun.publishable_key) == (True, "pk_test_x")
    (card,) = await vault.cards(customer)
    assert card.id.startswith("pm_")
    assert await vault.card(customer, card.id) is not None
    options = {"mode": "payment_intent", "customer": customer, "payment_method": card.id}
    gateway = StripeGateway(StripeApi(stripe), StripeShop("https://shop.example"), PRICING)
    opened = await gateway.initiate(replace(REQUEST, options=options), quote())
    assert opened.gateway_payment_id is not None
    await vault.charge("p-1", opened.gateway_payment_id)
    await vault.forget(card.id)


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        ("customers", {"user": "alice"}),
        ("setup_intents", {"usage": "sometimes"}),
        ("payment_intents", {"amount": 2500, "currency": "usd", "off_session": "maybe", "confirm": True}),
    ],
)
async def test_it_refuses_what_stripe_does_not_know(stripe: StripeConnection, call: str, asked: dict[str, Any]) -> None:
    """So that the test above can fail."""
    with pytest.raises(GatewayRefused):
        await stripe.write(getattr(stripe.v1, call).create_async, asked, "k-1")
