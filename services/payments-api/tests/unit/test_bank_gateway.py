"""Bank transfer as a way to pay: what is shown, what is refused, how long it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from chassis.errors import InvalidField
from chassis.settings import SettingsError, load
from payments_api.adapters.gateways.bank import BankAccount, BankGateway
from payments_api.application.gateways import AskedPayment, CannotRefund, PayRequest, RefundRequest
from payments_api.bootstrap.gateways import bank_gateway
from payments_api.domain.quotes import PackageTerms, Pricing, QuoteRefused, Terms
from payments_api.settings import PaymentsApiSettings

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PRICING = Pricing(
    Terms("USD/2", "TFC/2", Fraction(1), 3600),
    {"whale": PackageTerms(200_000, 200_000, 20_000), "small": PackageTerms(5_000, 5_000, 0)},
)
ACCOUNT = BankAccount("Bank of Tests", "Gridledger Ltd", "DE02 1203 0000 0000 2020 51", "BYLADEM1001")
GIVEN = {
    "database_url": "postgresql://nowhere/x",
    "bus_url": "memory://",
    "service_token": "token",
    "ledger_url": "http://127.0.0.1:8002",
    "gateway_ingest_url": "http://127.0.0.1:8001",
}
DETAILS = {
    "bank_name": "Bank of Tests",
    "bank_account_name": "Gridledger Ltd",
    "bank_account_number": "123",
    "bank_swift_code": "BYLADEM1001",
}
REQUEST = PayRequest("p-1", "GL0123456789ABCD", "alice", "USD/2", 150_000)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*GIVEN, *DETAILS, "demo_payment", "settings_file", "bank_minimum_usd", "bank_quote_lifetime_s"):
        monkeypatch.delenv(name.upper(), raising=False)


def gateway() -> BankGateway:
    return BankGateway(ACCOUNT, PRICING, "https://shop.test/", minimum=100_000, quote_lifetime_s=7 * 86_400)


def settings(**changed: Any) -> PaymentsApiSettings:
    return load(PaymentsApiSettings, **GIVEN | changed)


@pytest.mark.asyncio
async def test_a_person_is_told_where_to_transfer_what_and_what_to_write() -> None:
    bank = gateway()
    quote = await bank.quote(REQUEST, NOW)
    assert (quote.price_asset, quote.price, quote.credits) == ("USD/2", 150_000, 150_000)
    assert quote.expires_at == NOW + timedelta(days=7)
    opened = await bank.initiate(REQUEST, quote)
    assert opened.payment_url == "https://shop.test/payments/p-1/bank"
    assert opened.gateway_payment_id is None
    message = opened.details["message"]
    assert dict(opened.details) == {
        "bank_name": ACCOUNT.bank_name,
        "account_name": ACCOUNT.account_name,
        "account_number": ACCOUNT.account_number,
        "swift_code": ACCOUNT.swift_code,
        "message": message,
    }
    assert "1500.00 USD" in message
    assert REQUEST.reference in message


@pytest.mark.asyncio
async def test_a_package_keeps_its_bonus() -> None:
    quote = await gateway().quote(replace(REQUEST, price=200_000, package_id="whale"), NOW)
    assert (quote.credits, quote.bonus, quote.expires_at) == (200_000, 20_000, NOW + timedelta(days=7))


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
        ({"price": 99_999}, "amount", "below_minimum"),
        ({"price": 5_000, "package_id": "small"}, "amount", "below_minimum"),
        ({"asset": "TZS/0"}, "currency", "unknown_currency"),
    ],
)
@pytest.mark.asyncio
async def test_what_it_does_not_take(changed: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidField) as refused:
        await gateway().quote(replace(REQUEST, **changed), NOW)
    assert (refused.value.field, refused.value.code) == (field, code)
    if code == "below_minimum":
        assert "1000.00 USD" in refused.value.title


@pytest.mark.asyncio
async def test_the_minimum_itself_is_taken_and_a_package_has_its_price() -> None:
    assert (await gateway().quote(replace(REQUEST, price=100_000), NOW)).price == 100_000
    with pytest.raises(QuoteRefused, match="package's price"):
        await gateway().quote(replace(REQUEST, package_id="whale"), NOW)


@pytest.mark.asyncio
async def test_a_bank_is_not_asked_and_sends_nothing_back() -> None:
    assert await gateway().status(AskedPayment("p-1", "GL", "alice", None, "USD/2", 1)) == ()
    with pytest.raises(CannotRefund):
        await gateway().refund(RefundRequest("r", "bt-1", "GL", "USD/2", 1, "sorry"))


def test_it_is_offered_once_an_account_is_set_and_not_before() -> None:
    assert bank_gateway(settings(), PRICING) is None
    bank = bank_gateway(settings(**DETAILS, bank_minimum_usd="250.50"), PRICING)
    assert bank is not None
    assert bank.describe() == {"currencies": ["USD"], "minimum": {"amount": "250.50", "currency": "USD"}}


def test_the_minimum_is_a_thousand_dollars_unless_it_is_set() -> None:
    bank = bank_gateway(settings(**DETAILS), PRICING)
    assert bank is not None
    assert bank.describe()["minimum"]["amount"] == "1000.00"


def test_half_an_account_is_refused() -> None:
    half = {name: value for name, value in DETAILS.items() if name != "bank_swift_code"}
    with pytest.raises(SettingsError, match="BANK_SWIFT_CODE"):
        settings(**half)


def test_a_wrong_swift_code_is_refused() -> None:
    with pytest.raises(SettingsError, match="BANK_SWIFT_CODE"):
        settings(**DETAILS | {"bank_swift_code": "not a bic"})
