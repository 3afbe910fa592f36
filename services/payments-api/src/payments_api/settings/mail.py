"""Mail's and receipts' block: the server that takes our mail, and who sells."""

from __future__ import annotations

from decimal import Decimal
from email.errors import MessageError
from email.headerregistry import AddressHeader, HeaderRegistry
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from chassis.settings import ServiceSettings, is_loopback

_Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=140, pattern=r"^[^\x00-\x1f]+$")
]


class MailSettings(ServiceSettings):
    """Without SMTP_HOST no mail is written or sent; receipts are made nevertheless."""

    smtp_host: Annotated[str | None, Field(min_length=1, description="The server that takes our mail")] = None
    smtp_port: Annotated[int, Field(ge=1, le=65535, description="Its port: 587 for starttls, 465 for tls")] = 587
    smtp_user: Annotated[str | None, Field(min_length=1, description="Who we are there")] = None
    smtp_password: Annotated[SecretStr | None, Field(min_length=1, description="The password of SMTP_USER")] = None
    smtp_tls: Annotated[
        Literal["none", "starttls", "tls"], Field(description="How the way there is encrypted; never less than this")
    ] = "starttls"
    smtp_timeout_s: Annotated[float, Field(gt=0, le=30, description="How long handing over one mail may take")] = 20.0
    mail_from: Annotated[
        str | None, Field(max_length=254, description="Sender, such as Gridledger <billing@example.org>")
    ] = None
    seller_name: Annotated[_Line, Field(description="Who sells, as receipts say it")] = "Gridledger"
    seller_address: Annotated[
        str, Field(max_length=500, pattern=r"^[^\x00]*$", description="The seller's address; lines end with a newline")
    ] = ""
    seller_tax_id: Annotated[_Line | None, Field(description="The seller's tax or VAT number")] = None
    tax_rate: Annotated[
        Decimal, Field(ge=0, lt=1, decimal_places=6, description="Tax that prices include, 0.18 for 18 %")
    ] = Decimal(0)
    receipt_font: Annotated[
        Path | None, Field(description="A TrueType font for receipts, for letters beyond Western European ones")
    ] = None

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Self:
        if self.smtp_host is not None and self.mail_from is None:
            raise ValueError("SMTP_HOST needs MAIL_FROM")
        if self.mail_from is not None and not _is_one_address(self.mail_from):
            raise ValueError("MAIL_FROM is wrong: it must be one address, such as Gridledger <billing@example.org>")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("SMTP_USER and SMTP_PASSWORD belong together")
        return self

    @model_validator(mode="after")
    def _a_password_stays_secret(self) -> Self:
        if self.smtp_password is None or self.smtp_tls != "none" or is_loopback(self.smtp_host or ""):
            return self
        raise ValueError("SMTP_TLS=none would send SMTP_PASSWORD unencrypted; use starttls or tls")

    @model_validator(mode="after")
    def _receipts_can_be_written(self) -> Self:
        if self.receipt_font is not None:
            if not self.receipt_font.is_file():
                raise ValueError("RECEIPT_FONT is not a file")
            return self
        for name in ("seller_name", "seller_address", "seller_tax_id"):
            if not _is_western(getattr(self, name) or ""):
                raise ValueError(f"{name.upper()} has letters that the built-in font lacks; set RECEIPT_FONT")
        return self


def _is_one_address(text: str) -> bool:
    try:
        header = HeaderRegistry()("To", text)
    except (MessageError, ValueError):
        return False
    assert isinstance(header, AddressHeader)
    return not header.defects and len(header.addresses) == 1 and bool(header.addresses[0].domain)


def _is_western(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
