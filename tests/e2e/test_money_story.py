"""The main job over HTTP, through all processes: pay, buy what works, buy what fails; the books balance throughout."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytest_asyncio

from testkit.waiting_for import eventually

pytestmark = pytest.mark.parametrize("stack", ["postgres", "kafka"], indirect=True)
WEB_SERVER_PRICE = Decimal("10.00")
PASSERS_BY = 48
"""Enough that each of the topic's partitions gets some of their payments."""


@pytest_asyncio.fixture
async def watched_books(visitor: Any) -> AsyncIterator[list[Any]]:
    """Looks at the trial balance again and again while the test runs; yields what was seen."""
    seen: list[Any] = []
    over = asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            seen.append(await visitor.ledger("/trial-balance"))

    watching = asyncio.create_task(watch())
    yield seen
    over.set()
    await watching


def assert_always_balanced(seen: list[Any]) -> None:
    assert len(seen) > 1, "the books were looked at while it happened"
    assert all(look["balanced"] for look in seen)
    assert all(Decimal(asset["sum"]) == 0 for look in seen for asset in look["assets"])
    assert all(not look["wallets_off"] for look in seen)


@pytest.mark.asyncio
async def test_a_signed_webhook_becomes_credits_once_however_often_it_comes(visitor: Any) -> None:
    intent, event = f"pi_{secrets.token_hex(8)}", f"evt_{secrets.token_hex(8)}"

    answer = await visitor.pay(2500, intent, event)

    assert (answer.status_code, answer.json()) == (200, {"success": True, "received": True})
    await visitor.balance_becomes("25.00")
    again = await asyncio.gather(*(visitor.pay(2500, intent, event) for _ in range(10)))
    other = await visitor.pay(2500, intent, f"{event}_other")
    assert [answer.status_code for answer in (*again, other)] == [200] * 11
    await everything_is_through(visitor)
    assert await visitor.balance() == "25.00"
    rows = (await visitor.get("/api/transactions"))["transactions"]
    assert [(row["transaction_type"], str(row["amount"])) for row in rows] == [("Purchase", "25.00")]


@pytest.mark.asyncio
async def test_credits_buy_a_deployment_and_the_money_is_split(visitor: Any, watched_books: list[Any]) -> None:
    await visitor.pay(2500)
    await visitor.balance_becomes("25.00")

    answer = (await visitor.buy("web-server")).json()

    assert answer["success"] is True
    assert answer["action"]["type"] == "DeploymentStarted"
    deployment_id = answer["action"]["deployment_id"]
    shown = await visitor.deployment_becomes(deployment_id, "active")
    assert (shown["tfc_amount"], shown["commission_amount"], shown["grid_payment_amount"]) == (
        WEB_SERVER_PRICE,
        Decimal("1.00"),
        Decimal("9.00"),
    )
    assert shown["connection_details"]
    assert shown["grid_deployment_id"]
    assert await visitor.balance() == "15.00"
    assert await visitor.earned("platform:commission", deployment_id) == Decimal("1.00")
    assert await visitor.earned("grid:payable", deployment_id) == Decimal("9.00")
    assert_always_balanced(watched_books)


@pytest.mark.asyncio
async def test_a_deployment_that_fails_is_given_back_in_full(visitor: Any, watched_books: list[Any]) -> None:
    await visitor.pay(2500)
    await visitor.balance_becomes("25.00")

    deployment_id = (await visitor.buy("demo-fails")).json()["action"]["deployment_id"]

    shown = await visitor.deployment_becomes(deployment_id, "failed")
    assert shown["error_message"]
    await visitor.balance_becomes("25.00")
    assert await visitor.earned("platform:commission", deployment_id) == 0
    assert await visitor.earned("grid:payable", deployment_id) == 0
    wallet = await visitor.ledger(f"/wallets/{visitor.user_id}")
    assert (wallet["held"], wallet["debt"], wallet["total_refunded"]) == ("0.00", "0.00", "10.00")
    rows = (await visitor.get("/api/transactions"))["transactions"]
    assert [(row["transaction_type"], str(row["amount"])) for row in rows] == [
        ("Refund", "10.00"),
        ("Deployment", "-10.00"),
        ("Purchase", "25.00"),
    ]
    assert_always_balanced(watched_books)


