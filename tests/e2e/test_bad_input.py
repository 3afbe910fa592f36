"""What is wrong is refused as the contract says, changes nothing, and stops nobody else."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.bus import Bus, open_bus
from chassis.bus.port import OutgoingRecord, Record, TopicPartition
from contracts.envelope import Envelope
from contracts.messages import PaymentConfirmed
from contracts.topics import PAYMENTS, dead_letter_topic
from testkit.waiting_for import eventually

WEBHOOK_MAX_BYTES = 256 * 1024


async def quarantined(visitor: Any) -> dict[str, str]:
    """Event id → reason, of the newest events that wait for a person."""
    answer = await visitor.http.get(
        f"{visitor.stack.url('gateway-ingest')}/v1/quarantine?limit=200", headers=visitor.operator
    )
    assert answer.status_code == 200
    return {event["event_id"]: event["reason"] for event in answer.json()["events"]}


@pytest.mark.asyncio
async def test_webhooks_that_nobody_signed_are_refused(visitor: Any, webhook_body: Any, signed: Any) -> None:
    body = webhook_body(visitor.user_id, 2500)

    for headers in ({}, signed(body, secret="whsec_other"), signed(body, age_s=301), signed(body + b" ")):
        answer = await visitor.webhook(body, headers)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await visitor.webhook(b"{" * (WEBHOOK_MAX_BYTES + 1))).status_code == 413
    malformed = b'{"id": "evt_1", '
    assert (await visitor.webhook(malformed, signed(malformed))).status_code == 400
    assert await visitor.balance() == "0.00"


@pytest.mark.asyncio
async def test_what_is_signed_but_odd_is_kept_and_listed(visitor: Any, webhook_body: Any) -> None:
    negative, unknown = (f"evt_{secrets.token_hex(8)}" for _ in range(2))
    of_a_currency = webhook_body(visitor.user_id, 2500, event_id=unknown).replace(b'"usd"', b'"xxx"')

    assert (await visitor.pay(-2500, event_id=negative)).status_code == 200
    assert (await visitor.webhook(of_a_currency)).status_code == 200

    listed = await quarantined(visitor)
    assert listed[negative] == "amount_not_positive"
    assert listed[unknown] == "unknown_currency"
    assert await visitor.balance() == "0.00"


@pytest.mark.asyncio
async def test_events_that_mean_nothing_to_us_are_taken_and_ignored(visitor: Any) -> None:
    event_id = f"evt_{secrets.token_hex(8)}"
    event = {"id": event_id, "created": int(time.time()), "type": "customer.created", "data": {"object": {}}}

    assert (await visitor.webhook(json.dumps(event).encode())).status_code == 200

    assert event_id not in await quarantined(visitor)


@pytest.mark.parametrize("amount", [0, -5, "ten", "1.001", 1.001, 10_000_000_000_000, None, True, []])
@pytest.mark.asyncio
async def test_amounts_that_are_none_name_their_field(amount: object, visitor: Any) -> None:
    answer = await visitor.http.post(
        f"{visitor.stack.url('payments-api')}/api/payments/initiate",
        json={"amount": amount, "currency": "USD", "gateway": "demo"},
        headers=visitor.signed_in,
    )

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == "amount"


@pytest.mark.asyncio
async def test_numbers_that_json_does_not_know_are_refused(visitor: Any) -> None:
    for amount in ("NaN", "Infinity", "-Infinity"):
        answer = await visitor.http.post(
            f"{visitor.stack.url('payments-api')}/api/payments/initiate",
            content=f'{{"amount": {amount}, "currency": "USD", "gateway": "demo"}}',
            headers={**visitor.signed_in, "content-type": "application/json"},
        )
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.asyncio
async def test_without_cover_nothing_changes(visitor: Any) -> None:
    await visitor.pay(300)
    await visitor.balance_becomes("3.00")

    answer = await visitor.buy("web-server")

    assert answer.status_code == 200
    said = answer.json()
    assert (said["success"], said["message"]) == (False, "Insufficient TFC balance")
    assert said["action"]["type"] == "InsufficientFunds"
    assert '"required":10.00' in answer.text.replace(" ", "")
    assert '"available":3.00' in answer.text.replace(" ", "")
    assert await visitor.balance() == "3.00"
    assert (await visitor.get("/api/deployments"))["deployments"] == []


@pytest.mark.asyncio
async def test_what_does_not_exist_or_is_not_yours_is_not_there(visitor: Any, another: Any) -> None:
    assert (await visitor.buy("no-such-service")).status_code == 404
    await visitor.pay(1000)
    await visitor.balance_becomes("10.00")
    deployment_id = (await visitor.buy("small-vm")).json()["action"]["deployment_id"]
    begun = await visitor.http.post(
        f"{visitor.stack.url('payments-api')}/api/payments/initiate",
        json={"amount": 10, "currency": "USD", "gateway": "demo"},
        headers=visitor.signed_in,
    )
    await another.sign_in()

    for path in (f"/api/deployments/{deployment_id}", f"/api/payments/{begun.json()['payment_id']}"):
        url = f"{visitor.stack.url('payments-api')}{path}"
        assert (await visitor.http.get(url, headers=visitor.signed_in)).status_code == 200
        assert (await visitor.http.get(url, headers=another.signed_in)).status_code == 404
        assert (await visitor.http.get(url)).status_code == 401


@pytest.mark.asyncio
async def test_the_books_open_to_the_service_token_only(visitor: Any) -> None:
    for path in ("/trial-balance", f"/wallets/{visitor.user_id}", "/events?after=0"):
        url = f"{visitor.stack.url('ledger')}/v1{path}"
        assert (await visitor.http.get(url)).status_code == 401
        assert (await visitor.http.get(url, headers={"Authorization": "Bearer other"})).status_code == 401


@pytest.mark.asyncio
async def test_text_that_postgresql_refuses_harms_nobody(visitor: Any, webhook_body: Any) -> None:
    """A NUL in the metadata, among good ones: the payment counts or is quarantined, and the others are credited."""
    event_id = f"evt_{secrets.token_hex(8)}"
    body = webhook_body(f"nul-{secrets.token_hex(4)}", 500, event_id=event_id)
    poisoned = body.replace(b'"tfc_purchase"', b'"tfc\\u0000purchase"')
    assert poisoned != body

    assert (await visitor.webhook(poisoned)).status_code == 200
    await visitor.pay(900)

    await visitor.balance_becomes("9.00")


@pytest.mark.asyncio
async def test_money_for_nobody_is_on_the_books_and_listed(visitor: Any) -> None:
    intent = f"pi_{secrets.token_hex(8)}"

    assert (await visitor.pay(1200, intent, user_id="not a user id")).status_code == 200

    async def listed() -> bool:
        waiting = await visitor.ledger("/unallocated?limit=200")
        return any(row["gateway_payment_id"] == intent for row in waiting["unallocated"])

    await eventually(listed, 30.0)
    assert (await visitor.ledger("/trial-balance"))["balanced"] is True


@pytest.mark.asyncio
async def test_a_poisoned_message_becomes_a_dead_letter_and_the_stream_goes_on(visitor: Any) -> None:
    token = secrets.token_hex(8)
    headers = Envelope(
        id=f"poison-{token}",
        type=PaymentConfirmed.TYPE,
        source="gateway-ingest",
        time=datetime.now(UTC),
        subject=token,
        data=b"",
        traceparent=None,
    ).to_headers()
    poison = OutgoingRecord(PAYMENTS, token.encode(), b'{"gateway": "stripe", "received": "a lot"}', headers)
    bus = await open_bus(visitor.stack.note().environments["ledger"]["BUS_URL"])
    try:
        producer = bus.producer("poisoner")
        await producer.start()
        await producer.publish([poison])
        await producer.close()
        letter = await dead_letter(bus, dead_letter_topic(PAYMENTS), token)
    finally:
        await bus.close()

    assert letter.value == poison.value
    assert any(value and b"reason" in name.encode() for name, value in letter.headers)
    await visitor.pay(800)
    await visitor.balance_becomes("8.00")


async def dead_letter(bus: Bus, topic: str, token: str) -> Record:
    """The dead letter of the record with that key."""
    consumer = bus.consumer(f"reader-{token}", [topic], "reader")
    await consumer.start(FromTheBeginning())

    async def found() -> Record | None:
        records = await consumer.fetch(500, 1.0)
        return next((record for record in records if record.key == token.encode()), None)

    try:
        record = await eventually(found, 30.0)
        assert record is not None
        return record
    finally:
        await consumer.close()


class FromTheBeginning:
    """A listener that remembers nothing."""

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        return dict.fromkeys(partitions, 0)

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        return None
