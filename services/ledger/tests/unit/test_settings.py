"""The ledger's own settings, as they reach its decisions."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from ledger.settings import LedgerSettings

MARKETPLACE = Path(__file__).parents[4] / "config/marketplace.toml"


def settings(**chosen: str) -> LedgerSettings:
    return LedgerSettings(
        database_url=SecretStr("postgresql://ledger"),
        bus_url=SecretStr("memory://"),
        service_token=SecretStr("token"),
        marketplace_config=MARKETPLACE,
        **chosen,  # type: ignore[arg-type]
    )


def test_what_was_spent_becomes_debt_unless_told_otherwise() -> None:
    assert not settings().terms().forgives_spent
    assert settings(reversal_of_spent="forgive").terms().forgives_spent
    with pytest.raises(ValidationError):
        settings(reversal_of_spent="forget")


def test_the_name_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVERSAL_OF_SPENT", "forgive")
    assert settings().terms().forgives_spent
