"""Money that goes back: refunds in parts, early, and failing late; a dispute that is lost after the credits were spent.

Told by Stripe's signed webhooks to the whole running stack; after each the books balance.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from testkit.waiting_for import eventually

from .visitor import AMONG_OTHERS_S, Visitor

pytestmark = pytest.mark.e2e


@pytest_asyncio.fixture
async def payer(visitor: Visitor) -> AsyncIterator[Visitor]:
    """Somebody who is new here; the trial balance is zero after each test."""
    yield visitor
    balance = await visitor.ledger("/trial-balance")
    assert (balance["balanced"], balance["wallets_off"]) == (True, [])


async def tell(visitor: Visitor, kind: str, subject: dict[str, Any]) -> None:
    """A signed event of Stripe's about ``subject``."""
    event = {
        "id": f"evt_{secrets.token_hex(8)}",
        "object": "event",
        "type": kind,
        "created": 1_767_225_600,
        "data": {"object": subject},
    }
    answer = await visitor.webhook(json.dumps(event).encode())
    assert answer.status_code == 200, answer.text


def charge_refunded(intent: str, total: int) -> dict[str, Any]:
    return {
        "id": f"ch_{intent}",
        "object": "charge",
        "payment_intent": intent,
        "amount_refunded": total,
        "currency": "usd",
    }


def refund(intent: str, amount: int, status: str, refund_id: str = "re_1") -> dict[str, Any]:
    return {
        "id": f"{refund_id}_{intent}",
        "object": "refund",
        "payment_intent": intent,
        "charge": f"ch_{intent}",
        "amount": amount,
        "currency": "usd",
        "status": status,
    }


def dispute(intent: str, amount: int, status: str) -> dict[str, Any]:
    return {
        "id": f"dp_{intent}",
        "object": "dispute",
        "payment_intent": intent,
        "charge": f"ch_{intent}",
        "amount": amount,
        "currency": "usd",
        "status": status,
        "reason": "fraudulent",
        "balance_transactions": [],
    }


def new_intent() -> str:
    return f"pi_{secrets.token_hex(8)}"


async def debt_becomes(visitor: Visitor, amount: str) -> None:
    async def reached() -> bool:
        assert str((await visitor.get("/api/user/tfc-balance"))["debt"]) == amount
        return True

    await eventually(reached, AMONG_OTHERS_S)


@pytest.mark.asyncio
async def test_a_partial_refund_then_the_whole(payer: Visitor) -> None:
    intent = new_intent()
    await payer.pay(2500, intent)
    await payer.balance_becomes("25.00")
    await tell(payer, "charge.refunded", charge_refunded(intent, 1000))
    await payer.balance_becomes("15.00")
    await tell(payer, "charge.refunded", charge_refunded(intent, 1000))
    await tell(payer, "charge.refunded", charge_refunded(intent, 2500))
    await payer.balance_becomes("0.00")


@pytest.mark.asyncio
async def test_a_refund_before_its_payment_is_known(payer: Visitor) -> None:
    intent, other = new_intent(), new_intent()
    await tell(payer, "charge.refunded", charge_refunded(intent, 1000))
    await payer.pay(2500, intent)
    await payer.balance_becomes("15.00")
    await payer.pay(100, other)
    await payer.balance_becomes("16.00")


@pytest.mark.asyncio
async def test_a_refund_that_fails_late_gives_the_credits_back(payer: Visitor) -> None:
    intent = new_intent()
    await payer.pay(2500, intent)
    await tell(payer, "refund.created", refund(intent, 1000, "pending"))
    await tell(payer, "charge.refunded", charge_refunded(intent, 1000))
    await payer.balance_becomes("15.00")
    await tell(payer, "refund.updated", refund(intent, 1000, "succeeded"))
    await tell(payer, "refund.failed", refund(intent, 1000, "failed"))
    await payer.balance_becomes("25.00")
    await tell(payer, "refund.created", refund(intent, 500, "succeeded", "re_2"))
    await payer.balance_becomes("20.00")


@pytest.mark.asyncio
async def test_a_dispute_lost_after_the_credits_were_spent_is_a_debt_that_the_next_purchase_settles(
    payer: Visitor,
) -> None:
    intent = new_intent()
    await payer.pay(1000, intent)
    await payer.balance_becomes("10.00")
    bought = (await payer.buy("web-server")).json()
    await payer.deployment_becomes(bought["action"]["deployment_id"], "active")
    await tell(payer, "charge.dispute.created", dispute(intent, 1000, "needs_response"))
    await debt_becomes(payer, "10.00")
    await tell(payer, "charge.dispute.closed", dispute(intent, 1000, "lost"))
    refused = (await payer.buy("small-vm")).json()
    assert refused["action"]["type"] == "InsufficientFunds"
    assert await payer.balance() == "0.00"
    await payer.pay(2500)
    await payer.balance_becomes("15.00")
    await debt_becomes(payer, "0.00")


@pytest.mark.asyncio
async def test_a_dispute_won_gives_the_credits_free_again(payer: Visitor) -> None:
    intent = new_intent()
    await payer.pay(2500, intent)
    await payer.balance_becomes("25.00")
    await tell(payer, "charge.dispute.created", dispute(intent, 2500, "needs_response"))
    await payer.balance_becomes("0.00")
    await tell(payer, "charge.dispute.closed", dispute(intent, 2500, "won"))
    await payer.balance_becomes("25.00")
