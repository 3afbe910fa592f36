"""ClickPesa's and the rates' settings, whether ClickPesa is offered, and which source answers for which code."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from chassis.clock import ManualClock
from chassis.settings import SettingsError, load
from payments_api.adapters.gateways.clickpesa.gateway import ClickPesaGateway
from payments_api.application.gateways import GatewayAway
from payments_api.bootstrap.clickpesa import clickpesa_api, clickpesa_gateway
from payments_api.bootstrap.rates import rate_source
from payments_api.domain.quotes import Pricing, Terms
from payments_api.settings import PaymentsApiSettings

GIVEN = {
    "database_url": "postgresql://x/y",
    "bus_url": "memory://",
    "service_token": "t",
    "ledger_url": "http://127.0.0.1:1",
    "gateway_ingest_url": "http://127.0.0.1:2",
}
PRICING = Pricing(Terms("USD/2", "TFC/2", Fraction(1), 3600), {})
DEMO = {"demo_payment": True, "demo_webhook_secret": "s"}
KEYS = {"clickpesa_client_id": "client", "clickpesa_api_secret": "verysecret"}
CLOCK = ManualClock()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLIENT_ID", "API_SECRET", "WEBHOOK_SECRET", "BASE_URL"):
        monkeypatch.delenv(f"CLICKPESA_{name}", raising=False)
    monkeypatch.delenv("FIXED_RATES", raising=False)


def settings(**more: Any) -> PaymentsApiSettings:
    return load(PaymentsApiSettings, **GIVEN | more)


async def offered(**more: Any) -> ClickPesaGateway | None:
    read = settings(**more)
    api = clickpesa_api(read, CLOCK, 1.0)
    if api is None:
        return None
    await api.close()
    return clickpesa_gateway(read, api, PRICING, rate_source(read, CLOCK, api))


@pytest.mark.asyncio
async def test_clickpesa_is_offered_with_keys_or_by_its_simulator() -> None:
    assert await offered() is None
    assert await offered(**DEMO) is None
    assert await offered(clickpesa_base_url="http://127.0.0.1:8012/clickpesa") is None
    real = await offered(**KEYS, **DEMO, clickpesa_webhook_secret="CHKa, CHKb")
    assert real is not None
    assert not real.is_demo
    simulated = await offered(clickpesa_base_url="http://127.0.0.1:8012/clickpesa", **DEMO)
    assert simulated is not None
    assert simulated.is_demo


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"clickpesa_client_id": "client"}, "go together"),
        ({"clickpesa_api_secret": "verysecret"}, "go together"),
        (KEYS | {"clickpesa_base_url": "http://clickpesa.example"}, "unencrypted"),
        ({"clickpesa_checksum_method": "md5"}, "CLICKPESA_CHECKSUM_METHOD is wrong"),
        ({"clickpesa_minimum_tzs": 0}, "CLICKPESA_MINIMUM_TZS is wrong"),
        ({"fixed_rates": "BTC"}, "FIXED_RATES is wrong"),
        ({"fixed_rates": "BTC=-1"}, "FIXED_RATES is wrong"),
        ({"coingecko_ids": "eurc"}, "COINGECKO_IDS is wrong"),
        ({"rate_min_sources": 0}, "RATE_MIN_SOURCES is wrong"),
    ],
)
def test_what_is_wrong_is_one_line_without_a_secret(given: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as refused:
        settings(**given)
    assert "verysecret" not in str(refused.value)


@pytest.mark.parametrize("base", ["https://clickpesa.example", "http://127.0.0.1:8012/clickpesa"])
def test_keys_go_encrypted_or_nowhere_far(base: str) -> None:
    assert settings(**KEYS, clickpesa_base_url=base)


@pytest.mark.asyncio
async def test_which_source_answers() -> None:
    fixed = rate_source(settings(fixed_rates="BTC=60000,TZS=0.00038"), CLOCK, None)
    assert ((await fixed.usd_per("BTC")).usd, (await fixed.usd_per("TZS")).usd) == ("60000", "0.00038")
    asked = rate_source(settings(), CLOCK, None)
    with pytest.raises(GatewayAway, match="0 sources know TZS"):
        await asked.usd_per("TZS")
    one = rate_source(settings(kraken_pairs="EURC=EURCUSD"), CLOCK, None)
    with pytest.raises(GatewayAway, match="1 sources know EURC, of 2 needed"):
        await one.usd_per("EURC")
