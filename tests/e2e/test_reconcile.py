"""A payment whose webhook never came and that nobody follows: ``reconcile`` finds it, and ``--repair`` credits it once.

On a stack of its own: the others' Stripe is spoken for by tests that sign news of payments which it never saw.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from testkit.waiting_for import eventually

from .launched_stack import LaunchedStack, SharedStack
from .visitor import AMONG_OTHERS_S, Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]
CARD = "4242424242424242"
OF_STRIPE = {"Authorization": "Bearer sk_test_x"}


@pytest.fixture
def unfollowed_stack(shared_stack: SharedStack) -> LaunchedStack:
    """One whose poller would ask after an hour."""
    return shared_stack("unfollowed", BUS="postgresql", FOLLOW_AFTER_S="3600")


@pytest_asyncio.fixture
async def payer(
    unfollowed_stack: LaunchedStack, somebody_new: Callable[[LaunchedStack], Awaitable[Visitor]]
) -> AsyncIterator[Visitor]:
    """Somebody who is new here; the trial balance is zero after each test."""
    visitor = await somebody_new(unfollowed_stack)
    yield visitor
    balance = await visitor.ledger("/trial-balance")
    assert (balance["balanced"], balance["wallets_off"]) == (True, [])


def reconcile(payer: Visitor, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and what it printed; of an hour around now."""
    now = datetime.now(UTC)
    window = ("--from", (now - timedelta(hours=1)).isoformat(), "--to", (now + timedelta(hours=1)).isoformat())
    done = payer.stack.command(
        "exec", "gateway-ingest", "reconcile", "--gateway", "stripe", *window, "--json", *arguments
    )
    assert done.returncode in (0, 1), done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, told


async def simulate(payer: Visitor, path: str, body: Mapping[str, Any]) -> Any:
    answer = await payer.http.post(f"{payer.stack.url('demo-gateway')}/stripe/simulate{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def pays_in_silence(payer: Visitor) -> str:
    """Pays 25 dollars at Stripe, which tells nobody; Stripe's id of the payment."""
    request = {"amount": "25", "currency": "USD", "gateway": "stripe"}
    headers = {**payer.signed_in, "Idempotency-Key": secrets.token_hex(8)}
    begun = await payer.http.post(
        f"{payer.stack.url('payments-api')}/api/payments/initiate", json=request, headers=headers
    )
    assert begun.status_code == 200, begun.text
    async with silence(payer):
        paid = await simulate(payer, f"/payments/{begun.json()['session_id']}", {"card": CARD})
    return str(paid["id"])


@asynccontextmanager
async def silence(payer: Visitor) -> AsyncIterator[None]:
    """Stripe's webhooks are lost."""
    await simulate(payer, "/webhooks", {"mode": "lose"})
    yield
    await simulate(payer, "/webhooks", {"mode": "send"})


def kinds(told: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Payment → what was found, and what was done."""
    return {each["payment_id"]: (each["kind"], each["done"]) for each in told["findings"]}


async def test_an_orphan_is_found_and_credited_once(payer: Visitor, tmp_path: Path) -> None:
    orphan = await pays_in_silence(payer)
    code, told = reconcile(payer)
    assert (code, kinds(told)) == (1, {orphan: ("paid_not_credited", "left")})
    assert told["findings"][0]["user_id"] == payer.user_id
    assert await payer.balance() == "0.00"

    file = tmp_path / "found.csv"
    code, told = reconcile(payer, "--repair", "--csv", str(file))
    assert (code, kinds(told)) == (0, {orphan: ("paid_not_credited", "repaired")})
    assert f"paid_not_credited,{orphan}," in file.read_text()
    await payer.balance_becomes("25.00")
    code, told = reconcile(payer)
    assert (code, told["findings"]) == (0, [])
    assert told["paid_at_gateway"] == told["booked"] >= 1

    # Its webhook comes after all.
    base = f"{payer.stack.url('demo-gateway')}/stripe"
    query = {"type": "payment_intent.succeeded"}
    told_by = (await payer.http.get(f"{base}/v1/events", params=query, headers=OF_STRIPE)).json()["data"]
    (event,) = [each for each in told_by if each["data"]["object"]["id"] == orphan]
    await simulate(payer, f"/events/{event['id']}/resend", {})
    await simulate(payer, "/webhooks/drain", {})
    await is_heard(payer, event["id"])
    # What is paid next is told after it, and all that there is.
    await payer.pay(1000, "pi_nextpayment")
    await payer.balance_becomes("35.00")
    booked = await payer.ledger(f"/payments/stripe/{orphan}")
    assert (booked["received"], booked["credits"], booked["user_id"]) == ("25.00", "25.00", payer.user_id)

    # That Stripe never had the second is for a person to look at.
    code, told = reconcile(payer, "--repair")
    assert (code, kinds(told)) == (1, {"pi_nextpayment": ("credited_not_paid", "left")})
    await payer.balance_becomes("35.00")


async def test_a_period_of_a_subscription_that_nobody_told_of(payer: Visitor) -> None:
    wished = {"package_id": "standard", "billing_cycle": "monthly", "payment_method": "stripe"}
    url = f"{payer.stack.url('payments-api')}/api/subscriptions"
    made = (await payer.http.post(url, json=wished, headers=payer.signed_in)).json()
    async with silence(payer):
        await simulate(payer, f"/sessions/{made['payment_url'].rsplit('/', 1)[1]}/agree", {})
    _, told = reconcile(payer, "--repair")
    (payment,) = [payment for payment, found in kinds(told).items() if found == ("paid_not_credited", "repaired")]
    await payer.balance_becomes("52.50")

    async def active() -> bool:
        shown = await payer.get(f"/api/subscriptions/{made['subscription_id']}")
        assert (shown["status"], (shown["period"] or {}).get("number")) == ("active", 1)
        return True

    await eventually(active, AMONG_OTHERS_S)
    assert payment not in kinds(reconcile(payer)[1])


async def is_heard(payer: Visitor, event_id: str) -> None:
    async def kept() -> bool:
        return payer.stack.command("exec", "gateway-ingest", "event", "stripe", event_id).returncode == 0

    await eventually(kept, AMONG_OTHERS_S)
