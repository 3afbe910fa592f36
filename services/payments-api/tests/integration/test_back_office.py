"""What the back office keeps of failures and disputes, whatever order their news come in."""

from __future__ import annotations

from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from chassis.errors import OperationalError
from contracts.amounts import Money
from contracts.messages import CreditsDisputed, DisputeLost, PaymentDisputed, PaymentFailed
from payments_api.application.gateways import GatewayAway, Observation

from .conftest import START, OpenShop, exact
from .payment_story import begun, failed, purchased, wallet
from .scripted_gateway import ADMIN, scripted, status_of


async def admin(shop: Any, path: str) -> Any:
    return await shop.get(f"/api/admin/{path}", ADMIN)


@pytest.mark.parametrize("path", ["payments", "payments/p", "failed-payments", "disputes", "unallocated"])
@pytest.mark.asyncio
async def test_only_the_admin_token_opens_the_back_office(open_shop: OpenShop, path: str) -> None:
    async with scripted(open_shop) as shop:
        person = await shop.sign_in()
        assert (await shop.http.get(f"/api/admin/{path}", headers=person)).status_code == 401
        assert (await shop.http.get(f"/api/admin/{path}", headers=ADMIN)).status_code != 401


@pytest.mark.asyncio
async def test_all_payments_are_listed_with_their_owners(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        _, first = await begun(shop)
        _, second = await begun(shop, "bob")
        listed = (await admin(shop, "payments"))["payments"]
        assert {(row["payment_id"], row["user_id"]) for row in listed} == {
            (first["payment_id"], "alice"),
            (second["payment_id"], "bob"),
        }
        (bobs,) = (await admin(shop, "payments?user_id=bob"))["payments"]
        assert bobs["payment_id"] == second["payment_id"]
        page = await admin(shop, "payments?limit=1")
        rest = await admin(shop, "payments?limit=1&cursor=" + page["next_cursor"].replace("+", "%2B"))
        assert {page["payments"][0]["user_id"], rest["payments"][0]["user_id"]} == {"alice", "bob"}


@pytest.mark.asyncio
async def test_a_payment_is_shown_with_history_and_refunds_but_no_secret(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        _, payment = await begun(shop)
        await shop.deliver(purchased(payment["reference"]))
        path = f"/api/payments/{payment['payment_id']}/refunds"
        refund = await shop.http.post(path, headers=ADMIN, json={"reason": "kind", "amount": 5})
        shown = await admin(shop, f"payments/{payment['payment_id']}")
        assert (shown["user_id"], shown["status"]) == ("alice", "confirmed")
        assert shown["history"][0]["event"] == "PaymentInitiated"
        assert [one["refund_id"] for one in shown["refunds"]] == [refund.json()["refund_id"]]
        assert "secret-of-the-payer" not in str(shown)
        assert (await shop.http.get("/api/admin/payments/none", headers=ADMIN)).status_code == 404


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("payments?status=nice", "status"),
        ("payments?from=2026-01-01T00:00:00", "from"),
        ("payments?cursor=x", "cursor"),
        ("payments?limit=0", "limit"),
        ("failed-payments?to=2026-01-01T00:00:00", "to"),
        ("failed-payments?cursor=2026-01-01T00:00:00Z", "cursor"),
        ("disputes?status=open", "status"),
        ("disputes?cursor=2026-01-01T00:00:00Z~demo", "cursor"),
    ],
)
@pytest.mark.asyncio
async def test_a_bad_filter_is_named(open_shop: OpenShop, path: str, field: str) -> None:
    async with scripted(open_shop) as shop:
        answer = await shop.http.get(f"/api/admin/{path}", headers=ADMIN)
        assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.asyncio
async def test_failed_payments_are_kept_once_per_message(open_shop: OpenShop) -> None:
    elsewhere = PaymentFailed(
        gateway="stripe",
        gateway_payment_id="pi_9",
        reason_code="expired_card",
        reason="",
        failed_at=START,
        user_id="carol",
    )
    async with scripted(open_shop) as shop:
        headers, payment = await begun(shop)
        told = str(uuid4())
        await shop.deliver(failed(payment["reference"], "no\x00 luck"), message_id=told)
        await shop.deliver(failed(payment["reference"], "no luck"), message_id=told)
        await shop.deliver(elsewhere)
        assert await status_of(shop, headers, payment) == "failed", "the payment is told, too"
        rows = {row["payment_intent_id"]: row for row in (await admin(shop, "failed-payments"))["failed_payments"]}
        assert set(rows) == {"p1", "pi_9"}
        ours, other = rows["p1"], rows["pi_9"]
        assert (ours["user_id"], ours["status"], ours["payment_id"]) == ("alice", "failed", payment["payment_id"])
        assert (ours["amount"], ours["currency"], ours["reference"]) == (25, "USD", payment["reference"])
        assert "luck" in ours["failure_reason"]
        assert (other["user_id"], other["failure_reason"], other["amount"]) == ("carol", "expired_card", None)
        (carols,) = (await admin(shop, "failed-payments?user_id=carol"))["failed_payments"]
        assert carols["gateway"] == "stripe"
        page = await admin(shop, "failed-payments?limit=1")
        rest = await admin(shop, "failed-payments?limit=1&cursor=" + page["next_cursor"].replace("+", "%2B"))
        assert page["failed_payments"][0] != rest["failed_payments"][0]


