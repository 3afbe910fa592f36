"""Amounts on the wire: an asset's smallest unit as an integer inside, a decimal string outside.

An asset is written ``CODE/EXPONENT`` (``TFC/2``, ``USD/2``, ``JPY/0``, ``BTC/8``, ``ETH/18``); the exponent says how
many decimals its smallest unit has, so an amount can be read without a table. No float ever passes through here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

AMOUNT_MAX_DIGITS = 40
"""Longest amount that is read at all, in characters: bounds the work that a hostile request can cause."""

AMOUNT_MAX = Decimal("9999999999999.99")
"""Largest amount that a request may name, in whole units of its asset."""

_ASSET = re.compile(r"([A-Z][A-Z0-9]{1,11})/(\d{1,2})")
_DECIMAL = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


class AmountError(ValueError):
    """An amount that cannot be taken. ``code`` is one of ``not_a_number``, ``too_many_decimals``, ``not_positive``,
    ``too_large``, ``unknown_asset``."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Asset:
    """A currency, credit or coin with the number of decimals of its smallest unit."""

    code: str
    exponent: int

    @staticmethod
    def parse(text: str) -> Asset:
        """Read ``CODE/EXPONENT``. Raises AmountError(``unknown_asset``)."""
        return _parse_asset(text)

    def __str__(self) -> str:
        return f"{self.code}/{self.exponent}"


@lru_cache(maxsize=1024)
def _parse_asset(text: str) -> Asset:
    match = _ASSET.fullmatch(text)
    if match is None:
        raise AmountError("unknown_asset", "an asset is written CODE/EXPONENT, such as USD/2")
    return Asset(match[1], int(match[2]))


def parse_units(amount: str | int | Decimal, asset: str | Asset) -> int:
    """Read a decimal amount as an integer count of the asset's smallest unit, exactly.

    Raises AmountError with ``not_a_number`` (also for NaN, infinities and exponents) or ``too_many_decimals``.
    The sign is kept; whether it may be negative is the caller's rule.
    """
    asset = Asset.parse(asset) if isinstance(asset, str) else asset
    text = _plain(amount)
    if len(text) > AMOUNT_MAX_DIGITS or _DECIMAL.fullmatch(text) is None:
        raise AmountError("not_a_number", "must be a decimal number")
    whole, _, fraction = text.partition(".")
    if len(fraction.rstrip("0")) > asset.exponent:
        raise AmountError("too_many_decimals", f"{asset.code} has at most {asset.exponent} decimals")
    return int(whole + fraction[: asset.exponent].ljust(asset.exponent, "0"))


def _plain(amount: str | int | Decimal) -> str:
    if isinstance(amount, str):
        return amount
    if isinstance(amount, Decimal):
        # An exponent is looked at before it is written out: 1E+999999 would be a megabyte of zeros.
        exponent = amount.as_tuple().exponent
        if not isinstance(exponent, int) or abs(exponent) > AMOUNT_MAX_DIGITS:
            raise AmountError("not_a_number", "must be a decimal number")
        return format(amount, "f")
    return str(amount)


def parse_positive_units(amount: str | int | Decimal, asset: str | Asset) -> int:
    """Read an amount that a person asks for: above zero and at most AMOUNT_MAX.

    Raises AmountError as ``parse_units`` does, and with ``not_positive`` or ``too_large``.
    """
    asset = Asset.parse(asset) if isinstance(asset, str) else asset
    units = parse_units(amount, asset)
    if units <= 0:
        raise AmountError("not_positive", "must be above zero")
    if Decimal(units).scaleb(-asset.exponent) > AMOUNT_MAX:
        raise AmountError("too_large", f"must not be above {AMOUNT_MAX}")
    return units


def format_units(units: int, asset: str | Asset) -> str:
    """Write a count of smallest units as a plain decimal with all of the asset's decimals (``25.00``)."""
    exponent = (Asset.parse(asset) if isinstance(asset, str) else asset).exponent
    if exponent == 0:
        return str(units)
    digits = str(abs(units)).rjust(exponent + 1, "0")
    return f"{'-' if units < 0 else ''}{digits[:-exponent]}.{digits[-exponent:]}"


def to_decimal(units: int, asset: str | Asset) -> Decimal:
    """The amount as a Decimal that keeps the asset's decimals (``Decimal('25.00')``)."""
    return Decimal(format_units(units, asset))


class Money(BaseModel):
    """An amount of one asset in a message: ``{"asset": "USD/2", "amount": "25.00"}``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    asset: Annotated[str, StringConstraints(max_length=16)]
    amount: Annotated[str, StringConstraints(max_length=AMOUNT_MAX_DIGITS)]

    @model_validator(mode="after")
    def _is_exact(self) -> Money:
        _ = self.units
        return self

    @cached_property
    def units(self) -> int:
        """The amount as a count of the asset's smallest unit."""
        return parse_units(self.amount, self.asset)

    @staticmethod
    def of(units: int, asset: str) -> Money:
        """The amount of ``units`` smallest units of ``asset``."""
        return Money(asset=asset, amount=format_units(units, asset))
