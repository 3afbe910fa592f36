"""Bank and coins in demo mode: only there, only where nothing is set up, and with keys of this installation alone."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from chassis.settings import load
from payments_api.adapters.gateways.bank import BankAccount, BankGateway
from payments_api.adapters.gateways.crypto.addresses import validate_address
from payments_api.adapters.gateways.crypto.demo_account import demo_keys
from payments_api.adapters.gateways.demo_page import DemoPage
from payments_api.application.gateways import PayRequest
from payments_api.bootstrap.demo_gateways import DEMO_COINS, DEMO_RATES, demo_bank, demo_crypto
from payments_api.domain.crypto_networks import NETWORKS
from payments_api.domain.quotes import Pricing, Terms
from payments_api.settings import PaymentsApiSettings

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PRICING = Pricing(Terms("USD/2", "TFC/2", Fraction(1), 3600), {})
DEMO = {
    "demo_payment": True,
    "demo_webhook_secret": "demo-secret",
    "bank_demo_url": "http://127.0.0.1:8010/bank",
    "crypto_demo_url": "http://127.0.0.1:8010/coins",
}
GIVEN = {
    "database_url": "postgresql://nowhere/x",
    "bus_url": "memory://",
    "service_token": "token",
    "ledger_url": "http://127.0.0.1:8002",
    "gateway_ingest_url": "http://127.0.0.1:8001",
}

SIGNATURE = "f4010418583f88b0bb2d6a45701b346a343ae7fc16bb6482087aea28d4370152"
"""Of the bank's page below; the tests of the demo's bank hold the same."""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*GIVEN, *DEMO, "settings_file", "fixed_rates", "bank_minimum_usd"):
        monkeypatch.delenv(name.upper(), raising=False)


def settings(**changed: Any) -> PaymentsApiSettings:
    return load(PaymentsApiSettings, **GIVEN | DEMO | changed)


def test_they_are_offered_in_demo_mode_where_their_pages_are_told() -> None:
    pool: Any = None
    bank, coins = demo_bank(settings(), PRICING), demo_crypto(settings(), pool, PRICING)
    assert bank is not None
    assert coins is not None
    assert (bank.is_demo, coins.is_demo) == (True, True)
    for without in ({"demo_payment": False}, {"bank_demo_url": None, "crypto_demo_url": None}):
        assert demo_bank(settings(**without), PRICING) is None
        assert demo_crypto(settings(**without), pool, PRICING) is None


def test_an_account_of_ours_is_no_demo() -> None:
    account = BankAccount("Bank of Tests", "Gridledger Ltd", "DE02", "BYLADEM1001")
    assert not BankGateway(account, PRICING, "https://shop.test", minimum=1, quote_lifetime_s=3600).is_demo


@pytest.mark.asyncio
async def test_the_bank_says_that_it_is_none_and_leads_to_its_page() -> None:
    bank = demo_bank(settings(), PRICING)
    assert bank is not None
    request = PayRequest("p1", "GL123", "alice", "USD/2", 100_050)
    opened = await bank.initiate(request, await bank.quote(request, NOW))
    assert "takes no money" in opened.details["bank_name"]
    page = urlsplit(opened.payment_url)
    assert (page.netloc, page.path) == ("127.0.0.1:8010", "/bank/pay")
    # The demo gateway's own tests hold the same parameters and the way they are signed.
    parameters = dict(parse_qsl(str(page.query)))
    assert list(parameters) == ["payment_id", "reference", "amount", "asset", "signature"]
    assert (parameters["amount"], parameters["asset"]) == ("100050", "USD/2")


def test_addresses_of_pages_are_signed_in_their_order() -> None:
    page = DemoPage("http://demo/bank/", b"demo-secret")
    parameters: dict[str, str | int] = {"payment_id": "p1", "reference": "GL123", "amount": 100_050, "asset": "USD/2"}
    assert page.address(parameters).partition("&signature=")[0] == (
        "http://demo/bank/pay?payment_id=p1&reference=GL123&amount=100050&asset=USD%2F2"
    )
    assert page.address(parameters).endswith(f"&signature={SIGNATURE}")
    assert "demo-secret" not in repr(page)


def test_keys_are_those_of_the_installation() -> None:
    keys = demo_keys(b"demo-secret")
    again, other = demo_keys(b"demo-secret"), demo_keys(b"another")
    bitcoin, evm = keys["bitcoin"].address(0), keys["evm"].address(0)
    assert (again["bitcoin"].address(0), again["evm"].address(0)) == (bitcoin, evm)
    assert other["bitcoin"].address(0) != bitcoin
    assert other["evm"].address(0) != evm
    assert keys["bitcoin"].key_id != keys["evm"].key_id
    assert validate_address(NETWORKS["bitcoin"], bitcoin, "test").kind == "p2wpkh"
    assert not keys["evm"].receiving.is_private


def test_no_wallet_takes_them_for_coins_of_main_networks() -> None:
    assert {coin.code for coin in DEMO_COINS} == set(DEMO_RATES)
    for coin in DEMO_COINS:
        main = NETWORKS[coin.network.key].chain_id
        assert main is None or coin.network.chain_id not in (None, main)
