"""Secrets are made once, given ones are used and never stored, and the file is its owner's alone."""

import base64
import stat
from pathlib import Path

import pytest

from chassis.settings import SettingsError
from embedded.kept_secrets import FILE_NAME, MAKERS, keep_secrets

ROLES = ("ledger_owner", "ledger_app")


def test_they_are_made_once(tmp_path: Path) -> None:
    first, again = keep_secrets(tmp_path, {}, ROLES), keep_secrets(tmp_path, {}, ROLES)

    assert (again.variables, again.passwords) == (first.variables, first.passwords)
    assert set(first.variables) == set(MAKERS)
    assert set(first.passwords) == set(ROLES)
    assert len(set(first.variables.values()) | set(first.passwords.values())) == len(MAKERS) + len(ROLES)
    assert len(base64.b64decode(first.variables["RAW_EVENT_KEY"], validate=True)) == 32
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_a_given_one_is_used_and_not_stored(tmp_path: Path) -> None:
    kept = keep_secrets(tmp_path, {"STRIPE_WEBHOOK_SECRET": "whsec_given", "SERVICE_TOKEN": ""}, ROLES)

    assert kept.variables["STRIPE_WEBHOOK_SECRET"] == "whsec_given"
    assert kept.variables["SERVICE_TOKEN"]
    assert "whsec_given" not in (tmp_path / FILE_NAME).read_text()
    assert "whsec_given" not in repr(kept)


def test_a_role_that_comes_later_gets_its_password(tmp_path: Path) -> None:
    first = keep_secrets(tmp_path, {}, ROLES)

    later = keep_secrets(tmp_path, {}, (*ROLES, "bus_app"))

    assert later.passwords["bus_app"]
    assert {role: later.passwords[role] for role in ROLES} == dict(first.passwords)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"SERVICE_TOKEN": 7}', "\x00"])
def test_a_damaged_file_is_one_line_and_stays_as_it_is(content: str, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(content)

    with pytest.raises(SettingsError, match=FILE_NAME):
        keep_secrets(tmp_path, {}, ROLES)

    assert (tmp_path / FILE_NAME).read_text() == content


def test_a_folder_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=FILE_NAME):
        keep_secrets(tmp_path / "missing", {}, ROLES)
