"""Saved cards on the simulated Stripe: saving, whose they are, and what becomes of charging one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from .card_story import ASKS_ALWAYS, DECLINED, PAYS, CardShop, card_shop
from .conftest import OpenShop, exact

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def cards(open_shop: OpenShop) -> AsyncIterator[CardShop]:
    async with card_shop(open_shop) as opened:
        yield opened


async def test_a_saved_card_is_shown_as_stripe_has_it_and_can_be_forgotten(cards: CardShop) -> None:
    assert await cards.saved() == []
    begun = (await cards.post("payment-methods")).json()
    assert begun["publishable_key"] == "pk_test_x"
    assert begun["client_secret"].startswith(begun["setup_intent_id"])
    (setup,) = [(await cards.stripe.get(f"/v1/setup_intents/{begun['setup_intent_id']}")).json()]
    assert (setup["usage"], setup["metadata"]) == ("off_session", {"user_id": "alice"})
    card_id = await cards.save()
    shown = {"type": "card", "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034}
    assert await cards.saved() == [{"id": card_id} | shown]
    forgotten = [await cards.shop.http.delete(f"/api/payment-methods/{card_id}", headers=cards.alice) for _ in "12"]
    assert [answer.status_code for answer in forgotten] == [204, 404]
    assert await cards.saved() == []
    assert (await cards.pay(card_id)).status_code == 422


async def test_the_same_request_to_save_is_one_form(cards: CardShop) -> None:
    keyed = cards.alice | {"idempotency-key": "k-1"}
    first, again = await cards.post("payment-methods", keyed), await cards.post("payment-methods", keyed)
    assert first.json() == again.json()
    assert (await cards.post("payment-methods")).json() != first.json()


async def test_somebody_elses_card_is_not_there(cards: CardShop) -> None:
    card_id, bob = await cards.save(), await cards.shop.sign_in("bob")
    await cards.save(headers=bob)
    (bobs,) = await cards.saved(bob)
    assert bobs["id"] != card_id
    refused = await cards.pay(card_id, headers=bob)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_payment_method")
    assert (await cards.shop.http.delete(f"/api/payment-methods/{card_id}", headers=bob)).status_code == 404
    stranger = await cards.shop.sign_in("carol")
    assert (await cards.pay(card_id, headers=stranger)).status_code == 422
    assert (len(await cards.saved()), await cards.charges()) == (1, [])


async def test_first_uses_at_once_end_with_one_customer(cards: CardShop) -> None:
    answers = await asyncio.gather(*(cards.post("payment-methods") for _ in range(5)))
    setups = [(await cards.stripe.get(f"/v1/setup_intents/{one.json()['setup_intent_id']}")).json() for one in answers]
    rows = await cards.shop.pool.fetch("SELECT user_id, customer_id FROM stripe_customers")
    assert [(row["user_id"], {row["customer_id"]}) for row in rows] == [
        ("alice", {setup["customer"] for setup in setups})
    ]


async def test_a_customer_that_was_deleted_at_stripe_is_made_anew(cards: CardShop) -> None:
    card_id = await cards.save()
    customer_id = await cards.shop.pool.fetchval("SELECT customer_id FROM stripe_customers")
    await cards.stripe.delete(f"/v1/customers/{customer_id}")
    assert await cards.saved() == []
    assert (await cards.pay(card_id)).status_code == 422
    anew = await cards.save()
    assert [card["id"] for card in await cards.saved()] == [anew]
    assert await cards.shop.pool.fetchval("SELECT count(*) FROM stripe_customers") == 1


async def test_a_payment_is_charged_after_it_is_stored(cards: CardShop) -> None:
    card_id = await cards.save()
    answer = await cards.pay(card_id, package_id=None, metadata={"order": "7"})
    assert answer.status_code == 200, answer.text
    shown = exact(answer)
    (intent,) = await cards.at_stripe("payment_intents")
    assert (shown["status"], shown["gateway_payment_id"]) == ("initiated", intent["id"])
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 2500)
    assert (intent["metadata"]["reference"], intent["metadata"]["order"]) == (shown["reference"], "7")
    again = await cards.pay(card_id, metadata={"order": "7"})
    assert (again.content, again.headers["idempotency-replayed"]) == (answer.content, "true")
    assert (await cards.charges(), len(await cards.payments())) == (["succeeded"], 1)
    other = await cards.pay(card_id, metadata={"order": "8"})
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(("card", "code"), [(DECLINED, "card_declined"), (ASKS_ALWAYS, "authentication_required")])
async def test_a_refusal_is_answered_and_the_payment_can_still_be_paid(cards: CardShop, card: str, code: str) -> None:
    card_id = await cards.save(card)
    refused = await cards.pay(card_id)
    assert (refused.status_code, refused.json()["code"], refused.json()["error_code"]) == (402, "gateway_refused", code)
    assert refused.headers["content-type"] == "application/problem+json"
    again = await cards.pay(card_id)
    assert (again.status_code, again.content, await cards.charges()) == (402, refused.content, ["failed"])
    assert again.headers["content-type"] == "application/problem+json"
    payment = await cards.shop.get(f"/api/payments/{refused.json()['payment_id']}", cards.alice)
    assert payment["client_secret"].startswith(payment["gateway_payment_id"])
    paid = await cards.stripe.post(f"/simulate/payments/{payment['gateway_payment_id']}", json={"card": PAYS})
    assert paid.json()["status"] == "succeeded"


@pytest.mark.parametrize(
    ("body", "code"),
    [({"gateway": "demo"}, "not_of_this_gateway"), ({"payment_method_id": "pm/../x"}, None)],
)
async def test_what_cannot_be_charged_begins_nothing(cards: CardShop, body: dict[str, Any], code: str | None) -> None:
    asked = {"gateway": "stripe", "amount": "25", "payment_method_id": await cards.save()} | body
    answer = await cards.post("payments/initiate", **asked)
    assert answer.status_code == 422
    assert code is None or answer.json()["code"] == code
    assert (await cards.payments(), await cards.at_stripe("payment_intents")) == ([], [])


async def test_without_stripe_there_are_no_saved_cards(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        answer = await shop.http.get("/api/payment-methods", headers=await shop.sign_in())
        assert (answer.status_code, answer.json()["code"]) == (422, "gateway_not_configured")


async def test_while_stripe_is_away_nothing_is_begun(cards: CardShop) -> None:
    card_id = await cards.save()
    await cards.stripe.post("/simulate/silence", json={"calls": 1000})
    answers = [await cards.pay(card_id), await cards.post("payment-methods")]
    answers.append(await cards.shop.http.get("/api/payment-methods", headers=cards.alice))
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(502, "gateway_unreachable")}
    await cards.stripe.post("/simulate/silence", json={"calls": 0})
    assert await cards.payments() == []
    assert (await cards.pay(card_id)).status_code == 200


async def test_without_a_key_each_request_is_a_payment_of_its_own(cards: CardShop) -> None:
    card_id = await cards.save()
    assert [(await cards.pay(card_id, None)).status_code for _ in "12"] == [200, 200]
    assert (len(await cards.payments()), await cards.charges()) == (2, ["succeeded", "succeeded"])
