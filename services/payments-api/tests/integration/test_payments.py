"""Payments: begun once per request, and told to the others."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chassis.bus.port import TopicPartition
from chassis.relay import Relay
from contracts.amounts import Money
from contracts.envelope import Envelope
from contracts.messages import (
    PaymentInitiated,
)
from contracts.references import normalize_reference
from contracts.topics import PARTITIONS, PAYMENTS
from payments_api.adapters.publishing import LogSource

from .conftest import START, OpenShop, Shop, exact
from .payment_story import begun, initiate, purchased


@pytest.mark.asyncio
async def test_a_payment_begins_with_a_quote_and_a_page(shop: Shop) -> None:
    headers, payment = await begun(shop)
    assert (payment["status"], payment["amount"], payment["credits"]) == ("initiated", Decimal(25), Decimal(25))
    assert normalize_reference(payment["reference"]) == payment["reference"]
    assert payment["payment_url"].startswith("http://127.0.0.1:8010/pay?payment_id=" + payment["payment_id"])
    assert payment["expires_at"] == (START + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert await shop.get(f"/api/payments/{payment['payment_id']}", headers) == payment


@pytest.mark.asyncio
async def test_it_is_told_to_the_ledger_with_its_quote(shop: Shop) -> None:
    _, payment = await begun(shop)
    producer = shop.parts.bus.producer("relay")
    await producer.start()
    relay = Relay(shop.pool, producer, LogSource(shop.parts.store))
    assert await relay.run_once() > 0
    assert await relay.run_once() == 0
    (record,) = await published(shop, PAYMENTS)
    envelope = Envelope.from_record(record.headers, record.value)
    message = PaymentInitiated.from_envelope(envelope)
    assert (record.key.decode(), envelope.source) == (payment["reference"], "payments-api")
    assert (message.payment_id, message.user_id, message.price.amount) == (payment["payment_id"], "alice", "25.00")
    assert (message.credits, message.bonus) == (Money.of(2500, "TFC/2"), Money.of(0, "TFC/2"))
    assert message.expires_at == START + timedelta(hours=1)


async def published(shop: Shop, topic: str) -> list[Any]:
    class Everything:
        async def on_assigned(self, partitions: frozenset[TopicPartition]) -> dict[TopicPartition, int | None]:
            return dict.fromkeys(partitions, 0)

        async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None: ...

    consumer = shop.parts.bus.consumer("reader", [topic], "reader")
    await consumer.start(Everything())
    records: list[Any] = []
    async with asyncio.timeout(5):
        while not records:
            records += await consumer.fetch(100, 0.1)
    await consumer.close()
    assert PARTITIONS[topic]
    return records


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("0", "not_positive"),
        ("-1", "not_positive"),
        ('"abc"', "not_a_number"),
        ("true", "not_a_number"),
        ("null", "missing"),
        ("[]", "not_a_number"),
        ("1.001", "too_many_decimals"),
        ("10000000000000", "too_large"),
        ('"10000000000000.00"', "too_large"),
        ("1e999999", "not_a_number"),
    ],
)
async def test_a_wrong_amount_names_the_field_and_stores_nothing(shop: Shop, amount: str, code: str) -> None:
    headers = await shop.sign_in() | {"content-type": "application/json", "idempotency-key": "k1"}
    body = f'{{"amount": {amount}, "currency": "USD", "gateway": "demo"}}'
    answer = await shop.http.post("/api/payments/initiate", headers=headers, content=body)
    assert (answer.status_code, answer.json()["field"], answer.json()["code"]) == (422, "amount", code)
    assert await shop.pool.fetchval("SELECT count(*) FROM payments") == 0
    assert (await initiate(shop, headers)).status_code == 200, "a refused request burns no key"


@pytest.mark.asyncio
@pytest.mark.parametrize("amount", ["9999999999999.99", '"9999999999999.99"', "0.01", "1.10", "1e2"])
async def test_amounts_are_exact(shop: Shop, amount: str) -> None:
    headers = await shop.sign_in() | {"content-type": "application/json"}
    body = f'{{"amount": {amount}, "currency": "usd", "gateway": "demo"}}'
    answer = await shop.http.post("/api/payments/initiate", headers=headers, content=body)
    assert answer.status_code == 200, answer.text
    assert exact(answer)["amount"] == exact(answer)["credits"] == Decimal(amount.strip('"'))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"gateway": "stripe"}, 422, "gateway_not_configured", "gateway"),
        ({"gateway": "clickpesa"}, 422, "gateway_not_configured", "gateway"),
        ({"gateway": "bank"}, 422, "gateway_not_configured", "gateway"),
        ({"gateway": "crypto"}, 422, "gateway_not_configured", "gateway"),
        ({"gateway": "paypal"}, 422, "unknown_gateway", "gateway"),
        ({"currency": "XYZ"}, 422, "unknown_currency", "currency"),
        ({"gateway": "\u0000"}, 422, "unknown_gateway", "gateway"),
    ],
)
async def test_gateways_and_currencies_that_are_not_here(
    shop: Shop, body: dict[str, str], status: int, code: str, field: str | None
) -> None:
    answer = await initiate(shop, await shop.sign_in(), **body)
    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field)


@pytest.mark.asyncio
async def test_the_demo_gateway_is_there_in_demo_mode_only(open_shop: OpenShop) -> None:
    async with open_shop(demo_payment=False) as shop:
        session = await shop.parts.sessions.issue("alice")
        answer = await initiate(shop, {"authorization": f"Bearer {session.token}"})
        assert (answer.status_code, answer.json()["field"]) == (422, "gateway")


@pytest.mark.asyncio
async def test_the_same_key_and_body_get_the_same_answer(shop: Shop) -> None:
    headers = await shop.sign_in() | {"idempotency-key": "k1"}
    first = await initiate(shop, headers)
    await shop.deliver(purchased(first.json()["reference"]))
    again = await initiate(shop, headers, amount="25.00")
    assert again.content == first.content, "also when the payment went on meanwhile"
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    other = await initiate(shop, headers, amount=26)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await shop.pool.fetchval("SELECT count(*) FROM payments") == 1


@pytest.mark.asyncio
async def test_a_key_whose_answer_is_forgotten_begins_nothing_else(shop: Shop) -> None:
    headers = await shop.sign_in() | {"idempotency-key": "k1"}
    await initiate(shop, headers)
    await shop.pool.execute("DELETE FROM idempotency_keys")
    late = await initiate(shop, headers)
    assert (late.status_code, late.json()["code"]) == (422, "idempotency_key_reused")
    assert await shop.pool.fetchval("SELECT count(*) FROM payments") == 1


@pytest.mark.asyncio
async def test_a_key_is_its_persons_own(shop: Shop) -> None:
    answers = [await initiate(shop, await shop.sign_in(user) | {"idempotency-key": "k1"}) for user in ("alice", "bob")]
    assert answers[0].json()["payment_id"] != answers[1].json()["payment_id"]


@pytest.mark.asyncio
async def test_ten_at_once_with_one_key_are_one_payment(shop: Shop) -> None:
    headers = await shop.sign_in() | {"idempotency-key": "k1"}
    answers = await asyncio.gather(*(initiate(shop, headers) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await shop.pool.fetchval("SELECT count(*) FROM payments") == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
async def test_a_key_is_visible_text(shop: Shop, key: str) -> None:
    headers = await shop.sign_in() | {"idempotency-key": key.encode("latin-1")}
    answer = await initiate(shop, headers)
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


@pytest.mark.asyncio
async def test_somebody_elses_payment_is_not_there(shop: Shop) -> None:
    _, payment = await begun(shop, "alice")
    bob = await shop.sign_in("bob")
    for path in (
        f"/api/payments/{payment['payment_id']}",
        f"/api/payments/status?payment_id={payment['payment_id']}",
        f"/api/payments/status?reference={payment['reference']}",
        "/api/payments/nothing",
        "/api/payments/%00",
    ):
        answer = await shop.http.get(path, headers=bob)
        assert answer.status_code in (404, 422), path
        assert "alice" not in answer.text
    assert (await shop.http.get(f"/api/payments/{payment['payment_id']}", headers=bob)).status_code == 404


@pytest.mark.asyncio
async def test_its_owner_finds_it_by_either_name(shop: Shop) -> None:
    headers, payment = await begun(shop)
    spelt = payment["reference"].lower()[:6] + "-" + payment["reference"].lower()[6:]
    for query in (f"payment_id={payment['payment_id']}", f"reference={spelt}"):
        assert await shop.get(f"/api/payments/status?{query}", headers) == payment
    assert (await shop.http.get("/api/payments/status", headers=headers)).status_code == 422
