"""What the tests of subscriptions speak in: beginning one, and the messages about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from contracts.amounts import Money
from contracts.messages import (
    CreditsPurchased,
    PaymentFailed,
    PaymentInitiated,
    SubscriptionPeriodReported,
    SubscriptionReported,
    TransactionRow,
)
from payments_api.adapters.publishing import LogSource

from .conftest import START, Shop, exact
from .payment_story import wallet

STANDARD = {"package_id": "standard", "billing_cycle": "monthly"}
BILLED = STANDARD | {"payment_method": "demo", "customer_email": "alice@example.org"}
BY_STRIPE = STANDARD | {"payment_method": "stripe"}
DAY_S = 86_400
MAY, JUNE, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (5, 6, 7))
MAIL = {"smtp_host": "127.0.0.1", "smtp_port": 9, "smtp_tls": "none", "mail_from": "Gridledger <billing@shop.test>"}


async def post(shop: Shop, body: Mapping[str, Any], user_id: str = "alice", key: str | None = None) -> httpx.Response:
    headers = await shop.sign_in(user_id) | ({} if key is None else {"idempotency-key": key})
    return await shop.http.post("/api/subscriptions", headers=headers, json=dict(body))


async def subscribed(shop: Shop, body: Mapping[str, Any], user_id: str = "alice") -> Any:
    answer = await post(shop, body, user_id)
    assert answer.status_code == 200, answer.text
    return exact(answer)


async def shown(shop: Shop, subscription: Mapping[str, Any], user_id: str = "alice") -> Any:
    return await shop.get(f"/api/subscriptions/{subscription['subscription_id']}", await shop.sign_in(user_id))


async def payment_of(shop: Shop, subscription: Mapping[str, Any], user_id: str = "alice") -> Any:
    """The payment of its newest period."""
    payment_id = (await shown(shop, subscription, user_id))["period"]["payment_id"]
    return await shop.get(f"/api/payments/{payment_id}", await shop.sign_in(user_id))


def credited(payment: Mapping[str, Any], version: int = 1) -> CreditsPurchased:
    """The ledger gave what was promised for that payment."""
    given, bonus = Money.of(5250, "TFC/2"), Money.of(250, "TFC/2")
    return CreditsPurchased(
        reference=f"{payment['reference']}:credit",
        wallet=wallet(version, 5250 * version),
        transaction=TransactionRow(
            id=f"t{version}",
            user_id="alice",
            transaction_type="Purchase",
            amount=given,
            balance_before=Money.of(0, "TFC/2"),
            balance_after=given,
            description="TFC purchase",
            created_at=START,
        ),
        gateway=payment["gateway"],
        gateway_payment_id=f"pi_{payment['reference']}",
        payment_reference=payment["reference"],
        received=Money.of(5000, "USD/2"),
        credits=given,
        bonus=bonus,
        rule="quote",
    )


def failed(payment: Mapping[str, Any]) -> PaymentFailed:
    return PaymentFailed(
        gateway=payment["gateway"],
        gateway_payment_id="x",
        reason_code="declined",
        reason="no luck",
        failed_at=START,
        reference=payment["reference"],
    )


def period(
    subscription: Mapping[str, Any], reference: str, begins: datetime = MAY, *, state: Any = "paid", **more: Any
) -> SubscriptionPeriodReported:
    """Stripe's word on one period."""
    said: dict[str, Any] = {
        "gateway": "stripe",
        "subscription_id": subscription["subscription_id"],
        "gateway_subscription_id": "sub_1",
        "gateway_invoice_id": f"in_{reference}",
        "payment_reference": reference,
        "state": state,
        "amount": Money.of(5000, "USD/2"),
        "begins_at": begins,
        "ends_at": begins + timedelta(days=30),
        "reason_code": "" if state == "paid" else "invoice_payment_failed",
        "reason": "" if state == "paid" else "It could not be taken",
        "payment_url": f"https://invoice.stripe.com/i/{reference}",
        "reported_at": begins,
    }
    return SubscriptionPeriodReported(**said | more)


def reported(
    subscription: Mapping[str, Any], state: Any, at_s: float = 0, name: str | None = "sub_1"
) -> SubscriptionReported:
    """Stripe's word on how it stands."""
    return SubscriptionReported(
        gateway="stripe",
        subscription_id=subscription["subscription_id"],
        gateway_subscription_id=name,
        state=state,
        reported_at=START + timedelta(seconds=at_s),
    )


async def act(shop: Shop) -> int:
    """One round of what is done behind."""
    return await shop.parts.subscriptions.renewing.act_once()


async def mails(shop: Shop) -> list[tuple[str, Any]]:
    """Kind and facts of those that were written."""
    rows = await shop.pool.fetch("SELECT kind, facts FROM mails ORDER BY created_at, dedupe_key")
    return [(row["kind"], json.loads(row["facts"])) for row in rows]


async def quotes(shop: Shop) -> list[PaymentInitiated]:
    """What the ledger would be told of: by the service's own log."""

    async with shop.pool.acquire() as conn:
        _, records = await LogSource(shop.parts.store).read_after(conn, 0, 1000)
    return [
        PaymentInitiated.model_validate_json(record.value)
        for record in records
        if dict(record.headers)["ce_type"] == PaymentInitiated.TYPE.encode()
    ]
