"""The simulated Stripe's subscriptions over HTTP: agreed to in a session, an invoice each period, and their end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from .test_stripe_simulator import KEY, SESSION, Stripe

pytestmark = pytest.mark.asyncio
DECLINED = "4000000000000002"
SUBSCRIPTION = {name: value for name, value in SESSION.items() if not name.startswith("payment_intent_data")} | {
    "mode": "subscription",
    "line_items[0][price_data][recurring][interval]": "month",
    "subscription_data[metadata][subscription_id]": "s-1",
}
JANUARY, FEBRUARY, MARCH = (int(datetime(2026, month, 1, tzinfo=UTC).timestamp()) for month in (1, 2, 3))


@pytest_asyncio.fixture
async def stripe() -> AsyncIterator[Stripe]:
    simulated = Stripe()
    async with simulated.http:
        yield simulated
    await simulated.webhooks.close()


async def agreed(stripe: Stripe) -> Any:
    session = await stripe.call("checkout/sessions", SUBSCRIPTION)
    return await stripe.simulate(f"sessions/{session['id']}/agree")


def told(stripe: Stripe, kind: str) -> list[Any]:
    return [event["data"]["object"] for event in stripe.events if event["type"] == kind]


def span(subject: Any) -> tuple[int, int]:
    (line,) = subject["lines"]["data"]
    return line["period"]["start"], line["period"]["end"]


async def test_agreeing_pays_the_first_period_and_tells_in_stripes_order(stripe: Stripe) -> None:
    subscription = await agreed(stripe)
    assert (subscription["status"], subscription["metadata"]) == ("active", {"subscription_id": "s-1"})
    assert stripe.told == [
        "charge.succeeded",
        "payment_intent.succeeded",
        "customer.subscription.created",
        "invoice_payment.paid",
        "invoice.paid",
        "customer.subscription.updated",
        "checkout.session.completed",
    ]
    (intent,), (invoice,), (payment,) = (
        told(stripe, kind) for kind in ("payment_intent.succeeded", "invoice.paid", "invoice_payment.paid")
    )
    assert (intent["metadata"], intent["amount_received"]) == ({}, 2500)
    assert invoice["parent"]["subscription_details"]["metadata"] == {"subscription_id": "s-1"}
    assert (invoice["amount_paid"], span(invoice)) == (2500, (JANUARY, FEBRUARY))
    assert "payment_intent" not in invoice
    assert (payment["invoice"], payment["payment"]["payment_intent"]) == (invoice["id"], intent["id"])
    (session,) = told(stripe, "checkout.session.completed")
    assert (session["mode"], session["payment_intent"], session["subscription"]) == (
        "subscription",
        None,
        subscription["id"],
    )


async def test_the_pay_page_agrees_too(stripe: Stripe) -> None:
    session = await stripe.call("checkout/sessions", SUBSCRIPTION)
    path = f"/pay/{session['id']}"
    refused = await stripe.http.post(path, data={"action": "pay", "card": DECLINED})
    assert (refused.status_code, "declined" in refused.text) == (402, True)
    assert told(stripe, "customer.subscription.created") == []
    assert (await stripe.http.post(path, data={"action": "pay", "card": "4242424242424242"})).status_code == 200
    assert len(told(stripe, "invoice.paid")) == 1
    assert (await stripe.http.post(path, data={"action": "pay"})).status_code == 404


async def test_a_period_that_is_declined_is_past_due_until_a_retry_pays_it(stripe: Stripe) -> None:
    subscription = await agreed(stripe)
    path = f"subscriptions/{subscription['id']}"
    assert (await stripe.simulate(path, action="renew", card=DECLINED))["status"] == "past_due"
    (missed,) = told(stripe, "invoice.payment_failed")
    assert (missed["status"], missed["amount_paid"], span(missed)) == ("open", 0, (FEBRUARY, MARCH))
    assert (await stripe.get(f"invoice_payments?invoice={missed['id']}"))["data"] == []
    assert (await stripe.simulate(path, action="retry"))["status"] == "active"
    paid = told(stripe, "invoice.paid")[-1]
    assert (paid["id"], span(paid)) == (missed["id"], (FEBRUARY, MARCH))
    assert len((await stripe.get(f"invoice_payments?invoice={missed['id']}&status=paid"))["data"]) == 1
    await stripe.simulate(path, 400, action="retry")


@pytest.mark.parametrize("status", ["unpaid", "canceled"])
async def test_giving_up(stripe: Stripe, status: str) -> None:
    subscription = await agreed(stripe)
    path = f"subscriptions/{subscription['id']}"
    await stripe.simulate(path, action="give_up", status=status)
    kind = "customer.subscription.updated" if status == "unpaid" else "customer.subscription.deleted"
    assert (stripe.told[-1], told(stripe, kind)[-1]["status"]) == (kind, status)


async def test_what_is_canceled_takes_nothing_any_more(stripe: Stripe) -> None:
    subscription = await agreed(stripe)
    url = f"/v1/subscriptions/{subscription['id']}"
    first = await stripe.http.delete(url, headers=KEY)
    assert (first.status_code, first.json()["status"]) == (200, "canceled")
    again = await stripe.http.delete(url, headers=KEY)
    assert (again.status_code, again.json()["error"]["code"]) == (404, "resource_missing")
    await stripe.simulate(f"subscriptions/{subscription['id']}", 400, action="renew")
    assert (await stripe.get(f"subscriptions/{subscription['id']}"))["status"] == "canceled"


@pytest.mark.parametrize(
    "change",
    [
        {"line_items[0][price_data][recurring][interval]": "fortnight"},
        {"payment_intent_data[metadata][reference]": "REF1"},
        {"line_items[0][price_data][unit_amount]": "1"},
    ],
)
async def test_sessions_that_stripe_would_refuse(stripe: Stripe, change: dict[str, str]) -> None:
    answer = await stripe.http.post("/v1/checkout/sessions", data=SUBSCRIPTION | change, headers=KEY)
    assert answer.status_code == 400
