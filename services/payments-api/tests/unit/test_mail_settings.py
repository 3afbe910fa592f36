"""Mail is configured as a whole or not at all, and never sends a password in the open."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from payments_api.settings.mail import MailSettings

SHARED: dict[str, Any] = {
    "database_url": "postgresql://nowhere",
    "bus_url": "memory://",
    "service_token": "t",
    "port": 8000,
}
SERVER = {"smtp_host": "mail.example.org", "mail_from": "Gridledger <billing@example.org>"}
LOGIN = {"smtp_user": "billing", "smtp_password": "a-secret"}


def settings(**given: Any) -> MailSettings:
    return MailSettings(**SHARED | given)


def test_there_is_no_mail_unless_it_is_configured() -> None:
    assert (settings().smtp_host, settings().tax_rate, settings().smtp_tls) == (None, Decimal(0), "starttls")


@pytest.mark.parametrize(
    "given",
    [
        SERVER,
        SERVER | LOGIN,
        SERVER | LOGIN | {"smtp_tls": "tls"},
        SERVER | LOGIN | {"smtp_tls": "none", "smtp_host": "127.0.0.1"},
        SERVER | {"smtp_tls": "none"},
        SERVER | {"mail_from": "billing@example.org"},
        {"seller_name": "Søren & Söhne", "seller_address": "1 Road\nZürich", "tax_rate": "0.18"},
    ],
)
def test_what_is_taken(given: dict[str, Any]) -> None:
    taken = settings(**given)
    assert {name: str(getattr(taken, name)) for name in given if name != "smtp_password"} == {
        name: str(value) for name, value in given.items() if name != "smtp_password"
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"smtp_host": "mail.example.org"}, "SMTP_HOST needs MAIL_FROM"),
        (SERVER | {"mail_from": "nobody"}, "MAIL_FROM is wrong"),
        (SERVER | {"mail_from": "a@example.org, b@example.org"}, "MAIL_FROM is wrong"),
        (SERVER | {"mail_from": "a@example.org\r\nBcc: b@example.org"}, "MAIL_FROM is wrong"),
        (SERVER | {"smtp_user": "billing"}, "belong together"),
        (SERVER | {"smtp_password": "a-secret"}, "belong together"),
        (SERVER | LOGIN | {"smtp_tls": "none"}, "would send SMTP_PASSWORD unencrypted"),
        (SERVER | {"smtp_tls": "perhaps"}, "smtp_tls"),
        ({"tax_rate": "1"}, "tax_rate"),
        ({"tax_rate": "-0.1"}, "tax_rate"),
        ({"seller_name": "李雷"}, "SELLER_NAME has letters"),
        ({"seller_address": "Łódź"}, "SELLER_ADDRESS has letters"),
        ({"receipt_font": "nowhere.ttf"}, "RECEIPT_FONT is not a file"),
    ],
)
def test_what_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**given)
    assert said in str(refused.value)
    assert "a-secret" not in str(refused.value)


def test_a_font_of_ones_own_has_all_letters(tmp_path: Path) -> None:
    font = tmp_path / "font.ttf"
    font.touch()
    assert settings(seller_name="李雷", receipt_font=font).seller_name == "李雷"
