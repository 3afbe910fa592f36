"""Bank's block."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, HttpUrl, StringConstraints, model_validator

from chassis.settings import ServiceSettings

DAY_S = 86_400
_Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=140, pattern=r"^[^\x00-\x1f]+$")
]


class BankSettings(ServiceSettings):
    """Our account, as payers are shown it. Without it bank transfer is not offered, or by a play bank in demo mode."""

    bank_name: Annotated[_Line | None, Field(description="The bank that holds our account")] = None
    bank_account_name: Annotated[_Line | None, Field(description="Whose account it is: the payee's name")] = None
    bank_account_number: Annotated[_Line | None, Field(description="The account's number or IBAN")] = None
    bank_swift_code: Annotated[
        str | None,
        Field(pattern=r"^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$", description="The bank's BIC (SWIFT code)"),
    ] = None
    bank_minimum_usd: Annotated[
        Decimal, Field(gt=0, le=1_000_000, decimal_places=2, description="Least transfer that is asked for, in dollars")
    ] = Decimal(1000)
    bank_quote_lifetime_s: Annotated[
        int, Field(ge=3600, le=60 * DAY_S, description="How long the quote of a bank transfer is honoured")
    ] = 7 * DAY_S
    bank_demo_url: Annotated[
        HttpUrl | None, Field(description="The page that plays the bank in demo mode, where there is no account")
    ] = None

    @model_validator(mode="after")
    def _an_account_is_whole(self) -> Self:
        parts = {
            "BANK_NAME": self.bank_name,
            "BANK_ACCOUNT_NAME": self.bank_account_name,
            "BANK_ACCOUNT_NUMBER": self.bank_account_number,
            "BANK_SWIFT_CODE": self.bank_swift_code,
        }
        missing = [name for name, value in parts.items() if value is None]
        if 0 < len(missing) < len(parts):
            raise ValueError(f"a bank account needs all of its settings; missing: {', '.join(missing)}")
        return self
