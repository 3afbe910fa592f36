"""What becomes of payments and wallets, as messages tell of it: confirmed only once it is credited."""

from __future__ import annotations

import pytest

from chassis.outbox import OutboxSource
from chassis.relay import Relay
from contracts.amounts import Money
from contracts.messages import (
    PaymentReversed,
)

from .conftest import Shop
from .payment_story import begun, failed, purchased, wallet


@pytest.mark.asyncio
async def test_it_is_confirmed_once_it_is_credited(shop: Shop) -> None:
    headers, payment = await begun(shop)
    await shop.deliver(failed(payment["reference"]), key="gateway")
    shown = await shop.get(f"/api/payments/{payment['payment_id']}", headers)
    assert (shown["status"], shown["failure_reason"], shown["credited"]) == ("failed", "no luck", None)
    await shop.deliver(purchased(payment["reference"]))
    shown = await shop.get(f"/api/payments/{payment['payment_id']}", headers)
    assert (shown["status"], str(shown["credited"])) == ("confirmed", "25.00")
    assert [kind for kind, _ in await shop.live("alice")] == ["payment", "payment", "payment", "balance"]


@pytest.mark.asyncio
async def test_money_that_was_given_to_another_confirms_nobodys_payment(shop: Shop) -> None:
    headers, payment = await begun(shop)
    given = purchased(payment["reference"])
    to_bob = given.model_copy(update={"wallet": given.wallet.model_copy(update={"user_id": "bob"})})
    await shop.deliver(to_bob)
    shown = await shop.get(f"/api/payments/{payment['payment_id']}", headers)
    assert (shown["status"], shown["credited"]) == ("initiated", None)
    answer = await shop.http.get(f"/api/payments/{payment['payment_id']}/receipt.pdf", headers=headers)
    assert answer.status_code == 409
    assert [kind for kind, _ in await shop.live("bob")] == ["balance"]


@pytest.mark.asyncio
async def test_somebody_elses_words_are_kept_as_far_as_a_row_can(shop: Shop) -> None:
    headers, payment = await begun(shop)
    await shop.deliver(failed(payment["reference"], "nul \x00 " + "x" * 600))
    shown = await shop.get(f"/api/payments/{payment['payment_id']}", headers)
    assert shown["failure_reason"].startswith("nul \\u0000 xxx")
    assert (shown["status"], len(shown["failure_reason"])) == ("failed", 500)


@pytest.mark.asyncio
async def test_a_refund_is_shown_and_a_repeat_changes_nothing(shop: Shop) -> None:
    headers, payment = await begun(shop)
    reversal = PaymentReversed(
        reference="demo:p1:refunded:2500",
        wallet=wallet(2, 0),
        gateway="demo",
        gateway_payment_id="p1",
        payment_reference=payment["reference"],
        refunded_total=Money.of(2500, "USD/2"),
        credits_taken=Money.of(2500, "TFC/2"),
    )
    credited = purchased(payment["reference"])
    await shop.deliver(credited, reversal, failed(payment["reference"]), credited, reversal)
    shown = await shop.get(f"/api/payments/{payment['payment_id']}", headers)
    assert shown["status"] == "refunded"
    told = [data["wallet_version"] for kind, data in await shop.live("alice") if kind == "balance"]
    assert told == [1, 2]


@pytest.mark.asyncio
async def test_an_older_wallet_is_never_told_after_a_newer(shop: Shop) -> None:
    await shop.deliver(purchased(None, version=3), purchased(None, version=2), purchased(None, version=4))
    told = [data["wallet_version"] for _, data in await shop.live("alice")]
    assert told == [3, 4]


@pytest.mark.asyncio
async def test_a_balance_told_live_looks_like_the_one_asked_for(shop: Shop) -> None:
    await shop.deliver(purchased(None, version=1))
    ((kind, told),) = await shop.live("alice")
    headers = await shop.sign_in("alice")
    shop.ledger.give("alice", 2500)
    transaction = told.pop("transaction")
    assert (kind, told) == ("balance", await shop.get("/api/user/tfc-balance", headers))
    assert set(transaction) == set((await shop.get("/api/transactions", headers))["transactions"][0])


@pytest.mark.asyncio
async def test_a_bad_message_is_parked_and_the_stream_goes_on(shop: Shop) -> None:
    headers, payment = await begun(shop)
    good = purchased(payment["reference"])
    bad = good.model_copy(update={"wallet": None})
    await shop.deliver(bad, good)
    assert (await shop.get(f"/api/payments/{payment['payment_id']}", headers))["status"] == "confirmed"
    assert await shop.pool.fetchval("SELECT reason FROM dead_letters") == "bad-payload"
    producer = shop.parts.bus.producer("relay")
    await producer.start()
    assert await Relay(shop.pool, producer, OutboxSource()).run_once() == 1
