"""Every call that reconciling makes of Stripe, checked against Stripe's published interface by its own stripe-mock.

It knows no state: what it answers is a fixture. What matters here is that it takes our parameters, and that what we
read of its objects is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from chassis.errors import OperationalError
from gateway_ingest.adapters.gateway_lists.stripe import StripeList
from gateway_ingest.adapters.gateway_lists.stripe_connection import StripeAccess, StripeReader
from gateway_ingest.domain.facts import Amount, Confirmed
from gateway_ingest.domain.reconciling import ListedPayment, Window
from testkit.stripe_mock import running

pytestmark = pytest.mark.asyncio
START = datetime(2026, 11, 1, tzinfo=UTC)
PAYMENT = ListedPayment(Confirmed("pi_1", Amount(1000, "USD", 2)), 0, START)


@pytest_asyncio.fixture
async def stripe() -> AsyncIterator[StripeReader]:
    async with running() as url:
        opened = StripeReader(StripeAccess("sk_test_123", 10.0, api_base=url))
        yield opened
        await opened.close()


async def test_it_takes_everything_that_we_ask(stripe: StripeReader) -> None:
    listing = StripeList(stripe)
    # Its one intent waits for a card, so it is no payment.
    assert [listed async for listed in listing.listed(Window(START, START + timedelta(days=1)))] == []
    assert await listing.one("pi_1", None) is None
    facts = await listing.news(PAYMENT)
    assert facts[0] == PAYMENT.confirmed
    assert [type(fact).__name__ for fact in facts[1:]] == ["RefundTold"]
    invoice = await stripe.found(stripe.v1.invoices.retrieve_async("in_1"))
    assert invoice is not None
    assert invoice["object"] == "invoice"
    (dispute,) = [each async for each in stripe.pages(stripe.v1.disputes.list_async, {"payment_intent": "pi_1"})]
    assert dispute["object"] == "dispute"


@pytest.mark.parametrize("asked", [{"status": "succeeded"}, {"payment_intent": "pi_1"}, {"expand": "latest_charge"}])
async def test_it_refuses_what_stripe_does_not_know(stripe: StripeReader, asked: dict[str, Any]) -> None:
    """So that the test above can fail."""
    with pytest.raises(OperationalError, match="InvalidRequestError 400"):
        [each async for each in stripe.pages(stripe.v1.payment_intents.list_async, asked)]
