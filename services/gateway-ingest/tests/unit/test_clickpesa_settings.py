"""When ClickPesa can be heard: a checksum key to prove by, and keys, or a simulator, to ask with."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from chassis.settings import SettingsError, load
from gateway_ingest.bootstrap.gateways import PATHS, clickpesa_api, gateways
from gateway_ingest.settings import IngestSettings

GIVEN = {
    "database_url": "postgresql://x/y",
    "bus_url": "memory://",
    "service_token": "t",
    "port": 8001,
    "raw_event_key": base64.b64encode(bytes(32)).decode(),
}
KEYS = {"clickpesa_client_id": "client", "clickpesa_api_secret": "verysecret"}
CHECKSUM = {"clickpesa_webhook_secret": "CHKa,CHKb"}
SIMULATOR = {"clickpesa_base_url": "http://127.0.0.1:8012/clickpesa"}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLIENT_ID", "API_SECRET", "WEBHOOK_SECRET", "BASE_URL"):
        monkeypatch.delenv(f"CLICKPESA_{name}", raising=False)


def settings(**more: Any) -> IngestSettings:
    return load(IngestSettings, **GIVEN | more)


@pytest.mark.parametrize(
    ("given", "is_heard"),
    [
        ({}, False),
        (KEYS, False),
        (CHECKSUM, False),
        (CHECKSUM | SIMULATOR, False),
        (CHECKSUM | {"demo_payment": True}, False),
        (KEYS | CHECKSUM, True),
        (CHECKSUM | SIMULATOR | {"demo_payment": True}, True),
    ],
)
def test_it_is_heard_when_it_can_be_proven_and_asked(given: dict[str, Any], is_heard: bool) -> None:
    heard = gateways(settings(**given))["clickpesa"]
    assert heard.configured is is_heard
    assert set(heard.paths) <= set(PATHS)
    if is_heard:
        assert heard.ask is not None


def test_without_a_checksum_key_the_list_can_still_be_had() -> None:
    assert clickpesa_api(settings(**KEYS)) is not None
    assert clickpesa_api(settings()) is None


def test_keys_are_sent_nowhere_unencrypted() -> None:
    with pytest.raises(SettingsError, match="unencrypted") as refused:
        settings(**KEYS, clickpesa_base_url="http://clickpesa.example")
    assert "verysecret" not in str(refused.value)
    assert settings(**KEYS, **SIMULATOR)
