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
from embedded.programs import service_environment
from embedded.provisioning import DatabaseAccess
from embedded.stack_settings import read_settings

SECRETS = {"STRIPE_WEBHOOK_SECRET": "whsec_new, whsec_old", "CLICKPESA_WEBHOOK_SECRET": "CHKnew,CHKold"}
INGEST = {"GATEWAY_INGEST_URL": "http://127.0.0.1:1"}


def told(tmp_path: Path, **given: str) -> dict[str, str]:
    """The addresses that payments-api is told."""
    (tmp_path / "marketplace.toml").touch()
    environment = {"MARKETPLACE_CONFIG": str(tmp_path / "marketplace.toml"), **given}
    settings = read_settings(environment, tmp_path)
    kept = keep_secrets(tmp_path, environment, ())
    access = DatabaseAccess("x", "owner", "app", "postgresql://x/owner", "postgresql://x/app")
    made = service_environment(settings, kept, access, "memory://", "payments-api")
    return {name: made[name] for name in ("STRIPE_API_BASE", "CLICKPESA_BASE_URL") if name in made}


def test_what_has_a_key_is_not_simulated_and_nothing_is_outside_of_the_demo(tmp_path: Path) -> None:
    stripe = {"STRIPE_API_BASE": "http://127.0.0.1:8010/stripe"}
    clickpesa = {"CLICKPESA_BASE_URL": "http://127.0.0.1:8010/clickpesa"}
    assert told(tmp_path) == stripe | clickpesa
    assert told(tmp_path, CLICKPESA_API_SECRET="k", CLICKPESA_CLIENT_ID="c") == stripe
    assert told(tmp_path, STRIPE_SECRET_KEY="sk_test_x", CLICKPESA_API_SECRET="") == clickpesa
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


def test_without_somebody_to_tell_there_is_no_simulator() -> None:
    with pytest.raises(SettingsError, match="GATEWAY_INGEST_URL"):
        mount_simulators(FastAPI(), SECRETS, "http://demo.local", ManualClock(), SequenceIds())
