"""Subscriptions that Stripe runs: begun by its simulator over real HTTP, and its news in any order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import permutations
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from chassis.clock import ManualClock
from chassis.ids import SequenceIds
from contracts.references import make_reference
from embedded.gateway_simulators.stripe.app import create_stripe_simulator
from embedded.gateway_simulators.stripe.webhooks import Webhooks
from payments_api.application.gateways import AskedPayment
from payments_api.domain.subscription_deciding import Cancel

from .conftest import START, OpenShop, Shop, exact, free_port, served
from .subscription_story import (
    BY_STRIPE,
    JULY,
    JUNE,
    MAIL,
    MAY,
    act,
    credited,
    mails,
    payment_of,
    period,
    post,
    quotes,
    reported,
    shown,
    subscribed,
)

pytestmark = pytest.mark.asyncio
FIRST, SECOND = "GL0000000000001A", "GL0000000000002B"
KEY = {"authorization": "Bearer sk_test_x"}


@dataclass
class World:
    """A shop and the Stripe beside it, whose webhooks nobody hears: news are told by hand."""

    shop: Shop
    stripe: httpx.AsyncClient

    async def session(self, subscription: Any) -> Any:
        row = await self.shop.pool.fetchrow(
            "SELECT gateway_session_id FROM subscriptions WHERE id = $1", subscription["subscription_id"]
        )
        answer = await self.stripe.get(f"/v1/checkout/sessions/{row['gateway_session_id']}", headers=KEY)
        return answer.json()

    async def agreed(self, subscription: Any, card: str = "4242424242424242") -> Any:
        """The subscription as Stripe has it, once the person agreed."""
        session = await self.session(subscription)
        answer = await self.stripe.post(f"/simulate/sessions/{session['id']}/agree", json={"card": card})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def at_stripe(self, subscription_id: str) -> str:
        answer = await self.stripe.get(f"/v1/subscriptions/{subscription_id}", headers=KEY)
        return str(answer.json()["status"])

    async def silent(self, calls: int) -> None:
        await self.stripe.post("/simulate/silence", json={"calls": calls})

    async def cancel(self, subscription: Any) -> Any:
        path = f"/api/subscriptions/{subscription['subscription_id']}"
        answer = await self.shop.http.delete(path, headers=await self.shop.sign_in())
        assert answer.status_code == 200, answer.text
        return exact(answer)


@asynccontextmanager
async def stripe_beside(clock: ManualClock) -> AsyncIterator[str]:
    webhooks = Webhooks("http://ear", b"whsec_x", clock, transport=httpx.ASGITransport(FastAPI()))
    webhooks.mode = "lose"
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    async with served(create_stripe_simulator(webhooks, clock, SequenceIds(), base), port):
        yield base


@pytest_asyncio.fixture
async def world(open_shop: OpenShop) -> AsyncIterator[World]:
    async with (
        stripe_beside(ManualClock(START)) as base,
        open_shop(stripe_api_base=base, **MAIL) as shop,
        httpx.AsyncClient(base_url=base, trust_env=False) as stripe,
    ):
        yield World(shop, stripe)


async def test_a_person_agrees_at_stripe(world: World) -> None:
    made = await subscribed(world.shop, BY_STRIPE | {"customer_email": "alice@example.org"})
    assert (made["status"], made["period"], made["next_period_at"]) == ("incomplete", None, None)
    session = await world.session(made)
    assert made["payment_url"] == session["url"]
    assert (session["mode"], session["amount_total"], session["currency"]) == ("subscription", 5000, "usd")
    assert session["client_reference_id"] == made["subscription_id"]
    assert session["customer_email"] == "alice@example.org"
    at_stripe = await world.agreed(made)
    assert at_stripe["metadata"] == {
        "subscription_id": made["subscription_id"],
        "user_id": "alice",
        "package_id": "standard",
        "purpose": "tfc_subscription",
    }
    (item,) = at_stripe["items"]["data"]
    assert (item["current_period_start"], item["current_period_end"]) == (MAY.timestamp(), JUNE.timestamp())
    assert await quotes(world.shop) == []


async def test_the_same_key_opens_one_session(world: World) -> None:
    await world.silent(0)
    first, again = [await post(world.shop, BY_STRIPE, key="k1") for _ in range(2)]
    assert first.content == again.content
    listed = await world.stripe.get("/v1/checkout/sessions", headers=KEY)
    assert len(listed.json()["data"]) == 1


async def test_a_silent_stripe_begins_nothing(world: World) -> None:
    await world.silent(10)
    refused = await post(world.shop, BY_STRIPE, key="k1")
    assert (refused.status_code, refused.json()["code"]) == (502, "gateway_unreachable")
    await world.silent(0)
    assert (await post(world.shop, BY_STRIPE, key="k1")).status_code == 200


async def test_each_period_that_stripe_took_is_a_payment_on_the_packages_terms(world: World) -> None:
    shop = world.shop
    made = await subscribed(shop, BY_STRIPE | {"customer_email": "alice@example.org"})
    await shop.deliver(period(made, FIRST), period(made, FIRST))
    payment = await payment_of(shop, made)
    assert (payment["reference"], payment["bonus"], payment["package_id"]) == (FIRST, Decimal("2.50"), "standard")
    assert (payment["invoice_id"], payment["customer_email"]) == (f"in_{FIRST}", "alice@example.org")
    (quote,) = await quotes(shop)
    assert (quote.reference, quote.user_id, quote.price.units, quote.bonus.units) == (FIRST, "alice", 5000, 250)
    assert (await shown(shop, made))["status"] == "incomplete"
    await shop.deliver(credited(payment))
    now = await shown(shop, made)
    assert (now["status"], now["period"]["payment_status"]) == ("active", "confirmed")
    await shop.deliver(period(made, SECOND, JUNE))
    await shop.deliver(credited(await payment_of(shop, made), 2))
    now = await shown(shop, made)
    assert (now["period"]["number"], now["next_period_at"][:10]) == (2, "2026-07-01")
    assert [quote.reference for quote in await quotes(shop)] == [FIRST, SECOND]
    assert [kind for kind, _ in await mails(shop)] == ["credited", "credited"]


async def test_a_period_that_failed_is_mailed_once_and_paid_later_by_the_same_payment(world: World) -> None:
    shop = world.shop
    made = await subscribed(shop, BY_STRIPE | {"customer_email": "alice@example.org"})
    await shop.deliver(period(made, FIRST))
    await shop.deliver(credited(await payment_of(shop, made)))
    await shop.deliver(*[period(made, SECOND, JUNE, state="failed", reported_at=day) for day in (JUNE, JULY)])
    missed = await payment_of(shop, made)
    assert (missed["status"], missed["failure_reason"]) == ("failed", "It could not be taken")
    assert missed["payment_url"] == f"https://invoice.stripe.com/i/{SECOND}"
    assert ((await shown(shop, made))["status"], (await shown(shop, made))["payment_url"]) == (
        "past_due",
        missed["payment_url"],
    )
    assert [kind for kind, _ in await mails(shop)] == ["credited", "failed"]
    await shop.deliver(period(made, SECOND, JUNE))
    await shop.deliver(credited(missed, 2))
    assert (await shown(shop, made))["status"] == "active"
    assert len(await quotes(shop)) == 2


async def test_news_in_any_order_come_to_the_same(world: World) -> None:
    """Paid and not credited yet, failed before that, canceled in the end; and all of it again."""
    shop, ends = world.shop, set()
    for number, order in enumerate(permutations(range(4)), start=1):
        made, reference = await subscribed(shop, BY_STRIPE), make_reference(number)
        news = [
            period(made, reference, state="failed"),
            period(made, reference),
            reported(made, "active", 5),
            reported(made, "canceled", 9),
        ]
        for place in order:
            await shop.deliver(news[place])
        await shop.deliver(*[news[place] for place in order])
        await shop.deliver(credited(await payment_of(shop, made), number))
        now = await shown(shop, made)
        ends.add((now["status"], now["period"]["payment_status"], now["period"]["number"]))
        assert len(await quotes(shop)) == number
    assert ends == {("canceled", "confirmed", 1)}
    rows = await shop.pool.fetch("SELECT DISTINCT gateway_subscription_id, act_at FROM subscriptions")
    assert [tuple(row) for row in rows] == [("sub_1", None)]


async def test_a_payment_that_no_webhook_named_is_found_by_asking(world: World) -> None:
    """An endpoint that was not told of ``invoice_payment.paid``."""
    shop = world.shop
    made = await subscribed(shop, BY_STRIPE)
    at_stripe = await world.agreed(made)
    await shop.deliver(period(made, FIRST, gateway_invoice_id=at_stripe["latest_invoice"]))
    gateway = shop.parts.gateways["stripe"]
    (news, *_) = await gateway.status(await asked(shop, made))
    assert (news.kind, news.reference, news.fields["received"]) == (
        "confirmed",
        FIRST,
        {"units": 5000, "asset": "USD/2"},
    )
    assert news.payment_id.startswith("pi_")


async def test_an_invoice_that_is_open_says_nothing(world: World) -> None:
    shop = world.shop
    made = await subscribed(shop, BY_STRIPE)
    at_stripe = await world.agreed(made)
    declined = {"action": "renew", "card": "4000000000000002"}
    path = f"/simulate/subscriptions/{at_stripe['id']}"
    invoice_id = (await world.stripe.post(path, json=declined)).json()["latest_invoice"]
    await shop.deliver(period(made, SECOND, state="failed", gateway_invoice_id=invoice_id))
    assert await shop.parts.gateways["stripe"].status(await asked(shop, made)) == ()


async def asked(shop: Shop, subscription: Any) -> AskedPayment:
    """Its newest period's payment, as it is followed."""
    payment = await payment_of(shop, subscription)
    details = {"invoice_id": payment["invoice_id"]}
    return AskedPayment(payment["payment_id"], payment["reference"], "alice", None, "USD/2", 5000, details)


