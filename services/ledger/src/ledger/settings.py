"""Settings of the ledger: the environment, and the rates of the marketplace file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chassis.settings import ServiceSettings, SettingsError
from ledger.domain.conversion import CreditTerms


class LedgerSettings(ServiceSettings):
    """What the ledger needs to run."""

    service: ClassVar[str] = "ledger"

    port: Annotated[int, Field(ge=1, le=65535, description="Port to listen on")] = 8002
    batch_max: Annotated[int, Field(ge=1, le=10_000, description="Commands per transaction")] = 1_000
    queue_max: Annotated[int, Field(ge=1, description="Commands that may wait; beyond, callers get 503")] = 20_000
    reversal_of_spent: Annotated[
        Literal["debt", "forgive"],
        Field(description="What a refund finds spent: it becomes a debt, or is forgiven. Disputes always make debts"),
    ] = "debt"

    def terms(self) -> CreditTerms:
        """What credits cost, and what is done about those that a refund finds spent. Raises SettingsError."""
        return replace(credit_terms(self.marketplace_config), forgives_spent=self.reversal_of_spent == "forgive")


def credit_terms(marketplace: Path) -> CreditTerms:
    """The credit and its base rates from the marketplace file. Raises SettingsError with one line."""
    try:
        credits_table = tomllib.loads(marketplace.read_text())["credits"]
        return _terms(credits_table)
    except OSError as error:
        raise SettingsError(f"MARKETPLACE_CONFIG: {marketplace} cannot be read: {error.strerror}") from None
    except (KeyError, ValueError, ArithmeticError) as error:
        raise SettingsError(f"MARKETPLACE_CONFIG: [credits] of {marketplace} is wrong: {error}") from None


def _terms(table: Mapping[str, Any]) -> CreditTerms:
    code, exponent = str(table["code"]), int(table["exponent"])
    usd_rate = Fraction(Decimal(str(table["usd_rate"])))
    if usd_rate <= 0:
        raise ValueError("usd_rate must be above zero")
    # Smallest units of credit per US cent: credits cost usd_rate dollars each.
    per_cent = Fraction(10**exponent) / (usd_rate * 100)
    return CreditTerms(f"{code}/{exponent}", {"USD/2": per_cent})
