"""What the books have of one payment at a gateway."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from ledger.application.work import Work
from ledger.bootstrap import Parts
from ledger.domain.commands import Command, CreditPayment, ReportDispute, ReportRefund

NOW = datetime.now(UTC)
PURCHASED = {
    "gateway": "stripe",
    "gateway_payment_id": "pi_1",
    "payment_reference": None,
    "user_id": "alice",
    "asset": "USD/2",
    "received": "25.00",
    "returned": "0.00",
    "disputed": "0.00",
    "credits": "25.00",
    "credits_taken": "0.00",
}


async def settle(parts: Parts, *commands: Command) -> None:
    for command in commands:
        await parts.engine.settle(Work(command=command))


@pytest.mark.asyncio
async def test_one_that_was_only_ever_purchased(parts: Parts, client: httpx.AsyncClient) -> None:
    await settle(parts, CreditPayment("stripe", "pi_1", 2500, "USD/2", NOW, "alice"))
    assert await parts.pool.fetchval("SELECT count(*) FROM payments") == 0
    assert (await client.get("/v1/payments/stripe/pi_1")).json() == PURCHASED


@pytest.mark.asyncio
async def test_one_that_went_back_in_part(parts: Parts, client: httpx.AsyncClient) -> None:
    await settle(
        parts,
        CreditPayment("stripe", "pi_1", 2500, "USD/2", NOW, "alice"),
        ReportRefund("stripe", "pi_1", "re_1", 500, "USD/2", "succeeded"),
        ReportDispute("stripe", "pi_1", "dp_1", "opened", 1000, "USD/2"),
    )
    back = {"returned": "5.00", "credits_taken": "5.00", "disputed": "10.00"}
    assert (await client.get("/v1/payments/stripe/pi_1")).json() == PURCHASED | back


@pytest.mark.asyncio
async def test_one_that_belongs_to_nobody_in_its_own_asset(parts: Parts, client: httpx.AsyncClient) -> None:
    await settle(parts, CreditPayment("crypto", "btc:ab12:0", 150_000, "BTC/8", NOW, None, "QREF1"))
    body = (await client.get("/v1/payments/crypto/btc:ab12:0")).json()
    assert (body["user_id"], body["asset"], body["received"]) == (None, "BTC/8", "0.00150000")
    assert (body["gateway_payment_id"], body["payment_reference"], body["credits"]) == ("btc:ab12:0", "QREF1", "0.00")


@pytest.mark.asyncio
async def test_one_that_is_not_booked_and_one_who_may_not_ask(parts: Parts, client: httpx.AsyncClient) -> None:
    missing = await client.get("/v1/payments/stripe/pi_9")
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:gridledger:problem:payment_unknown")
    del client.headers["Authorization"]
    assert (await client.get("/v1/payments/stripe/pi_1")).status_code == 401
