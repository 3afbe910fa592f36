"""The payment page's address. The expected signature is fixed: the demo gateway's tests verify the same one."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from urllib.parse import parse_qsl, urlsplit

import pytest

from chassis.errors import InvalidField
from payments_api.adapters.gateways.demo import DemoGateway
from payments_api.application.gateways import CannotRefund, PayRequest, RefundRequest
from payments_api.domain.quotes import PackageTerms, Pricing, QuoteRefused, Terms

SIGNATURE = "01aa16709583aef1a991cf14c3664f49d84e3aca8811ca0c925faf2b116ac401"
NOW = datetime(2026, 5, 1, tzinfo=UTC)
TERMS = Terms("USD/2", "TFC/2", Fraction(1), 3600)
PRICING = Pricing(TERMS, {"standard": PackageTerms(5000, 5000, 250)})
GATEWAY = DemoGateway("http://127.0.0.1:8010/", b"demo-secret", PRICING)


def asked(asset: str = "USD/2", price: int = 2500, package_id: str | None = None) -> PayRequest:
    return PayRequest("p1", "GL123", "a.b-c_d", asset, price, package_id)


@pytest.mark.asyncio
async def test_the_address_is_signed_over_its_parameters() -> None:
    opened = await GATEWAY.initiate(asked(), await GATEWAY.quote(asked(), NOW))
    address = urlsplit(opened.payment_url)
    assert (address.netloc, address.path, opened.gateway_payment_id) == ("127.0.0.1:8010", "/pay", "p1")
    assert dict(parse_qsl(str(address.query))) == {
        "payment_id": "p1",
        "reference": "GL123",
        "user_id": "a.b-c_d",
        "amount": "2500",
        "currency": "usd",
        "signature": SIGNATURE,
    }


@pytest.mark.asyncio
async def test_it_takes_dollars_and_packages() -> None:
    assert (await GATEWAY.quote(asked(), NOW)).credits == 2500
    package = await GATEWAY.quote(asked(price=5000, package_id="standard"), NOW)
    assert (package.credits, package.bonus) == (5000, 250)
    with pytest.raises(InvalidField, match="USD"):
        await GATEWAY.quote(asked("TZS/0"), NOW)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (asked(price=4999, package_id="standard"), "amount"),
        (asked(package_id="huge"), "package_id"),
        (asked(price=0), "amount"),
    ],
)
@pytest.mark.asyncio
async def test_what_cannot_be_promised_is_named(request_: PayRequest, field: str) -> None:
    with pytest.raises(QuoteRefused) as refused:
        await GATEWAY.quote(request_, NOW)
    assert refused.value.field == field


@pytest.mark.asyncio
async def test_there_is_nothing_to_refund() -> None:
    with pytest.raises(CannotRefund):
        await GATEWAY.refund(RefundRequest("rf-1", "p1", "GL123", "USD/2", 100, "why"))
