"""Coins beside their payments: whether a text is an address, and how far a wallet must look for what came."""

from __future__ import annotations

import pytest

from .conftest import OpenShop, Shop, exact
from .payment_story import initiate
from .test_crypto_gateway import (
    BITCOIN,
    BITCOIN_ADDRESSES,
    EVM_ADDRESSES,
    EVM_XPUB,
    ZPUB,
    Market,
    address_of,
    asked,
    gateway_on,
    offer_it,
    seen,
)

pytestmark = pytest.mark.asyncio


async def test_people_ask_whether_a_text_is_an_address(open_shop: OpenShop) -> None:
    asking = "/api/payments/crypto/validate-address"
    networks = {"CRYPTO_EVM_XPUB": EVM_XPUB, "CRYPTO_BTC_XPUB": ZPUB, "CRYPTO_NETWORKS": "bitcoin,polygon"}
    async with open_shop(**{name.lower(): value for name, value in networks.items()}) as shop:
        question = {"network": "polygon", "address": EVM_ADDRESSES[0].lower()}
        assert (await shop.http.get(asking, params=question)).status_code == 401
        headers = await shop.sign_in()
        valid = await shop.get(asking, headers, params=question)
        assert valid == {"valid": True, "network": "polygon", "kind": "evm", "address": EVM_ADDRESSES[0]}
        question = {"network": "Bitcoin", "address": BITCOIN_ADDRESSES[0]}
        assert (await shop.get(asking, headers, params=question))["kind"] == "p2wpkh"
        question["address"] = BITCOIN_ADDRESSES[0][:-1] + "v"
        mistyped = await shop.get(asking, headers, params=question)
        assert (mistyped["valid"], set(mistyped)) == (False, {"valid", "network", "reason"})
        assert "mistyped" in mistyped["reason"]
        question["address"] = EVM_ADDRESSES[0]
        assert (await shop.get(asking, headers, params=question))["valid"] is False
        for wrong, field in (({"network": "Solana"}, "network"), ({"address": ""}, "address")):
            refused = await shop.http.get(asking, params={**question, **wrong}, headers=headers)
            assert (refused.status_code, exact(refused)["field"]) == (422, field)


async def test_where_no_coins_are_taken_no_address_is_judged(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        headers = await shop.sign_in()
        question = {"network": "bitcoin", "address": BITCOIN_ADDRESSES[0]}
        answer = await shop.http.get("/api/payments/crypto/validate-address", params=question, headers=headers)
        assert (answer.status_code, exact(answer)["code"]) == (404, "unknown_gateway")


async def test_an_operator_sees_how_far_a_wallet_must_look(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        gateway = gateway_on(shop.pool, Market(), gap_limit=7)
        offer_it(shop, gateway)
        headers = await shop.sign_in()
        await gateway.measure_gap()
        assert await _gap(shop) == (0, 0, 7)
        for number in range(3):
            await address_of(gateway, asked(f"p-{number}"))
        used = exact(await initiate(shop, headers, gateway="crypto", crypto=BITCOIN))
        await gateway.measure_gap()
        assert await _gap(shop) == (4, 0, 7)
        await shop.deliver(seen(used))
        await address_of(gateway, asked("p-9"))
        await gateway.measure_gap()
        assert await _gap(shop) == (1, 0, 7)


async def _gap(shop: Shop) -> tuple[int, int, int]:
    """Unused addresses of Bitcoin and of Ethereum's kind, and the limit, as ``/metrics`` shows them."""
    lines = (await shop.http.get("/metrics")).text.splitlines()
    shown = dict(line.rsplit(" ", 1) for line in lines if line.startswith("gridledger_crypto_"))
    families = [f'gridledger_crypto_unused_addresses{{family="{family}"}}' for family in ("bitcoin", "evm")]
    bitcoin, evm, limit = (int(float(shown[name])) for name in (*families, "gridledger_crypto_gap_limit"))
    return bitcoin, evm, limit
