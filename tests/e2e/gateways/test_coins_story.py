"""Coins in life: they come in pieces, as tokens, wait for their blocks, and are gone when their block is.

On the whole running stack and a real Ethereum node; after each test the books balance.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from testkit.chains import Anvil
from testkit.waiting_for import eventually

from .contract import PATIENCE_S, payment_units, unallocated

pytestmark = pytest.mark.e2e
APART_BLOCKS = 12
"""More than a test takes back: what another test paid stays where it is."""


@dataclass
class CoinsPayer:
    """Somebody with coins, and the node that they send them by."""

    person: Any
    node: Anvil
    token: str

    async def begins(self, coin: str = "ETH") -> dict[str, Any]:
        """A payment worth 25 credits."""
        body = {
            "gateway": "crypto",
            "amount": "25",
            "currency": "USD",
            "crypto": {"currency": coin, "network": "ethereum"},
        }
        url = f"{self.person.stack.url('payments-api')}/api/payments/initiate"
        answer = await self.person.http.post(url, json=body, headers=self.person.signed_in)
        assert answer.status_code == 200, answer.text
        begun: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
        return begun

    async def sees(self, payment: dict[str, Any], **expected: Any) -> dict[str, Any]:
        """Wait until the payment is shown so."""

        async def reached() -> dict[str, Any]:
            shown: dict[str, Any] = await self.person.get(f"/api/payments/{payment['payment_id']}")
            assert {name: shown[name] for name in expected} == expected
            return shown

        return await eventually(reached, PATIENCE_S)


@pytest_asyncio.fixture
async def payer(coins_visitor: Any, coins_stack: Any) -> AsyncIterator[CoinsPayer]:
    coins_stack.node.mine(APART_BLOCKS)
    yield CoinsPayer(coins_visitor, coins_stack.node, coins_stack.token)

    async def is_proven() -> bool:
        # While news still come, the journal may be behind: the wallets are then not compared at all.
        balance = await coins_visitor.ledger("/trial-balance")
        assert (balance["balanced"], balance["wallets_off"]) == (True, [])
        return True

    await eventually(is_proven, PATIENCE_S)


@pytest.mark.asyncio
async def test_underpaid_then_topped_up(payer: CoinsPayer) -> None:
    payment = await payer.begins()
    price, address = payment_units(payment), payment["wallet_address"]
    assert (price, payment["amount_crypto"]) == (10**16, Decimal("0.01"))
    payer.node.pay(address, price * 2 // 5)
    payer.node.mine(2)
    await payer.sees(payment, status="underpaid", confirmation_status="Underpaid", credited=Decimal("10.00"))
    await payer.person.balance_becomes("10.00")
    payer.node.pay(address, price - price * 2 // 5)
    payer.node.mine(2)
    shown = await payer.sees(payment, status="confirmed", confirmation_status="Confirmed", credited=Decimal("25.00"))
    assert shown["received"] == payment["price"]
    await payer.person.balance_becomes("25.00")


@pytest.mark.asyncio
async def test_a_confirmation_whose_block_is_lost_and_mined_again(payer: CoinsPayer) -> None:
    payment = await payer.begins()
    transaction = payer.node.pay(payment["wallet_address"], payment_units(payment))
    signed = payer.node.call("eth_getRawTransactionByHash", transaction)
    payer.node.mine(2)
    await payer.sees(payment, status="confirmed")
    await payer.person.balance_becomes("25.00")

    payer.node.fork(3)
    assert payer.node.call("eth_getTransactionReceipt", transaction) is None
    await payer.person.balance_becomes("0.00")
    await payer.sees(
        payment, status="refunded", confirmation_status="Reorganized", confirmations=0, refunded=payment["price"]
    )

    payer.node.call("eth_sendRawTransaction", signed)
    payer.node.mine(2)
    await payer.person.balance_becomes("25.00")
    shown = await payer.sees(payment, status="confirmed", confirmation_status="Confirmed")
    assert (shown["received"], shown["refunded"]) == (payment["price"], 0)


@pytest.mark.asyncio
async def test_nothing_is_credited_before_its_blocks_are_there(payer: CoinsPayer) -> None:
    payment = await payer.begins()
    payer.node.pay(payment["wallet_address"], payment_units(payment))
    await payer.sees(payment, status="pending", confirmation_status="Pending", confirmations=1)
    payer.node.mine(1)
    await payer.sees(payment, status="pending", confirmations=2, confirmations_required=3)
    assert await payer.person.balance() == "0.00"
    payer.node.mine(1)
    await payer.sees(payment, status="confirmed", confirmations=3, credited=Decimal("25.00"))


@pytest.mark.asyncio
async def test_a_token_pays_and_one_that_only_looks_like_it_does_not(payer: CoinsPayer) -> None:
    payment = await payer.begins("TUSD")
    price, address = payment_units(payment), payment["wallet_address"]
    assert (price, payment["token_contract"].lower()) == (25 * 10**18, payer.token.lower())
    before = await unallocated(payer.person, "crypto")
    lookalike = payer.node.deploy_token()
    payer.node.pay_token(lookalike, address, price)
    payer.node.pay_token(payer.token, address, price)
    payer.node.mine(2)
    shown = await payer.sees(payment, status="confirmed", credited=Decimal("25.00"))
    assert shown["received"] == payment["price"]
    await payer.person.balance_becomes("25.00")
    assert await unallocated(payer.person, "crypto") == before


@pytest.mark.asyncio
async def test_coins_that_come_too_late_are_credited_by_their_worth(payer: CoinsPayer) -> None:
    """Told as the watcher tells it, of a block after the price's end: half of the coins, a payment of its own."""
    payment = await payer.begins()
    units = payment_units(payment) // 2
    payment_id = f"ethereum.0x{secrets.token_hex(32)}.0"
    late = datetime.fromisoformat(payment["expires_at"]) + timedelta(seconds=1)
    deposit = {
        "gateway": "crypto",
        "name": f"{payment_id}.confirmed",
        "at": late.isoformat(),
        "observed": {
            "kind": "confirmed",
            "payment_id": payment_id,
            "received": {"units": units, "asset": "ETH/18"},
            "reference": payment["reference"],
        },
    }
    url = f"{payer.person.stack.url('gateway-ingest')}/v1/observations"
    told = await payer.person.http.post(url, json={"observations": [deposit]}, headers=payer.person.operator)
    assert told.status_code == 200, told.text

    await payer.person.balance_becomes("12.50", PATIENCE_S)
    booked = await payer.person.ledger(f"/payments/crypto/{payment_id}")
    assert (booked["user_id"], booked["credits"]) == (payer.person.user_id, "12.50")
    await payer.sees(payment, credited=Decimal("12.50"), received=payment["price"] / 2)


@pytest.mark.asyncio
async def test_each_payment_has_an_address_of_its_own(payer: CoinsPayer) -> None:
    first, second = await payer.begins(), await payer.begins()
    assert first["wallet_address"] != second["wallet_address"]
    assert first["payment_uri"] == f"ethereum:{first['wallet_address']}@31337?value={payment_units(first)}"
    assert first["qr_svg"].startswith("<svg")
    payer.node.pay(second["wallet_address"], payment_units(second))
    payer.node.mine(2)
    await payer.sees(second, status="confirmed")
    await payer.sees(first, status="initiated", credited=None)
