"""Stripe's settings, and whether it is offered."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from chassis.settings import SettingsError, load
from payments_api.adapters.gateways.stripe.gateway import StripeGateway
from payments_api.application.gateways import GatewayAway, Rate
from payments_api.bootstrap.gateways import stripe_gateway
from payments_api.domain.quotes import Pricing, Terms
from payments_api.settings import PaymentsApiSettings

GIVEN = {
    "database_url": "postgresql://x/y",
    "bus_url": "memory://",
    "service_token": "t",
    "ledger_url": "http://127.0.0.1:1",
    "gateway_ingest_url": "http://127.0.0.1:2",
    "frontend_url": "https://shop.example",
}
PRICING = Pricing(Terms("USD/2", "TFC/2", Fraction(1), 3600), {})
DEMO = {"demo_payment": True, "demo_webhook_secret": "s"}
KEY = "sk_live_verysecret"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "PUBLISHABLE_KEY", "CURRENCIES", "API_VERSION", "API_BASE"):
        monkeypatch.delenv(f"STRIPE_{name}", raising=False)


class NoRates:
    """Nobody asks for one while gateways are put together."""

    async def usd_per(self, code: str) -> Rate:
        raise GatewayAway("rates", code)


def settings(**more: Any) -> PaymentsApiSettings:
    return load(PaymentsApiSettings, **GIVEN | more)


async def offered(**more: Any) -> StripeGateway | None:
    gateway = stripe_gateway(settings(**more), PRICING, NoRates())
    if gateway is not None:
        await gateway.close()
    return gateway


@pytest.mark.asyncio
async def test_stripe_is_offered_with_a_key_or_by_its_simulator() -> None:
    assert await offered() is None
    assert await offered(**DEMO) is None
    assert await offered(stripe_api_base="http://127.0.0.1:8012/stripe") is None
    real = await offered(stripe_secret_key="sk_test_ours", stripe_publishable_key="pk_test_x", **DEMO)
    assert real is not None
    assert (real.is_demo, real.describe()["publishable_key"]) == (False, "pk_test_x")
    simulated = await offered(stripe_api_base="http://127.0.0.1:8012/stripe", **DEMO)
    assert simulated is not None
    assert simulated.is_demo


def test_a_live_key_is_not_for_where_anybody_signs_in() -> None:
    for open_to_all in (DEMO, {"demo_sign_in": True}):
        with pytest.raises(SettingsError, match="live key") as wrong:
            settings(stripe_secret_key=KEY, **open_to_all)
        assert KEY not in str(wrong.value)
    assert not settings(stripe_secret_key=KEY, demo_sign_in=False).signs_anybody_in


@pytest.mark.asyncio
async def test_other_currencies_have_the_smallest_unit_that_stripe_counts() -> None:
    plain = await offered(stripe_secret_key=KEY)
    assert plain is not None
    assert plain.assets == {"USD": "USD/2"}
    more = await offered(stripe_secret_key=KEY, stripe_currencies="EUR, JPY,KWD")
    assert more is not None
    assert more.assets == {"USD": "USD/2", "EUR": "EUR/2", "JPY": "JPY/0", "KWD": "KWD/3"}
    with pytest.raises(SettingsError, match="STRIPE_CURRENCIES"):
        settings(stripe_currencies="eur")


@pytest.mark.parametrize(
    ("base", "fits"),
    [
        ("http://127.0.0.1:12111", True),
        ("https://stripe.example", True),
        ("http://stripe-mock:12111", False),
    ],
)
def test_a_live_key_is_sent_nowhere_unencrypted(base: str, fits: bool) -> None:
    assert settings(stripe_secret_key="sk_test_x", stripe_api_base=base)
    if fits:
        assert settings(stripe_secret_key=KEY, stripe_api_base=base)
        return
    with pytest.raises(SettingsError) as refused:
        settings(stripe_secret_key=KEY, stripe_api_base=base)
    assert "STRIPE_API_BASE" in str(refused.value)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stripe_publishable_key", KEY),
        ("stripe_api_version", "latest"),
        ("stripe_secret_key", ""),
        ("stripe_api_base", "nowhere"),
    ],
)
def test_what_is_wrong_is_one_line_without_the_value(field: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(**{field: value})
    assert str(refused.value).startswith(f"payments-api: {field.upper()} is wrong")
    assert KEY not in str(refused.value)
