"""Subscriptions whose periods are billed: a payment each, mailed, honoured for a while, and then an end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from payments_api.application.gateways import GatewayAway
from payments_api.domain.deciding import ReportSeen

from .conftest import START, OpenShop, Shop, exact
from .subscription_story import (
    BILLED,
    DAY_S,
    JUNE,
    MAIL,
    MAY,
    act,
    credited,
    failed,
    mails,
    payment_of,
    post,
    quotes,
    shown,
    subscribed,
)

pytestmark = pytest.mark.asyncio
EVM_XPUB = (
    "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt"
)
GRACE_S = 3 * DAY_S
OWN_LIFETIME_S = 3600
LATE_S = 300


@pytest_asyncio.fixture
async def shop(open_shop: OpenShop) -> AsyncIterator[Shop]:
    """One that writes mails."""
    async with open_shop(**MAIL) as opened:
        yield opened


async def paid(shop: Shop, subscription: Any, version: int) -> None:
    await shop.deliver(credited(await payment_of(shop, subscription), version))


async def test_the_first_period_is_a_payment_on_the_packages_terms(shop: Shop) -> None:
    made = await subscribed(shop, BILLED)
    assert (made["status"], made["price"], made["credits"], made["bonus"]) == (
        "incomplete",
        Decimal("50.00"),
        Decimal("50.00"),
        Decimal("2.50"),
    )
    assert made["period"]["number"] == 1
    assert (made["period"]["begins_at"], made["next_period_at"]) == (
        MAY.isoformat().replace("+00:00", "Z"),
        JUNE.isoformat().replace("+00:00", "Z"),
    )
    payment = await payment_of(shop, made)
    assert (payment["package_id"], payment["price"], payment["bonus"]) == (
        "standard",
        Decimal("50.00"),
        Decimal("2.50"),
    )
    assert payment["metadata"] == {"subscription_id": made["subscription_id"], "period": "1"}
    assert made["payment_url"] == payment["payment_url"]
    (quote,) = await quotes(shop)
    assert (quote.reference, (quote.expires_at - START).total_seconds()) == (payment["reference"], OWN_LIFETIME_S)
    assert await mails(shop) == []


async def test_each_period_is_a_bill_that_is_mailed_and_paid(shop: Shop) -> None:
    made = await subscribed(shop, BILLED)
    first = await payment_of(shop, made)
    await paid(shop, made, 1)
    assert (await shown(shop, made))["status"] == "active"
    shop.clock.advance(30 * DAY_S)
    assert await act(shop) == 0
    shop.clock.advance(DAY_S)
    assert await act(shop) == 1
    assert await act(shop) == 0
    bill = await payment_of(shop, made)
    assert bill["payment_id"] != first["payment_id"]
    assert ((await shown(shop, made))["period"]["number"], bill["status"]) == (2, "initiated")
    kind, facts = (await mails(shop))[-1]
    assert (kind, facts["reference"], facts["amount"], facts["credits"]) == (
        "renewal",
        bill["reference"],
        "50.00 USD",
        "52.50 TFC",
    )
    assert (facts["pay_url"], facts["until"]) == (bill["payment_url"], "04 June 2026, 00:00 UTC")
    await paid(shop, made, 2)
    now = await shown(shop, made)
    assert (now["status"], now["period"]["payment_status"]) == ("active", "confirmed")
    assert [quote.bonus.units for quote in await quotes(shop)] == [250, 250]


async def test_the_terms_are_those_that_were_subscribed_to(open_shop: OpenShop, tmp_path: Any) -> None:
    async with open_shop() as shop:
        made = await subscribed(shop, BILLED)
        await paid(shop, made, 1)
    dearer = tmp_path / "marketplace.toml"
    dearer.write_text(
        '[[packages]]\nid = "standard"\nnumber = 1\nname = "S"\ncredits = "10.00"\nbonus = "0"\nprice_usd = "99.00"\n'
    )
    async with open_shop(marketplace_config=dearer) as shop:
        shop.clock.advance(31 * DAY_S)
        assert await act(shop) == 1
        _, second = await quotes(shop)
        assert (second.price.units, second.credits.units, second.bonus.units) == (5000, 5000, 250)


async def test_a_bill_that_is_not_paid_in_time_ends_it(shop: Shop) -> None:
    made = await subscribed(shop, BILLED)
    await paid(shop, made, 1)
    shop.clock.advance(31 * DAY_S)
    await act(shop)
    shop.clock.advance(GRACE_S)
    assert await act(shop) == 1
    assert (await shown(shop, made))["status"] == "active"
    shop.clock.advance(LATE_S)
    assert await act(shop) == 1
    ended = await shown(shop, made)
    assert (ended["status"], ended["next_period_at"]) == ("lapsed", None)
    shop.clock.advance(60 * DAY_S)
    assert await act(shop) == 0
    await paid(shop, made, 2)
    assert (await shown(shop, made))["status"] == "lapsed"


async def test_a_first_bill_that_nobody_pays_ends_it(shop: Shop) -> None:
    made = await subscribed(shop, BILLED)
    shop.clock.advance(GRACE_S + LATE_S)
    assert await act(shop) == 1
    assert (await shown(shop, made))["status"] == "lapsed"


async def test_a_bill_that_somebody_is_paying_is_waited_for(shop: Shop) -> None:
    made = await subscribed(shop, BILLED)
    payment_id = (await payment_of(shop, made))["payment_id"]
    async with shop.pool.acquire() as conn, conn.transaction():
        state = await shop.parts.payments.load(conn, payment_id)
        await shop.parts.payments.save(conn, state, [ReportSeen("tx_1", "processing")])
    for _ in range(3):
        shop.clock.advance(GRACE_S + LATE_S)
        assert await act(shop) == 1
    assert (await shown(shop, made))["status"] == "incomplete"
    await paid(shop, made, 1)
    assert (await shown(shop, made))["status"] == "active"


async def test_a_payment_that_failed_makes_it_past_due_until_it_is_paid(shop: Shop) -> None:
    made = await subscribed(shop, BILLED)
    await shop.deliver(failed(await payment_of(shop, made)))
    assert (await shown(shop, made))["status"] == "incomplete"
    await paid(shop, made, 1)
    shop.clock.advance(31 * DAY_S)
    await act(shop)
    bill = await payment_of(shop, made)
    await shop.deliver(failed(bill), failed(bill))
    assert (await shown(shop, made))["status"] == "past_due"
    assert [kind for kind, _ in await mails(shop)] == ["failed", "credited", "renewal", "failed"]
    await paid(shop, made, 2)
    assert (await shown(shop, made))["status"] == "active"


async def test_canceling_ends_the_bills_and_takes_nothing_back(shop: Shop) -> None:
    made = await subscribed(shop, BILLED)
    await paid(shop, made, 1)
    headers = await shop.sign_in()
    path = f"/api/subscriptions/{made['subscription_id']}"
    answers = [await shop.http.delete(path, headers=headers) for _ in range(2)]
    assert [(answer.status_code, exact(answer)["status"]) for answer in answers] == [(200, "canceled")] * 2
    assert answers[0].content == answers[1].content
    shop.clock.advance(40 * DAY_S)
    assert await act(shop) == 0
    assert (await payment_of(shop, made))["status"] == "confirmed"
    assert len(await quotes(shop)) == 1


async def test_another_bill_is_made_only_once_although_two_look_at_it(
    open_shop: OpenShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_shop(**MAIL) as one, open_shop(**MAIL) as other:
        made = await subscribed(one, BILLED)
        await paid(one, made, 1)
        for shop in (one, other):
            shop.clock.advance(31 * DAY_S)
        # Both took it, as they do when one of them is held up for longer than its claim.
        demo, subscription_id = other.parts.gateways["demo"], made["subscription_id"]
        initiate = demo.initiate

        async def held_up(*given: Any) -> Any:
            await one.parts.subscriptions.renewing._act(subscription_id)
            return await initiate(*given)

        monkeypatch.setattr(demo, "initiate", held_up)
        await other.parts.subscriptions.renewing._act(subscription_id)
        assert (await shown(one, made))["period"]["number"] == 2
        assert (len(await quotes(one)), [kind for kind, _ in await mails(one)]) == (2, ["credited", "renewal"])


async def test_a_gateway_that_is_away_is_asked_again_later(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await subscribed(shop, BILLED)
    await paid(shop, made, 1)
    shop.clock.advance(31 * DAY_S)

    async def away(*_: Any) -> Any:
        raise GatewayAway("demo", "silence")

    with monkeypatch.context() as patch:
        patch.setattr(shop.parts.gateways["demo"], "initiate", away)
        assert await act(shop) == 1
        assert (await shown(shop, made))["period"]["number"] == 1
    assert await act(shop) == 0
    shop.clock.advance(60)
    assert await act(shop) == 1
    assert (await shown(shop, made))["period"]["number"] == 2


async def test_each_bill_in_coins_has_an_address_and_a_rate_of_its_own(open_shop: OpenShop) -> None:
    coins = BILLED | {"payment_method": "crypto", "crypto": {"currency": "USDC", "network": "Polygon"}}
    given = {"crypto_evm_xpub": EVM_XPUB, "crypto_networks": "polygon"}
    async with open_shop(**given, fixed_rates="USDC=0.5") as shop:
        without = await post(shop, {name: value for name, value in coins.items() if name != "crypto"})
        assert without.status_code == 422
        made = await subscribed(shop, coins)
        first = await payment_of(shop, made)
        await paid(shop, made, 1)
    async with open_shop(**given, fixed_rates="USDC=1") as shop:
        shop.clock.advance(31 * DAY_S)
        assert await act(shop) == 1
        second = await payment_of(shop, made)
    assert first["wallet_address"] != second["wallet_address"]
    assert first["price"] == 2 * second["price"]
    assert {(each["price_currency"], each["amount"], each["bonus"]) for each in (first, second)} == {
        ("USDC", Decimal("50.00"), Decimal("2.50"))
    }


async def test_the_same_key_begins_one(shop: Shop) -> None:
    first, again = [await post(shop, BILLED, key="k1") for _ in range(2)]
    assert (first.status_code, first.content) == (200, again.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await post(shop, BILLED | {"billing_cycle": "yearly"}, key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    listed = await shop.get("/api/subscriptions", await shop.sign_in())
    assert [one["subscription_id"] for one in listed["subscriptions"]] == [exact(first)["subscription_id"]]


async def test_requests_with_one_key_at_the_same_time_begin_one(shop: Shop) -> None:
    answers = await asyncio.gather(*(post(shop, BILLED, key="k1") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(await quotes(shop)) == 1


async def test_a_key_whose_answer_is_forgotten_begins_no_second_one(shop: Shop) -> None:
    assert (await post(shop, BILLED, key="k1")).status_code == 200
    await shop.pool.execute("DELETE FROM idempotency_keys")
    again = await post(shop, BILLED, key="k1")
    assert (again.status_code, again.json()["code"]) == (422, "idempotency_key_reused")
    assert len(await quotes(shop)) == 1


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"package_id": "none"}, "package_id", "unknown_package"),
        ({"payment_method": "cash"}, "payment_method", "unknown_gateway"),
        ({"payment_method": "stripe"}, "payment_method", "gateway_not_configured"),
        ({"customer_email": None}, "customer_email", "missing"),
        ({"billing_cycle": "weekly"}, "billing_cycle", None),
    ],
)
async def test_what_cannot_be_subscribed_to(shop: Shop, changes: dict[str, Any], field: str, code: str | None) -> None:
    answer = await post(shop, BILLED | changes, key="k1")
    assert answer.status_code == 422
    said = json.dumps(answer.json())
    assert field in said
    assert code is None or code in said
    assert (await post(shop, BILLED, key="k1")).status_code == 200


async def test_somebody_elses_is_not_there(shop: Shop) -> None:
    made = await subscribed(shop, BILLED)
    bob = await shop.sign_in("bob")
    path = f"/api/subscriptions/{made['subscription_id']}"
    assert (await shop.http.get(path, headers=bob)).status_code == 404
    assert (await shop.http.delete(path, headers=bob)).status_code == 404
    assert (await shop.http.delete("/api/subscriptions/none", headers=bob)).status_code == 404
    assert await shop.get("/api/subscriptions", bob) == {"subscriptions": [], "next_cursor": None}
    assert (await shown(shop, made))["status"] == "incomplete"
    assert (await shop.http.get(path)).status_code == 401
