"""Which period an intent of an older API version paid: there the intent names its invoice."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.http import ExactRouter, create_app
from gateway_ingest.adapters.gateway_lists.stripe_connection import StripeAccess, StripeReader
from gateway_ingest.adapters.gateway_lists.stripe_periods import period_of

from .books_stand_in import served

pytestmark = pytest.mark.asyncio
INVOICE = {
    "id": "in_1",
    "object": "invoice",
    "amount_paid": 2500,
    "currency": "usd",
    "lines": {"object": "list", "data": [{"period": {"start": 1_767_225_600, "end": 1_769_904_000}}]},
    "subscription": "sub_1",
    "subscription_details": {"metadata": {"subscription_id": "s-1"}},
}


@pytest.mark.parametrize(
    ("named", "changes", "found"),
    [
        ("in_1", {}, "s-1"),
        ({"id": "in_1"}, {}, "s-1"),
        (None, {}, None),
        ("in_1", {"subscription_details": {"metadata": {}}}, None),
        ("in_1", {"lines": {"data": []}}, None),
    ],
)
async def test_an_intent_that_names_its_invoice(named: Any, changes: dict[str, Any], found: str | None) -> None:
    router = ExactRouter()

    @router.get("/v1/invoices/in_1")
    async def invoice() -> dict[str, Any]:
        return INVOICE | changes

    async def ready() -> dict[str, bool]:
        return {}

    app = create_app(title="Stripe of 2023", readiness=ready)
    app.include_router(router)
    async with served(app) as base:
        stripe = StripeReader(StripeAccess("sk_test_x", 5.0, api_base=base))
        period = await period_of(stripe, {"id": "pi_1", "invoice": named})
        await stripe.close()
    assert (None if period is None else period.subscription_id) == found
