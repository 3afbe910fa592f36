"""A stack that nothing was set up on offers every gateway, and each flow can be tried on a page of ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from testkit.waiting_for import eventually

from .contract import PATIENCE_S

pytestmark = pytest.mark.e2e
BITCOIN = {"currency": "BTC", "network": "Bitcoin"}
TOKEN = {"currency": "USDC", "network": "Polygon"}


class Trier:
    """Somebody who tries a way to pay."""

    def __init__(self, person: Any) -> None:
        self.person = person

    async def begins(self, gateway: str, amount: str, **more: Any) -> dict[str, Any]:
        body = {"gateway": gateway, "amount": amount, "currency": "USD", **more}
        url = f"{self.person.stack.url('payments-api')}/api/payments/initiate"
        answer = await self.person.http.post(url, json=body, headers=self.person.signed_in)
        assert answer.status_code == 200, answer.text
        begun: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
        return begun

    async def does(self, payment: Mapping[str, Any], **form: str) -> None:
        """On the payment's page."""
        shown = await self.person.http.get(payment["payment_url"], headers={"accept": "text/html"})
        assert payment["reference"] in shown.text
        answer = await self.person.http.post(payment["payment_url"], data=form)
        assert answer.status_code == 200, answer.text

    async def sees(self, payment: Mapping[str, Any], *statuses: str) -> dict[str, Any]:
        async def reached() -> dict[str, Any]:
            shown: dict[str, Any] = await self.person.get(f"/api/payments/{payment['payment_id']}")
            assert shown["status"] in statuses, shown["status"]
            return shown

        return await eventually(reached, PATIENCE_S)


@pytest_asyncio.fixture
async def trier(visitor: Any) -> AsyncIterator[Trier]:
    yield Trier(visitor)

    async def is_proven() -> bool:
        # While news still come, the journal may be behind: the wallets are then not compared at all.
        balance = await visitor.ledger("/trial-balance")
        assert (balance["balanced"], balance["wallets_off"]) == (True, [])
        return True

    await eventually(is_proven, PATIENCE_S)


@pytest.mark.asyncio
async def test_every_gateway_is_offered_and_says_that_it_is_a_demo(trier: Trier) -> None:
    listed = (await trier.person.get("/api/payments/gateways"))["gateways"]
    assert {one["name"]: one["demo"] for one in listed} == dict.fromkeys(
        ("demo", "stripe", "clickpesa", "crypto", "bank"), True
    )


@pytest.mark.asyncio
async def test_a_bank_transfer_arrives_in_two_pieces(trier: Trier) -> None:
    payment = await trier.begins("bank", "1000")
    assert "takes no money" in payment["bank_name"]
    await trier.does(payment, outcome="arrived", arrived="400")
    await trier.sees(payment, "underpaid")
    await trier.person.balance_becomes("400.00")
    await trier.does(payment, outcome="arrived", arrived="600")
    await trier.sees(payment, "confirmed")
    await trier.person.balance_becomes("1000.00")


@pytest.mark.asyncio
async def test_a_bank_transfer_that_never_comes_is_rejected(trier: Trier) -> None:
    payment = await trier.begins("bank", "1000")
    await trier.does(payment, outcome="rejected")
    shown = await trier.sees(payment, "failed")
    assert shown["failure_reason"] == "Rejected at the demo's bank"


@pytest.mark.asyncio
async def test_coins_get_their_blocks_and_are_credited(trier: Trier) -> None:
    payment = await trier.begins("crypto", "30", crypto=BITCOIN)
    assert payment["wallet_address"].startswith("tb1q")
    await trier.does(payment, outcome="sent")
    await trier.sees(payment, "pending", "confirmed")
    shown = await trier.sees(payment, "confirmed")
    assert (shown["confirmations"], shown["confirmations_required"]) == (2, 2)
    await trier.person.balance_becomes("30.00")
    assert any(entry["status"] == "pending" for entry in shown["history"])


@pytest.mark.asyncio
async def test_a_token_that_a_fork_takes_back_takes_its_credits_with_it(trier: Trier) -> None:
    payment = await trier.begins("crypto", "30", crypto=TOKEN)
    await trier.does(payment, outcome="lost")
    shown = await trier.sees(payment, "refunded")
    assert shown["confirmation_status"] == "Reorganized"
    await trier.person.balance_becomes("0.00")