@pytest.mark.asyncio
async def test_a_refund_at_the_gateway_takes_the_credits_back(visitor: Any) -> None:
    intent = f"pi_{secrets.token_hex(8)}"
    await visitor.pay(2500, intent)
    await visitor.balance_becomes("25.00")

    assert (await visitor.webhook(refund_body(intent, 1000))).status_code == 200
    await visitor.balance_becomes("15.00")
    assert (await visitor.webhook(refund_body(intent, 2500))).status_code == 200
    await visitor.balance_becomes("0.00")

    # A lower figure that comes late changes nothing.
    assert (await visitor.webhook(refund_body(intent, 1000))).status_code == 200
    await everything_is_through(visitor)
    assert await visitor.balance() == "0.00"


@pytest.mark.asyncio
async def test_a_refund_that_overtakes_its_payment_waits_for_it(visitor: Any) -> None:
    intent = f"pi_{secrets.token_hex(8)}"

    assert (await visitor.webhook(refund_body(intent, 1000))).status_code == 200
    assert (await visitor.pay(2500, intent)).status_code == 200

    await visitor.balance_becomes("15.00")


@pytest.mark.asyncio
async def test_a_demo_payment_begins_at_the_api_and_ends_confirmed(visitor: Any) -> None:
    begun = (
        await visitor.http.post(
            f"{visitor.stack.url('payments-api')}/api/payments/initiate",
            json={"amount": 50, "currency": "USD", "gateway": "demo"},
            headers=visitor.signed_in,
        )
    ).json()
    assert begun["status"] == "initiated"

    page = await visitor.http.get(begun["payment_url"])
    assert page.status_code == 200
    parts = urlsplit(begun["payment_url"])
    form = {**dict(parse_qsl(parts.query)), "outcome": "confirmed"}
    confirmed = await visitor.http.post(begun["payment_url"].split("?")[0], data=form)
    assert confirmed.status_code < 400, confirmed.text

    await visitor.balance_becomes("50.00")
    # Credited first, shown as confirmed after it.
    shown = await eventually(lambda: confirmed_payment(visitor, begun["payment_id"]), 30.0)
    assert str(shown["credited"]) == "50.00"


@pytest.mark.asyncio
async def test_the_webhook_path_works_through_the_api_too(visitor: Any, webhook_body: Any, signed: Any) -> None:
    body = webhook_body(visitor.user_id, 700)

    answer = await visitor.http.post(
        f"{visitor.stack.url('payments-api')}/api/webhooks/stripe", content=body, headers=signed(body)
    )

    assert answer.status_code == 200
    await visitor.balance_becomes("7.00")


def refund_body(intent: str, refunded_cents: int) -> bytes:
    charge = {
        "id": f"ch_{secrets.token_hex(8)}",
        "object": "charge",
        "amount": 2500,
        "amount_refunded": refunded_cents,
        "currency": "usd",
        "payment_intent": intent,
    }
    event = {
        "id": f"evt_{secrets.token_hex(8)}",
        "object": "event",
        "created": int(time.time()),
        "type": "charge.refunded",
        "data": {"object": charge},
    }
    return json.dumps(event).encode()


async def everything_is_through(visitor: Any) -> None:
    """Pay for passers-by on every partition, and wait for their credits: what was sent before them is settled too."""
    passers_by = [f"passer-by-{secrets.token_hex(8)}" for _ in range(PASSERS_BY)]
    answers = await asyncio.gather(*(visitor.pay(100, user_id=passer_by) for passer_by in passers_by))
    assert [answer.status_code for answer in answers] == [200] * PASSERS_BY
    for passer_by in passers_by:
        await eventually(lambda user_id=passer_by: credited(visitor, user_id), 30.0)


async def confirmed_payment(visitor: Any, payment_id: str) -> Any:
    shown = await visitor.get(f"/api/payments/{payment_id}")
    assert shown["status"] == "confirmed"
    return shown


async def credited(visitor: Any, user_id: str) -> bool:
    return bool((await visitor.ledger(f"/wallets/{user_id}"))["available"] == "1.00")
