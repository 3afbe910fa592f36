"""Settings that do not go together are refused before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.settings import SettingsError, load
from payments_api.settings import PaymentsApiSettings

GIVEN = {
    "database_url": "postgresql://nowhere/x",
    "bus_url": "memory://",
    "service_token": "token",
    "ledger_url": "http://127.0.0.1:8002",
    "gateway_ingest_url": "http://127.0.0.1:8001",
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEDGER_URL", "DEMO_PAYMENT", "DEMO_WEBHOOK_SECRET", "HOST", "PORT", "SETTINGS_FILE"):
        monkeypatch.delenv(name, raising=False)


def settings(**changed: Any) -> PaymentsApiSettings:
    return load(PaymentsApiSettings, **GIVEN | changed)


def test_the_ordinary_case() -> None:
    read = settings(demo_payment=True, demo_webhook_secret="s")
    assert (read.port, str(read.demo_gateway_url)) == (8000, "http://127.0.0.1:8010/")


def test_demo_mode_needs_its_secret() -> None:
    with pytest.raises(SettingsError, match="DEMO_WEBHOOK_SECRET"):
        settings(demo_payment=True)


def test_demo_mode_stays_on_the_loopback() -> None:
    with pytest.raises(SettingsError, match="DEMO_PAYMENT"):
        settings(demo_payment=True, demo_webhook_secret="s", host="0.0.0.0")  # noqa: S104


def test_anybody_signs_in_where_that_is_meant() -> None:
    assert not settings().signs_anybody_in
    assert settings(demo_payment=True, demo_webhook_secret="s").signs_anybody_in
    assert settings(demo_sign_in=True).signs_anybody_in
    assert not settings(demo_payment=True, demo_webhook_secret="s", demo_sign_in=False).signs_anybody_in
    with pytest.raises(SettingsError, match="DEMO_SIGN_IN"):
        settings(demo_sign_in=True, host="0.0.0.0")  # noqa: S104
    assert settings(demo_sign_in=True, host="0.0.0.0", demo_payment_allow_public=True).signs_anybody_in  # noqa: S104


def test_a_missing_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without = {name: value for name, value in GIVEN.items() if name != "ledger_url"}
    with pytest.raises(SettingsError, match="LEDGER_URL is not set"):
        load(PaymentsApiSettings, **without)
