"""Wherever we die around a charge, it is made at most once: each test is one line of the table of ADR 0020."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from payments_api.adapters import idempotency
from payments_api.application.gateways import GatewayAway

from .card_story import ASKS_ALWAYS, PAYS, CardShop, Died, card_shop
from .conftest import OpenShop

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def cards(open_shop: OpenShop) -> AsyncIterator[CardShop]:
    async with card_shop(open_shop) as opened:
        yield opened


async def test_dying_before_the_payment_is_stored_charges_nothing(
    cards: CardShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    card_id = await cards.save()

    async def die(*_arguments: Any) -> None:
        raise Died

    with monkeypatch.context() as broken:
        broken.setattr(cards.shop.parts.initiating, "store", die)
        assert (await cards.pay(card_id)).status_code == 500
    assert (await cards.payments(), await cards.charges()) == ([], [])
    assert (await cards.pay(card_id)).status_code == 200
    intents = await cards.at_stripe("payment_intents")
    assert ([intent["status"] for intent in intents], await cards.charges()) == (["succeeded"], ["succeeded"])


async def test_dying_before_the_charge_is_made_good_by_a_repeat(cards: CardShop) -> None:
    card_id = await cards.save()
    cards.vault.dies["charge"] = "before", Died()
    assert (await cards.pay(card_id)).status_code == 500
    assert ([payment["status"] for payment in await cards.payments()], await cards.charges()) == (["initiated"], [])
    assert (await cards.pay(card_id)).status_code == 200
    assert (await cards.pay(card_id)).headers["idempotency-replayed"] == "true"
    assert (len(await cards.payments()), await cards.charges()) == (1, ["succeeded"])


async def test_dying_before_the_charge_lets_the_payment_expire_uncharged(cards: CardShop) -> None:
    card_id = await cards.save()
    cards.vault.dies["charge"] = "before", Died()
    await cards.pay(card_id)
    (payment,) = await cards.payments()
    lifetime = timedelta(seconds=cards.shop.parts.catalogue.pricing.terms.lifetime_s)
    cards.shop.clock.advance(lifetime.total_seconds())
    late = await cards.pay(card_id)
    assert (late.status_code, late.json()["status"], await cards.charges()) == (200, "initiated", [])
    cards.shop.clock.advance(cards.shop.parts.settings.expiry_grace_s)
    assert await cards.shop.parts.following.follow_once() == 1
    repeated = await cards.pay(card_id)
    assert (repeated.status_code, repeated.json()["status"], await cards.charges()) == (200, "expired", [])
    assert repeated.json()["payment_id"] == payment["payment_id"]


@pytest.mark.parametrize(("card", "status", "ended"), [(PAYS, 200, ["succeeded"]), (ASKS_ALWAYS, 402, ["failed"])])
async def test_dying_after_the_charge_charges_nothing_twice(
    cards: CardShop, monkeypatch: pytest.MonkeyPatch, card: str, status: int, ended: list[str]
) -> None:
    card_id = await cards.save(card)

    async def die(*_arguments: Any) -> None:
        raise Died

    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "keep_answer", die)
        assert (await cards.pay(card_id)).status_code == 500
    assert await cards.charges() == ended
    again = await cards.pay(card_id)
    assert (again.status_code, await cards.charges(), len(await cards.payments())) == (status, ended, 1)


async def test_a_charge_without_an_answer_is_said_to_be_one(cards: CardShop) -> None:
    card_id = await cards.save()
    cards.vault.dies["charge"] = "after", GatewayAway("stripe", "silence")
    unknown = await cards.pay(card_id)
    assert (unknown.status_code, unknown.json()["code"]) == (502, "outcome_unknown")
    assert [payment["payment_id"] for payment in await cards.payments()] == [unknown.json()["payment_id"]]
    assert ((await cards.pay(card_id)).status_code, await cards.charges()) == (200, ["succeeded"])


async def test_twins_at_the_same_time_are_one_charge(cards: CardShop) -> None:
    card_id = await cards.save()
    answers = await asyncio.gather(*(cards.pay(card_id) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["payment_id"] for answer in answers}) == 1
    assert (await cards.charges(), len(await cards.payments())) == (["succeeded"], 1)


async def test_what_was_paid_meanwhile_is_not_charged_again(cards: CardShop) -> None:
    """The payer's browser has the secret, too."""
    card_id = await cards.save()
    cards.vault.dies["charge"] = "before", Died()
    await cards.pay(card_id)
    (intent,) = await cards.at_stripe("payment_intents")
    await cards.stripe.post(f"/simulate/payments/{intent['id']}", json={"card": PAYS})
    assert ((await cards.pay(card_id)).status_code, await cards.charges()) == (200, ["succeeded"])


async def test_a_card_that_was_forgotten_meanwhile_is_not_charged(cards: CardShop) -> None:
    card_id = await cards.save()
    cards.vault.dies["charge"] = "before", Died()
    await cards.pay(card_id)
    await cards.shop.http.delete(f"/api/payment-methods/{card_id}", headers=cards.alice)
    refused = await cards.pay(card_id)
    assert (refused.status_code, refused.json()["param"], await cards.charges()) == (402, "payment_method", [])
