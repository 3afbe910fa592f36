"""What the tests of payments speak in: beginning one, and the messages about it."""

from __future__ import annotations

from typing import Any

import httpx

from contracts.amounts import Money
from contracts.messages import (
    CreditsPurchased,
    PaymentFailed,
    TransactionRow,
    WalletSnapshot,
)

from .conftest import START, Shop, exact

DEMO = {"amount": 25, "currency": "USD", "gateway": "demo"}


async def initiate(shop: Shop, headers: dict[str, str], **body: Any) -> httpx.Response:
    return await shop.http.post("/api/payments/initiate", headers=headers, json=DEMO | body)


async def begun(shop: Shop, user_id: str = "alice") -> tuple[dict[str, str], Any]:
    headers = await shop.sign_in(user_id)
    answer = await initiate(shop, headers)
    assert answer.status_code == 200, answer.text
    return headers, exact(answer)


def wallet(version: int, units: int = 2500) -> WalletSnapshot:
    nothing = Money.of(0, "TFC/2")
    return WalletSnapshot(
        user_id="alice", version=version, available=Money.of(units, "TFC/2"), held=nothing, debt=nothing
    )


def purchased(reference: str | None, *, version: int = 1) -> CreditsPurchased:
    credited = Money.of(2500, "TFC/2")
    return CreditsPurchased(
        reference="demo:p1:credit",
        wallet=wallet(version),
        transaction=TransactionRow(
            id="t1",
            user_id="alice",
            transaction_type="Purchase",
            amount=credited,
            balance_before=Money.of(0, "TFC/2"),
            balance_after=credited,
            description="TFC purchase via Demo (p1)",
            created_at=START,
        ),
        gateway="demo",
        gateway_payment_id="p1",
        payment_reference=reference,
        received=Money.of(2500, "USD/2"),
        credits=credited,
        bonus=Money.of(0, "TFC/2"),
        rule="quote",
    )


def failed(reference: str, reason: str = "no luck", attempt_id: str | None = None) -> PaymentFailed:
    return PaymentFailed(
        gateway="demo",
        gateway_payment_id="p1",
        reason_code="declined",
        reason=reason,
        failed_at=START,
        reference=reference,
        attempt_id=attempt_id,
    )