async def test_news_of_what_is_not_ours_begin_nothing(world: World) -> None:
    shop = world.shop
    made = await subscribed(shop, BY_STRIPE)
    elsewhere = period({"subscription_id": "somebody-elses"}, FIRST)
    other_gateway = period(made, SECOND, gateway="demo")
    await shop.deliver(elsewhere, other_gateway, reported({"subscription_id": "somebody-elses"}, "unpaid"))
    assert await quotes(shop) == []
    assert await shop.pool.fetchval("SELECT count(*) FROM dead_letters") == 0
    assert (await shown(shop, made))["status"] == "incomplete"


async def test_canceling_ends_it_at_stripe_too(world: World) -> None:
    made = await subscribed(world.shop, BY_STRIPE)
    at_stripe = await world.agreed(made)
    await world.shop.deliver(reported(made, "active", name=at_stripe["id"]))
    assert [(await world.cancel(made))["status"] for _ in range(2)] == ["canceled", "canceled"]
    assert await world.at_stripe(at_stripe["id"]) == "canceled"
    assert await act(world.shop) == 0


async def test_canceling_before_stripe_told_of_it_finds_it_by_its_session(world: World) -> None:
    made = await subscribed(world.shop, BY_STRIPE)
    at_stripe = await world.agreed(made)
    await world.cancel(made)
    assert await world.at_stripe(at_stripe["id"]) == "canceled"


