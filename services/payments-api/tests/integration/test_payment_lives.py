"""A payment's life beside its webhooks: its gateway is asked, time runs out, money is sent back; and what is shown."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chassis.errors import OperationalError
from contracts.amounts import Money
from contracts.messages import CreditsDisputed, DisputeLost, PaymentPending, PaymentRestored, PaymentReversed
from payments_api.application.gateways import GatewayAway, GatewayRefused, Observation

from .conftest import START, OpenShop, Shop, exact
from .payment_story import begun, initiate, purchased, wallet
from .scripted_gateway import paid, scripted, status_of


@pytest.mark.asyncio
async def test_what_was_said_comes_back(open_shop: OpenShop) -> None:
    said = {
        "package_id": "standard",
        "amount": "50",
        "description": "for tests",
        "customer_email": "a@b.test",
        "metadata": {"order": "7"},
    }
    async with scripted(open_shop) as shop:
        headers = await shop.sign_in()
        payment = exact(await initiate(shop, headers, **said))
        assert (payment["credits"], payment["bonus"]) == (Decimal(50), Decimal("2.50"))
        assert {name: payment[name] for name in said if name != "amount"} == {
            name: value for name, value in said.items() if name != "amount"
        }
        assert (payment["hint"], payment["client_secret"]) == ("hello", "secret-of-the-payer")
        (request,) = shop.gateway.initiated
        assert (request.metadata, request.customer_email, request.package_id) == (
            {"order": "7"},
            "a@b.test",
            "standard",
        )
        assert [step["event"] for step in payment["history"]] == ["PaymentInitiated", "CheckoutOpened"]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"metadata": {"reference": "x"}}, "metadata", "reserved_key"),
        ({"metadata": {str(number): "x" for number in range(21)}}, "metadata", "too_long"),
        ({"metadata": {"a": 1}}, "metadata.a", "string_type"),
        ({"customer_email": "nobody"}, "customer_email", "string_pattern_mismatch"),
        ({"package_id": "huge"}, "package_id", "unknown_package"),
        ({"package_id": "standard"}, "amount", "not_the_price"),
    ],
)
@pytest.mark.asyncio
async def test_what_is_wrong_is_named_and_nobody_is_asked(
    open_shop: OpenShop, body: dict[str, Any], field: str, code: str
) -> None:
    async with scripted(open_shop) as shop:
        answer = await initiate(shop, await shop.sign_in(), **body)
        assert (answer.status_code, answer.json()["field"], answer.json()["code"]) == (422, field, code)
        assert shop.gateway.initiated == []


@pytest.mark.asyncio
async def test_a_gateway_that_is_away_is_502_and_nothing_is_begun(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        headers = await shop.sign_in() | {"idempotency-key": "k1"}
        shop.gateway.error = GatewayAway("demo", "no answer")
        answer = await initiate(shop, headers)
        assert (answer.status_code, answer.json()["code"]) == (502, "gateway_unreachable")
        for table in ("payments", "stored_events", "idempotency_keys", "payment_details"):
            assert await shop.pool.fetchval(f"SELECT count(*) FROM {table}") == 0, table
        shop.gateway.error = None
        assert (await initiate(shop, headers)).status_code == 200, "the key may be used again"


@pytest.mark.asyncio
async def test_a_gateway_that_says_no_says_why(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        shop.gateway.error = GatewayRefused("card_declined", "Declined", extra={"decline_code": "stolen"})
        answer = await initiate(shop, await shop.sign_in())
        assert (answer.status_code, answer.json()["code"], answer.json()["decline_code"]) == (
            402,
            "card_declined",
            "stolen",
        )


@pytest.mark.asyncio
async def test_an_open_payment_is_asked_about_and_told(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        _, payment = await begun(shop)
        shop.gateway.says = [Observation("demo", "p.confirmed", "confirmed", "p")]
        assert await shop.parts.following.follow_once() == 0, "its webhook is on its way"
        shop.clock.advance(shop.parts.settings.follow_after_s)
        assert await shop.parts.following.follow_once() == 1
        (asked,) = shop.gateway.asked
        assert (asked.payment_id, asked.gateway_payment_id) == (payment["payment_id"], f"gw-{payment['reference']}")
        assert shop.heard.told == shop.gateway.says
        assert await shop.parts.following.follow_once() == 0, "it comes again after a pause"


@pytest.mark.asyncio
async def test_what_is_credited_is_asked_about_once_more_for_its_fees(open_shop: OpenShop) -> None:
    async with scripted(open_shop, follow_every_s=1) as shop:
        _, payment = await begun(shop)
        await shop.deliver(purchased(payment["reference"]))
        shop.gateway.says = [Observation("demo", "txn_1", "fee", "p")]
        shop.gateway.error = GatewayAway("demo", "silence")
        await follow(shop)
        assert shop.heard.told == [], "it is asked again"
        shop.gateway.error = None
        await follow(shop)
        assert shop.heard.told == shop.gateway.says
        await shop.pool.execute("UPDATE payments SET look_at = look_at - interval '1 day'")
        assert await shop.parts.following.follow_once() == 0


@pytest.mark.asyncio
async def test_an_attempt_that_failed_does_not_keep_a_payment_from_expiring(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        headers, payment = await begun(shop)
        shop.gateway.says = [Observation("demo", "p.failed", "failed", "p")]
        shop.clock.advance(3600 + 300)
        await follow(shop)
        assert await status_of(shop, headers, payment) == "expired"


@pytest.mark.asyncio
async def test_a_payment_expires_once_its_gateway_has_nothing_to_say(open_shop: OpenShop) -> None:
    async with scripted(open_shop, follow_every_s=1) as shop:
        headers, payment = await begun(shop)
        shop.clock.advance(3600 + 299)
        await follow(shop)
        assert await status_of(shop, headers, payment) == "initiated", "a webhook may still be on its way"
        shop.clock.advance(1)
        shop.gateway.error = OperationalError("away")
        await follow(shop)
        assert await status_of(shop, headers, payment) == "initiated", "who does not answer has not said no"
        shop.gateway.error = None
        await follow(shop)
        assert await status_of(shop, headers, payment) == "expired"
        await shop.deliver(purchased(payment["reference"]))
        assert await status_of(shop, headers, payment) == "confirmed", "late money is taken"


async def follow(shop: Any) -> None:
    await shop.pool.execute("UPDATE payments SET look_at = look_at - interval '1 day'")
    assert await shop.parts.following.follow_once() == 1


@pytest.mark.asyncio
async def test_a_payment_under_way_does_not_expire(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        headers, payment = await begun(shop)
        seen = PaymentPending(
            gateway="demo", gateway_payment_id="p1", seen_at=START, state="processing", reference=payment["reference"]
        )
        await shop.deliver(seen)
        shop.clock.advance(100_000)
        await follow(shop)
        assert await status_of(shop, headers, payment) == "pending"


@pytest.mark.asyncio
async def test_ways_back_are_shown(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        headers, payment = await paid(shop)
        about = {"gateway": "demo", "gateway_payment_id": "p1", "payment_reference": payment["reference"]}
        taken = Money.of(1000, "TFC/2")
        back = {"refunded_total": Money.of(1000, "USD/2")}
        reversed_ = PaymentReversed(reference="r1", wallet=wallet(2), credits_taken=taken, **about, **back)
        await shop.deliver(reversed_)
        assert await status_of(shop, headers, payment) == "partially_refunded"
        none = {"refunded_total": Money.of(0, "USD/2")}
        await shop.deliver(PaymentRestored(reference="r2", wallet=wallet(3), credits_returned=taken, **about, **none))
        assert await status_of(shop, headers, payment) == "confirmed"
        dispute = about | {
            "dispute_id": "dp_1",
            "disputed": Money.of(2500, "USD/2"),
            "credits": Money.of(2500, "TFC/2"),
        }
        await shop.deliver(CreditsDisputed(reference="d1", wallet=wallet(4), **dispute))
        assert await status_of(shop, headers, payment) == "disputed"
        await shop.deliver(DisputeLost(reference="d2", wallet=wallet(5), **dispute))
        shown = await shop.get(f"/api/payments/{payment['payment_id']}", headers)
        assert shown["status"] == "lost"
        assert [step["status"] for step in shown["history"]] == [
            "initiated",
            "initiated",
            "confirmed",
            "partially_refunded",
            "confirmed",
            "disputed",
            "lost",
        ]


@pytest.mark.asyncio
async def test_pages_and_filters(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        headers, first = await paid(shop)
        shop.clock.advance(60)
        later = [(await begun(shop))[1] for _ in range(3)]
        await begun(shop, "bob")
        mine = [*sorted((payment["payment_id"] for payment in later), reverse=True), first["payment_id"]]
        seen, cursor = [], ""
        while True:
            page = await shop.get(f"/api/payments?limit=2{cursor}", headers)
            seen += [payment["payment_id"] for payment in page["payments"]]
            if page["next_cursor"] is None:
                break
            cursor = "&cursor=" + page["next_cursor"].replace("+", "%2B")
        assert seen == mine
        since = (START + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for query, count in {
            "status=confirmed": 1,
            "status=initiated,confirmed": 4,
            "gateway=stripe": 0,
            f"from={since}": 3,
            f"to={since}": 1,
        }.items():
            assert len((await shop.get(f"/api/payments?{query}", headers))["payments"]) == count, query
        for query, field in {"status=nice": "status", "from=2026-01-01T00:00:00": "from", "cursor=x": "cursor"}.items():
            answer = await shop.http.get(f"/api/payments?{query}", headers=headers)
            assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.asyncio
async def test_the_gateways_that_are_here_are_listed(shop: Shop) -> None:
    listed = await shop.get("/api/payments/gateways", await shop.sign_in())
    assert {"name": "demo", "demo": True, "currencies": ["USD"]} in listed["gateways"]
