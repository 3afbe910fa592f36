"""Subscriptions on the whole running stack: Stripe's simulator takes the periods, a bank is paid by bills.

Its webhooks are signed and come in the order in which Stripe sends them: a payment's own event, which does not know
what it is for, before the invoice's. After each test the books balance.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio

from testkit.waiting_for import eventually

from .visitor import AMONG_OTHERS_S, Visitor, read

pytestmark = pytest.mark.e2e
DECLINED = "4000000000000002"
STANDARD = {"package_id": "standard", "billing_cycle": "monthly"}


@pytest_asyncio.fixture
async def payer(gateways_visitor: Visitor) -> AsyncIterator[Visitor]:
    """Somebody who is new here; the trial balance is zero after each test."""
    yield gateways_visitor
    balance = await gateways_visitor.ledger("/trial-balance")
    assert (balance["balanced"], balance["wallets_off"]) == (True, [])


async def call(payer: Visitor, method: str, path: str, body: Any = None) -> httpx.Response:
    url = payer.stack.url("payments-api") + path
    return await payer.http.request(method, url, json=body, headers=payer.signed_in)


async def subscribe(payer: Visitor, gateway: str, **more: Any) -> Any:
    return read(await call(payer, "POST", "/api/subscriptions", STANDARD | {"payment_method": gateway} | more))


async def simulate(payer: Visitor, path: str, body: Mapping[str, Any]) -> Any:
    answer = await payer.http.post(f"{payer.stack.url('demo-gateway')}/stripe/simulate{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def agree(payer: Visitor, subscription: Mapping[str, Any]) -> str:
    """The person agrees at Stripe; its name of the subscription."""
    session_id = subscription["payment_url"].rsplit("/", 1)[1]
    return str((await simulate(payer, f"/sessions/{session_id}/agree", {}))["id"])


async def becomes(payer: Visitor, subscription: Mapping[str, Any], status: str, number: int) -> Any:
    async def reached() -> Any:
        shown = await payer.get(f"/api/subscriptions/{subscription['subscription_id']}")
        assert (shown["status"], (shown["period"] or {}).get("number")) == (status, number), shown
        return shown

    return await eventually(reached, AMONG_OTHERS_S)


async def nothing_of_theirs_waits(payer: Visitor, payments: list[str]) -> None:
    """No money of those payments is unallocated."""
    page = await payer.ledger("/unallocated?limit=200")
    waiting = {row["gateway_payment_id"] for row in page["unallocated"]}
    assert not waiting & set(payments)


async def payments_become(payer: Visitor, statuses: list[str]) -> list[Any]:
    """Theirs, newest first. The books know of credits a moment before the payment does."""

    async def reached() -> list[Any]:
        payments = list((await payer.get("/api/payments?limit=50"))["payments"])
        assert [payment["status"] for payment in payments] == statuses
        return payments

    return await eventually(reached, AMONG_OTHERS_S)


@pytest.mark.asyncio
async def test_three_periods_by_stripe_one_of_them_failed(payer: Visitor) -> None:
    made = await subscribe(payer, "stripe", customer_email="payer@example.org")
    at_stripe = await agree(payer, made)
    await payer.balance_becomes("52.50")
    await becomes(payer, made, "active", 1)
    await simulate(payer, f"/subscriptions/{at_stripe}", {"action": "renew", "card": DECLINED})
    missed = await becomes(payer, made, "past_due", 2)
    assert missed["period"]["payment_status"] == "failed"
    assert await payer.balance() == "52.50"
    await simulate(payer, f"/subscriptions/{at_stripe}", {"action": "renew"})
    await payer.balance_becomes("105.00")
    await becomes(payer, made, "active", 3)
    paid = await payments_become(payer, ["confirmed", "failed", "confirmed"])
    assert {payment["credited"] for payment in paid} == {Decimal("52.50"), None}
    await nothing_of_theirs_waits(payer, [payment["gateway_payment_id"] for payment in paid])


@pytest.mark.asyncio
async def test_a_period_that_failed_is_credited_when_it_is_paid_later(payer: Visitor) -> None:
    made = await subscribe(payer, "stripe")
    at_stripe = await agree(payer, made)
    await becomes(payer, made, "active", 1)
    await simulate(payer, f"/subscriptions/{at_stripe}", {"action": "renew", "card": DECLINED})
    await becomes(payer, made, "past_due", 2)
    await simulate(payer, f"/subscriptions/{at_stripe}", {"action": "retry"})
    await payer.balance_becomes("105.00")
    await becomes(payer, made, "active", 2)
    await payments_become(payer, ["confirmed", "confirmed"])


@pytest.mark.asyncio
async def test_webhooks_in_reverse_and_twice_credit_once(payer: Visitor) -> None:
    made = await subscribe(payer, "stripe")
    await simulate(payer, "/webhooks", {"mode": "hold", "copies": 2})
    try:
        await agree(payer, made)
        await simulate(payer, "/webhooks/release", {"reversed": True})
    finally:
        await simulate(payer, "/webhooks", {"mode": "send", "copies": 1})
    await simulate(payer, "/webhooks/drain", {})
    await payer.balance_becomes("52.50")
    await becomes(payer, made, "active", 1)
    await payments_become(payer, ["confirmed"])


@pytest.mark.asyncio
async def test_a_payment_whose_name_never_came_is_found_by_asking(payer: Visitor) -> None:
    """As with an endpoint that is not told of ``invoice_payment.paid``."""
    made = await subscribe(payer, "stripe")
    await simulate(payer, "/webhooks", {"mode": "lose"})
    try:
        at_stripe = await agree(payer, made)
    finally:
        await simulate(payer, "/webhooks", {"mode": "send"})
    for event in reversed(await events_of(payer, at_stripe)):
        if event["type"] != "invoice_payment.paid":
            await simulate(payer, f"/events/{event['id']}/resend", {})
    await payer.balance_becomes("52.50")
    await becomes(payer, made, "active", 1)


async def events_of(payer: Visitor, subscription_id: str) -> list[Any]:
    """What Stripe would tell of its first period, newest first."""
    base, key = f"{payer.stack.url('demo-gateway')}/stripe/v1", {"Authorization": "Bearer sk_test_x"}
    made = (await payer.http.get(f"{base}/subscriptions/{subscription_id}", headers=key)).json()
    paid = await payer.http.get(f"{base}/invoice_payments?invoice={made['latest_invoice']}", headers=key)
    (payment,) = paid.json()["data"]
    wanted = {subscription_id, made["latest_invoice"], payment["id"], payment["payment"]["payment_intent"]}
    page = (await payer.http.get(f"{base}/events?limit=50", headers=key)).json()["data"]
    return [event for event in page if event["data"]["object"]["id"] in wanted]


@pytest.mark.asyncio
async def test_what_stripe_gave_up_on_is_ended(payer: Visitor) -> None:
    made = await subscribe(payer, "stripe")
    at_stripe = await agree(payer, made)
    await becomes(payer, made, "active", 1)
    await simulate(payer, f"/subscriptions/{at_stripe}", {"action": "renew", "card": DECLINED})
    await becomes(payer, made, "past_due", 2)
    await simulate(payer, f"/subscriptions/{at_stripe}", {"action": "give_up", "status": "unpaid"})
    await becomes(payer, made, "unpaid", 2)
    url = f"{payer.stack.url('demo-gateway')}/stripe/v1/subscriptions/{at_stripe}"

    async def over() -> bool:
        answer = await payer.http.get(url, headers={"Authorization": "Bearer sk_test_x"})
        assert answer.json()["status"] == "canceled"
        return True

    await eventually(over, AMONG_OTHERS_S)
    assert await payer.balance() == "52.50"


@pytest.mark.asyncio
async def test_canceling_ends_it_and_keeps_what_was_credited(payer: Visitor) -> None:
    made = await subscribe(payer, "stripe")
    at_stripe = await agree(payer, made)
    await payer.balance_becomes("52.50")
    path = f"/api/subscriptions/{made['subscription_id']}"
    first, again = [read(await call(payer, "DELETE", path)) for _ in range(2)]
    assert (first["status"], first["next_period_at"]) == ("canceled", None)
    assert again["status"] == "canceled"
    url = f"{payer.stack.url('demo-gateway')}/stripe/simulate/subscriptions/{at_stripe}"
    assert (await payer.http.post(url, json={"action": "renew"})).status_code == 400
    assert await payer.balance() == "52.50"
    listed = (await payer.get("/api/subscriptions"))["subscriptions"]
    assert [(one["subscription_id"], one["status"]) for one in listed] == [(made["subscription_id"], "canceled")]


@pytest.mark.asyncio
async def test_the_first_bill_of_a_subscription_by_bank_is_paid(payer: Visitor) -> None:
    refused = await call(payer, "POST", "/api/subscriptions", STANDARD | {"payment_method": "bank"})
    assert refused.status_code == 422
    made = await subscribe(payer, "bank", customer_email="payer@example.org")
    bill = await payer.get(f"/api/payments/{made['period']['payment_id']}")
    assert (bill["status"], bill["price"], bill["bonus"]) == ("initiated", Decimal("50.00"), Decimal("2.50"))
    arrived = {"amount": "50.00", "currency": "USD", "bank_reference": f"TX-{bill['reference']}"}
    url = f"{payer.stack.url('payments-api')}/api/admin/payments/{bill['payment_id']}/confirm"
    token = payer.stack.environment["ADMIN_TOKEN"]
    answer = await payer.http.post(url, json=arrived, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    await payer.balance_becomes("52.50")
    await becomes(payer, made, "active", 1)
