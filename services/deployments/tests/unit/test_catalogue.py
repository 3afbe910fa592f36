"""The catalogue's file: the shipped one is read, a wrong one is one clear line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from chassis.settings import SettingsError
from deployments.adapters.catalogue import read_catalogue

SHIPPED = Path(__file__).resolve().parents[4] / "config" / "marketplace.toml"


def test_the_shipped_file() -> None:
    catalogue = read_catalogue(SHIPPED)
    spec = catalogue.spec_of("web-server")
    assert catalogue.commission_rate == Decimal("0.10")
    assert spec == {"kind": "vm", "cpu": 2, "memory_mb": 4096, "disk_gb": 50, "public_ip": True}
    assert catalogue.spec_of("castle") is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[marketplace]\ncommission_rate = 0.1", "commission_rate: Value error, write the rate as a string"),
        ('[marketplace]\ncommission_rate = "1.5"', "marketplace.commission_rate"),
        ('[[services]]\nid = "a"', "services.0.grid"),
        ('[[services]]\nid = "a"\ngrid = { cpu = 1.5 }', "services.0.grid"),
        ('[[services]]\nid = "a"\ngrid = {}\n[[services]]\nid = "a"\ngrid = {}', "two services"),
        ("[[[", "is not TOML"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "marketplace.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match="MARKETPLACE_CONFIG") as refusal:
        read_catalogue(file)
    assert fault in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        read_catalogue(tmp_path / "none.toml")


def test_the_default_rate_is_a_tenth(tmp_path: Path) -> None:
    file = tmp_path / "marketplace.toml"
    file.write_text("")
    assert read_catalogue(file).commission_rate == Decimal("0.10")
