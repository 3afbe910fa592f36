"""Which gateways are simulated: in demo mode those without keys, each under its path, where there is a secret."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from chassis.clock import ManualClock
from chassis.ids import SequenceIds
from chassis.settings import SettingsError
from embedded.gateway_simulators.mounting import mount_simulators
from embedded.kept_secrets import keep_secrets
from embedded.programs import SERVICES, programs, service_environment
from embedded.provisioning import DatabaseAccess
from embedded.stack_settings import read_settings

SECRETS = {"STRIPE_WEBHOOK_SECRET": "whsec_new, whsec_old", "CLICKPESA_WEBHOOK_SECRET": "CHKnew,CHKold"}
INGEST = {"GATEWAY_INGEST_URL": "http://127.0.0.1:1"}
BANK = {"DEMO_WEBHOOK_SECRET": "demo", "PAYMENTS_API_URL": "http://127.0.0.1:1", "ADMIN_TOKEN": "operator"}
COINS = {"DEMO_WEBHOOK_SECRET": "demo", "SERVICE_TOKEN": "service"}
ADDRESSES = ("STRIPE_API_BASE", "CLICKPESA_BASE_URL", "BANK_DEMO_URL", "CRYPTO_DEMO_URL")


def told(tmp_path: Path, **given: str) -> dict[str, str]:
    """The addresses that payments-api is told."""
    (tmp_path / "marketplace.toml").touch()
    environment = {"MARKETPLACE_CONFIG": str(tmp_path / "marketplace.toml"), **given}
    settings = read_settings(environment, tmp_path)
    kept = keep_secrets(tmp_path, environment, ())
    access = DatabaseAccess("x", "owner", "app", "postgresql://x/owner", "postgresql://x/app")
    made = service_environment(settings, kept, access, "memory://", "payments-api")
    return {name: made[name] for name in ADDRESSES if name in made}


def test_what_has_a_key_is_not_simulated_and_nothing_is_outside_of_the_demo(tmp_path: Path) -> None:
    stripe = {"STRIPE_API_BASE": "http://127.0.0.1:8010/stripe"}
    clickpesa = {"CLICKPESA_BASE_URL": "http://127.0.0.1:8010/clickpesa"}
    bank = {"BANK_DEMO_URL": "http://127.0.0.1:8010/bank"}
    coins = {"CRYPTO_DEMO_URL": "http://127.0.0.1:8010/coins"}
    assert told(tmp_path) == stripe | clickpesa | bank | coins
    assert told(tmp_path, CLICKPESA_API_SECRET="k", CLICKPESA_CLIENT_ID="c") == stripe | bank | coins
    assert told(tmp_path, STRIPE_SECRET_KEY="sk_test_x", CLICKPESA_API_SECRET="") == clickpesa | bank | coins
    assert told(tmp_path, BANK_ACCOUNT_NUMBER="1", CRYPTO_EVM_XPUB="xpub") == stripe | clickpesa
    assert told(tmp_path, BANK_ACCOUNT_NUMBER="1", CRYPTO_BTC_XPUB="zpub") == stripe | clickpesa
    assert told(tmp_path, DEMO_PAYMENT="false") == {}


@pytest.mark.asyncio
@pytest.mark.parametrize("left_out", [None, "STRIPE_WEBHOOK_SECRET", "CLICKPESA_WEBHOOK_SECRET"])
async def test_a_simulator_stands_under_its_path_where_there_is_a_secret(left_out: str | None) -> None:
    app = FastAPI()
    environment = INGEST | {name: secret for name, secret in SECRETS.items() if name != left_out}
    simulators = mount_simulators(app, environment, "http://demo.local/", ManualClock(), SequenceIds())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://demo") as http:
        found = {path: (await http.get(f"/{path}/pay/nothing")).text for path in ("stripe", "clickpesa")}
    await simulators.close()
    assert ("Nothing to pay" in found["clickpesa"]) == (left_out != "CLICKPESA_WEBHOOK_SECRET")
    assert ("<!doctype html>" in found["stripe"]) == (left_out != "STRIPE_WEBHOOK_SECRET")


@pytest.mark.asyncio
@pytest.mark.parametrize("left_out", [None, *BANK, "SERVICE_TOKEN"])
async def test_bank_and_chains_stand_where_there_is_a_token_to_show(left_out: str | None) -> None:
    app = FastAPI()
    environment = INGEST | {name: value for name, value in (BANK | COINS).items() if name != left_out}
    simulators = mount_simulators(app, environment, "http://demo.local/", ManualClock(), SequenceIds())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://demo") as http:
        found = {path: "Not a payment" in (await http.get(f"/{path}/pay")).text for path in ("bank", "coins")}
    await simulators.close()
    assert found == {"bank": left_out in (None, "SERVICE_TOKEN"), "coins": left_out in (None, *list(BANK)[1:])}


def test_the_simulators_process_is_given_what_it_signs_and_shows(tmp_path: Path) -> None:
    (tmp_path / "marketplace.toml").touch()
    environment = {"MARKETPLACE_CONFIG": str(tmp_path / "marketplace.toml")}
    settings, kept = read_settings(environment, tmp_path), keep_secrets(tmp_path, environment, ())
    every = programs(settings, kept, {service: {} for service in SERVICES})
    (given,) = [process.environment for process in every if process.name == "demo-gateway"]
    assert given["PAYMENTS_API_URL"] == "http://127.0.0.1:8000"
    for name in {*BANK, *COINS, *SECRETS} - {"PAYMENTS_API_URL"}:
        assert given[name] == kept.variables[name]


def test_without_somebody_to_tell_there_is_no_simulator() -> None:
    with pytest.raises(SettingsError, match="GATEWAY_INGEST_URL"):
        mount_simulators(FastAPI(), SECRETS, "http://demo.local", ManualClock(), SequenceIds())
