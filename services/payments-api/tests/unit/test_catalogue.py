"""The catalogue's file: read exactly, or refused in one clear line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from chassis.settings import SettingsError
from payments_api.adapters.catalogue import read_catalogue

MARKETPLACE = Path(__file__).resolve().parents[4] / "config" / "marketplace.toml"


def written(folder: Path, text: str) -> Path:
    path = folder / "marketplace.toml"
    path.write_text(text)
    return path


def test_the_committed_file_is_read() -> None:
    catalogue = read_catalogue(MARKETPLACE)
    assert catalogue.credit_asset == "TFC/2"
    assert catalogue.terms.rate == 1
    assert catalogue.services["web-server"].price == 1000
    standard = next(package for package in catalogue.packages if package.id == "standard")
    assert (standard.credits, standard.bonus, standard.price, standard.number) == (5000, 250, 5000, 2)


def test_another_credit_has_another_rate(tmp_path: Path) -> None:
    path = written(tmp_path, '[credits]\ncode = "MC"\nexponent = 0\nusd_rate = "0.25"\n')
    catalogue = read_catalogue(path)
    assert (catalogue.credit_asset, catalogue.terms.rate) == ("MC/0", Fraction(4, 100))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[credits]\nusd_rate = 1.0\n", "as a string"),
        ("[credits]\nusd_rate = '0'\n", "greater than 0"),
        ("[[services]]\nid = 'a b'\nname = 'A'\nprice_tfc = '1'\n", "services.0.id"),
        ("[[services]]\nid = 'a'\nname = 'A'\nprice_tfc = '0.001'\n", "decimals"),
        ("[[services]]\nid = 'a'\nname = 'A'\nprice_tfc = '0'\n", "above zero"),
        ("[[services]]\nid = 'a'\nname = 'A'\nprice_tfc = '1'\n" * 2, "stands twice"),
        ("= nothing", "marketplace.toml"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_catalogue(written(tmp_path, text))
    assert says in str(refused.value)
    assert "MARKETPLACE_CONFIG" in str(refused.value)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MARKETPLACE_CONFIG: cannot read"):
        read_catalogue(tmp_path / "nowhere.toml")