@pytest.mark.asyncio
async def test_a_failure_that_two_ways_tell_of_is_one_and_another_is_another(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        headers, payment = await begun(shop)
        by_webhook, by_asking, another = (failed(payment["reference"], attempt_id=f"ch_{n}") for n in (1, 1, 2))
        await shop.deliver(by_webhook, by_asking, another)
        kept = (await admin(shop, "failed-payments"))["failed_payments"]
        assert [row["failure_reason"] for row in kept] == ["no luck"] * 2
        shown = await shop.get(f"/api/payments/{payment['payment_id']}", headers)
        attempts = [step["detail"]["attempt_id"] for step in shown["history"] if "Failed" in step["event"]]
        assert attempts == ["ch_1", "ch_2"]
        await shop.deliver(failed(payment["reference"]), failed(payment["reference"]))
        assert len((await admin(shop, "failed-payments"))["failed_payments"]) == 4, "without a name each is one"


def dispute_news(reference: str | None) -> dict[str, tuple[Any, float]]:
    ledgers = {
        "gateway": "demo",
        "gateway_payment_id": "p1",
        "payment_reference": reference,
        "dispute_id": "dp_1",
        "disputed": Money.of(2500, "USD/2"),
        "credits": Money.of(2500, "TFC/2"),
    }
    told = {
        "gateway": "demo",
        "gateway_payment_id": "p1",
        "dispute_id": "dp_1",
        "amount": Money.of(2500, "USD/2"),
        "reason": "fraudulent",
        "reported_at": START,
    }
    return {
        "told": (PaymentDisputed(state="opened", **told), 0),
        "opened": (CreditsDisputed(reference="d1", wallet=wallet(2), **ledgers), 1),
        "lost": (DisputeLost(reference="d2", wallet=wallet(3), **ledgers), 2),
    }


@pytest.mark.parametrize("order", list(permutations(["told", "opened", "lost"])), ids="-".join)
@pytest.mark.asyncio
async def test_a_dispute_is_one_row_in_whatever_order_its_news_come(
    open_shop: OpenShop, order: tuple[str, ...]
) -> None:
    async with scripted(open_shop) as shop:
        news = dispute_news(None)
        for name in order:
            message, at_s = news[name]
            await shop.deliver(message, at_s=at_s)
        (row,) = (await admin(shop, "disputes?status=lost"))["disputes"]
        assert (row["payment_intent_id"], row["dispute_id"], row["gateway"]) == ("p1", "dp_1", "demo")
        assert (row["amount"], row["asset"], row["credits"]) == (2500, "USD/2", 25)
        assert (row["reason"], row["user_id"], row["status"]) == ("fraudulent", "alice", "lost")
        assert row["created_at"].startswith("2026-05-01T00:00:00")
        assert (await admin(shop, "disputes?status=needs_response"))["disputes"] == []


@pytest.mark.asyncio
async def test_a_dispute_is_kept_and_the_payment_is_told_of_it(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        headers, payment = await begun(shop)
        await shop.deliver(purchased(payment["reference"]))
        message, at_s = dispute_news(payment["reference"])["opened"]
        await shop.deliver(message, at_s=at_s)
        assert await status_of(shop, headers, payment) == "disputed"
        (row,) = (await admin(shop, "disputes"))["disputes"]
        assert (row["status"], row["payment_id"], row["reference"]) == (
            "needs_response",
            payment["payment_id"],
            payment["reference"],
        )


@pytest.mark.asyncio
async def test_a_gateway_is_asked_now_and_what_it_says_goes_its_way(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        _, payment = await begun(shop)
        object.__setattr__(shop.parts, "observing", shop.heard)
        path = f"/api/admin/payments/{payment['payment_id']}/ask"
        shop.gateway.says = [Observation("demo", "p.confirmed", "confirmed", "p")]
        answer = await shop.http.post(path, headers=ADMIN)
        assert answer.status_code == 200, answer.text
        assert [(one["name"], one["kind"]) for one in exact(answer)["observations"]] == [("p.confirmed", "confirmed")]
        assert shop.heard.told == shop.gateway.says
        shop.gateway.error = GatewayAway("demo", "silence")
        away = await shop.http.post(path, headers=ADMIN)
        assert (away.status_code, away.json()["code"]) == (502, "gateway_unreachable")
        shop.gateway.error = OperationalError("away")
        assert (await shop.http.post(path, headers=ADMIN)).status_code == 503
        assert (await shop.http.post("/api/admin/payments/none/ask", headers=ADMIN)).status_code == 404
