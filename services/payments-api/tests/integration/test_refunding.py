"""Refunds that begin here: once per key, never more than came, asked for until their outcome is known."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts.amounts import Money
from contracts.messages import RefundReported
from payments_api.application.gateways import GatewayAway, GatewayRefused, Observation
from payments_api.application.refunding import NotRefundable
from testkit.waiting_for import eventually

from .conftest import START, OpenShop
from .scripted_gateway import ADMIN, paid, scripted

WHO_WAITS_FOR_A_LOCK = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())
"""


async def ask_back(shop: Any, payment: Any, **body: Any) -> Any:
    headers = ADMIN | ({"idempotency-key": body.pop("key")} if "key" in body else {})
    path = f"/api/payments/{payment['payment_id']}/refunds"
    return await shop.http.post(path, headers=headers, json={"reason": "asked for"} | body)


@pytest.mark.asyncio
async def test_money_goes_back_once_per_key_and_never_more_than_came(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        _, payment = await paid(shop)
        first = await ask_back(shop, payment, amount=10, key="k1")
        assert (first.status_code, first.json()["state"], first.json()["amount"]) == (201, "accepted", 10)
        assert (await ask_back(shop, payment, amount=10, key="k1")).json() == first.json()
        assert len(shop.gateway.refunds) == 1
        too_much = await ask_back(shop, payment, amount="15.01")
        assert (too_much.status_code, too_much.json()["code"]) == (409, "not_refundable")
        rest = await ask_back(shop, payment)
        assert rest.json()["amount"] == 15
        assert [refund.amount for refund in shop.gateway.refunds] == [1000, 1500]
        assert (await ask_back(shop, payment)).status_code == 409


@pytest.mark.asyncio
async def test_a_refunds_key_stands_for_one_refund(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        _, payment = await paid(shop)
        await ask_back(shop, payment, amount=10, key="k1")
        for other in ({"amount": 5}, {"amount": 10, "reason": "something else"}):
            answer = await ask_back(shop, payment, key="k1", **other)
            assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        assert [refund.amount for refund in shop.gateway.refunds] == [1000]


@pytest.mark.asyncio
async def test_two_who_ask_at_once_never_get_more_than_came(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        _, payment = await paid(shop)
        payment_id, desk = payment["payment_id"], shop.parts.refund_desk
        async with shop.pool.acquire() as other, other.transaction():
            await other.execute("SELECT FROM payments WHERE id = $1 FOR UPDATE", payment_id)
            second = asyncio.create_task(desk.open("rf-2", payment_id, None, "asked for", "admin"))

            async def waits() -> bool:
                return bool(await shop.pool.fetchval(WHO_WAITS_FOR_A_LOCK))

            await eventually(waits)
            await other.execute(
                "INSERT INTO refunds (id, payment_id, asset, amount, reason, next_attempt_at, requested_by) "
                "VALUES ('rf-1', $1, 'USD/2', 2500, 'asked for', now(), 'admin')",
                payment_id,
            )
        with pytest.raises(NotRefundable):
            await second
        assert await shop.pool.fetchval("SELECT sum(amount) FROM refunds") == 2500


@pytest.mark.asyncio
async def test_a_refund_outlives_a_gateway_that_is_away(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        _, payment = await paid(shop)
        shop.gateway.error = GatewayAway("demo", "silence")
        assert (await ask_back(shop, payment)).json()["state"] == "requested"
        shop.gateway.error = None
        await shop.pool.execute("UPDATE refunds SET next_attempt_at = now()")
        (due,) = await shop.parts.refund_desk.take_due(5)
        await shop.parts.refunding._ask(due)
        first, again = shop.gateway.refunds
        assert first == again, "the same id asks for the same refund"
        listed = await shop.get(f"/api/payments/{payment['payment_id']}/refunds", ADMIN)
        assert [refund["state"] for refund in listed] == ["accepted"]


@pytest.mark.asyncio
async def test_a_refund_that_is_refused_gives_its_amount_free(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        _, payment = await paid(shop)
        shop.gateway.error = GatewayRefused("too_late", "Too late for a refund")
        refused = (await ask_back(shop, payment)).json()
        assert (refused["state"], refused["refusal"]) == ("refused", "Too late for a refund")
        shop.gateway.error = None
        assert (await ask_back(shop, payment)).json()["state"] == "accepted"


@pytest.mark.asyncio
async def test_a_refund_that_fails_late_can_be_asked_for_again(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        _, payment = await paid(shop)
        first = (await ask_back(shop, payment)).json()
        assert (await ask_back(shop, payment)).status_code == 409
        told = RefundReported(
            gateway="demo",
            gateway_payment_id="p1",
            refund_id=f"re-{first['refund_id']}",
            amount=Money.of(2500, "USD/2"),
            state="failed",
            reason="expired_or_canceled_card",
            reported_at=START,
        )
        await shop.deliver(told.model_copy(update={"refund_id": "re-of-another"}))
        assert (await ask_back(shop, payment)).status_code == 409
        await shop.deliver(told)
        (shown,) = await shop.get(f"/api/payments/{payment['payment_id']}/refunds", ADMIN)
        assert (shown["state"], shown["refusal"]) == ("refused", "expired_or_canceled_card")
        again = (await ask_back(shop, payment)).json()
        assert (again["state"], again["amount"]) == ("accepted", 25)


@pytest.mark.asyncio
async def test_a_refund_that_fails_at_once_was_not_accepted(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        _, payment = await paid(shop)
        fields = {"refund_id": "re-1", "state": "failed", "reason": "declined"}
        shop.gateway.refund_says = [Observation("demo", "p1.refund.re-1.failed", "refund", "p1", fields=fields)]
        refused = (await ask_back(shop, payment)).json()
        assert (refused["state"], refused["refusal"]) == ("refused", "declined")
        assert [told.name for told in shop.heard.told] == ["p1.refund.re-1.failed"]


@pytest.mark.asyncio
async def test_only_the_admin_token_sends_money_back(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        headers, payment = await paid(shop)
        path = f"/api/payments/{payment['payment_id']}/refunds"
        assert (await shop.http.post(path, headers=headers, json={"reason": "mine"})).status_code == 401
    async with open_shop() as without_token:
        answer = await without_token.http.post(path, headers=ADMIN, json={"reason": "x"})
        assert answer.status_code == 401
