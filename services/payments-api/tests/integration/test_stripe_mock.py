"""Every call that we make of Stripe, checked against Stripe's published interface by its own stripe-mock.

It knows no state: what it answers is a fixture. What matters here is that it takes our parameters.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
import pytest_asyncio

from payments_api.adapters.gateways.stripe import wire
from payments_api.adapters.gateways.stripe.api import StripeApi
from payments_api.adapters.gateways.stripe.connection import StripeAccess, StripeConnection
from payments_api.adapters.gateways.stripe.gateway import StripeGateway, StripeShop
from payments_api.adapters.gateways.stripe.subscriptions import StripeSubscriptions
from payments_api.adapters.gateways.stripe.subscriptions import session_parameters as subscription_parameters
from payments_api.application.gateways import AskedPayment, GatewayRefused, PayRequest, RefundRequest
from payments_api.application.subscribing_ports import RecurringRequest
from payments_api.domain.quotes import Pricing, Quote, Terms
from payments_api.domain.subscription import SubscribedTerms
from testkit.stripe_mock import running

pytestmark = pytest.mark.asyncio
PRICING = Pricing(Terms("USD/2", "TFC/2", Fraction(1), 3600), {})
REQUEST = PayRequest(
    "p-1",
    "REF1",
    "alice",
    "USD/2",
    2500,
    package_id="starter",
    description="For Ada",
    customer_email="ada@example.com",
    metadata={"order": "7"},
)


def quote() -> Quote:
    return Quote("USD/2", 2500, "TFC/2", 2500, 0, datetime.now(UTC) + timedelta(hours=1))


@pytest_asyncio.fixture
async def api() -> AsyncIterator[StripeApi]:
    async with running() as url:
        opened = StripeApi(StripeConnection(StripeAccess("sk_test_123", 10.0, api_base=url)))
        yield opened
        await opened.close()


async def test_it_takes_everything_that_we_ask(api: StripeApi) -> None:
    gateway = StripeGateway(api, StripeShop("https://shop.example"), PRICING)
    by_checkout = await gateway.initiate(REQUEST, quote())
    assert (by_checkout.payment_url or "").startswith("https://")
    assert by_checkout.details["session_id"].startswith("cs_")
    by_intent = await gateway.initiate(replace(REQUEST, options={"mode": "payment_intent"}), quote())
    assert (by_intent.gateway_payment_id or "").startswith("pi_")
    assert by_intent.client_secret
    refund = RefundRequest("rf-1", "pi_1", "REF1", "USD/2", 700, "they asked")
    started = await gateway.refund(refund)
    assert started.gateway_refund_id.startswith("re_")
    (told,) = started.observations
    assert (told.kind, told.fields["refund_id"]) == ("refund", started.gateway_refund_id)
    await gateway.refund(replace(refund, refund_id="rf-2", gateway_payment_id="ch_1"))
    for payment in (AskedPayment("p-1", "REF1", "alice", "pi_1", "USD/2", 2500), _by_session()):
        assert all(news.name.startswith(news.payment_id) for news in await gateway.status(payment))
    assert [each["object"] for each in await api.refunds_of("pi_1")] == ["refund"]
    assert [each["object"] for each in await api.disputes_of("pi_1")] == ["dispute"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expires_at": "soon"}, "expires_at"),
        ({"line_item": "x"}, "additional properties are not allowed"),
        ({"mode": "give_away"}, "mode"),
    ],
)
async def test_it_refuses_what_stripe_does_not_know(api: StripeApi, changes: dict[str, Any], says: str) -> None:
    """So that the test above can fail."""
    expires_at = wire.session_expiry(quote(), 3600)
    asked = wire.session_parameters(REQUEST, quote(), "https://shop.example", expires_at)
    with pytest.raises(GatewayRefused, match=says):
        await api.create_session(asked | changes, "initiate:p-9")


@pytest.mark.parametrize("cycle", ["monthly", "yearly"])
async def test_it_takes_what_we_ask_of_subscriptions(api: StripeApi, cycle: Any) -> None:
    subscriptions = StripeSubscriptions(api._stripe, "https://shop.example")
    terms = SubscribedTerms("USD/2", 5000, "TFC/2", 5000, 250)
    started = await subscriptions.start(RecurringRequest("s-1", "alice", "standard", cycle, terms, "ada@example.com"))
    assert started.session_id.startswith("cs_")
    assert started.payment_url.startswith("https://")
    await subscriptions.end(started.session_id, None)
    await subscriptions.end(started.session_id, "sub_1")
    assert [each["object"] for each in await api.payments_of_invoice("in_1")] == ["invoice_payment"]


async def test_it_refuses_a_subscription_that_stripe_does_not_know(api: StripeApi) -> None:
    terms = SubscribedTerms("USD/2", 5000, "TFC/2", 5000, 250)
    asked = subscription_parameters(RecurringRequest("s-1", "alice", "standard", "monthly", terms), "https://s.example")
    asked["line_items"][0]["price_data"]["recurring"] = {"interval": "fortnight"}
    with pytest.raises(GatewayRefused, match="interval"):
        await api.create_session(asked, "subscribe:s-9")


def _by_session() -> AskedPayment:
    return AskedPayment("p-1", "REF1", "alice", None, "USD/2", 2500, {"session_id": "cs_test_1"})