async def test_canceling_before_anybody_agreed_lets_nobody_agree(world: World) -> None:
    made = await subscribed(world.shop, BY_STRIPE)
    await world.cancel(made)
    session = await world.session(made)
    assert session["status"] == "expired"
    agree = await world.stripe.post(f"/simulate/sessions/{session['id']}/agree", json={})
    assert agree.status_code == 400


async def test_an_earlier_session_that_expired_leaves_none_open_to_agree_to(world: World) -> None:
    """Opened by a request that died, and made anew a day later: the old one's end comes after the new one."""
    made = await subscribed(world.shop, BY_STRIPE)
    await world.shop.deliver(reported(made, "canceled", name=None))
    assert [await act(world.shop) for _ in range(2)] == [1, 0]
    assert ((await shown(world.shop, made))["status"], (await world.session(made))["status"]) == ("canceled", "expired")


async def test_an_end_that_stripe_did_not_hear_is_asked_for_until_it_did(world: World) -> None:
    made = await subscribed(world.shop, BY_STRIPE)
    at_stripe = await world.agreed(made)
    await world.silent(1000)
    assert (await world.cancel(made))["status"] == "canceled"
    assert await act(world.shop) == 1
    assert await act(world.shop) == 0
    await world.silent(0)
    world.shop.clock.advance(3600)
    assert await act(world.shop) == 1
    assert await world.at_stripe(at_stripe["id"]) == "canceled"
    world.shop.clock.advance(3600)
    assert await act(world.shop) == 0


async def test_an_end_that_was_stored_before_a_crash_is_asked_for(world: World) -> None:
    made = await subscribed(world.shop, BY_STRIPE)
    at_stripe = await world.agreed(made)
    pool = world.shop.pool
    repository: Any = world.shop.parts.subscriptions.subscribing._store
    async with pool.acquire() as conn, conn.transaction():
        state = await repository.load(conn, made["subscription_id"])
        await repository.save(conn, state, [Cancel()])
    assert await act(world.shop) == 1
    assert await world.at_stripe(at_stripe["id"]) == "canceled"


async def test_what_stripe_gave_up_on_is_ended_there(world: World) -> None:
    made = await subscribed(world.shop, BY_STRIPE)
    at_stripe = await world.agreed(made)
    await world.stripe.post(f"/simulate/subscriptions/{at_stripe['id']}", json={"action": "give_up"})
    await world.shop.deliver(reported(made, "unpaid", name=at_stripe["id"]))
    assert await act(world.shop) == 1
    assert await world.at_stripe(at_stripe["id"]) == "canceled"
    await world.shop.deliver(reported(made, "canceled", 5, name=at_stripe["id"]))
    assert (await shown(world.shop, made))["status"] == "unpaid"
