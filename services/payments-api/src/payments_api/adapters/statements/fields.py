"""Amounts, dates and texts as banks write them, read exactly or refused: nothing is guessed.

Knows no file format.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

from contracts.amounts import AMOUNT_MAX, AmountError, Asset, parse_units, to_decimal
from payments_api.application.bank_currencies import bank_asset
from payments_api.application.bank_receipts import NO_REFERENCES
from payments_api.application.bank_statements import StatementRefused

DayOrder = Literal["dmy", "mdy"]
TEXT_MAX_CHARS = 2_000
NAME_MAX_CHARS = 200
REFERENCE_MAX_CHARS = 140
YEAR_MIN = 1990

_SIGNED = re.compile(r"(?P<before>[+-]?)(?P<digits>[\d.,]{1,30})(?P<behind>[+-]?)", re.ASCII)
_GROUPED_BY_COMMAS = re.compile(r"\d{1,3}(,\d{3})+\.\d{2}|\d{1,3}(,\d{3}){2,}", re.ASCII)
_GROUPED_BY_DOTS = re.compile(r"\d{1,3}(\.\d{3})+,\d{2}|\d{1,3}(\.\d{3}){2,}", re.ASCII)
_PLAIN_WITH_DOT = re.compile(r"\d+(\.\d+)?", re.ASCII)
_PLAIN_WITH_COMMA = re.compile(r"\d+,\d+", re.ASCII)
_LOOKS_GROUPED = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_SPACES = str.maketrans("", "", " \u00a0\u202f'\u2019")
_ISO_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})", re.ASCII)
_DOTTED_DATE = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", re.ASCII)
_SLASHED_DATE = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})", re.ASCII)


def asset_of(code: str, line: int) -> str:
    """The asset of a currency's code. Raises StatementRefused."""
    asset = bank_asset(code)
    if asset is None:
        raise StatementRefused("unknown_currency", "the currency is not known", line)
    return asset


def signed_units(text: str, asset: str, line: int) -> int:
    """An amount in smallest units, below zero with a minus before or behind it.

    Thousands may be grouped (``1,234.50``, ``1.234,50``, ``1 234,50``). What can be read two ways (``1,234``) is
    refused, except where the currency has three decimals. Raises StatementRefused.
    """
    written = _SIGNED.fullmatch(text.strip().translate(_SPACES))
    if written is None:
        raise StatementRefused("bad_amount", "the amount is not a number", line)
    units = _exact(_plain(written["digits"], Asset.parse(asset).exponent, line), asset, line)
    return -units if "-" in (written["before"], written["behind"]) else units


def xml_units(text: str, asset: str, line: int) -> int:
    """An amount as XML Schema writes decimals, at least zero, in smallest units. Raises StatementRefused."""
    units = _exact(text.strip(), asset, line)
    if units < 0:
        raise StatementRefused("bad_amount", "the amount must not be below zero", line)
    return units


def _exact(plain: str, asset: str, line: int) -> int:
    try:
        units = parse_units(plain, asset)
    except AmountError as error:
        raise StatementRefused("bad_amount", f"the amount {error.detail}", line) from error
    if to_decimal(abs(units), asset) > AMOUNT_MAX:
        raise StatementRefused("bad_amount", f"the amount must not be above {AMOUNT_MAX}", line)
    return units


def _plain(digits: str, exponent: int, line: int) -> str:
    if _GROUPED_BY_COMMAS.fullmatch(digits):
        return digits.replace(",", "")
    if _GROUPED_BY_DOTS.fullmatch(digits):
        return digits.replace(".", "").replace(",", ".")
    if _LOOKS_GROUPED.fullmatch(digits) and exponent != 3:
        raise StatementRefused("ambiguous_amount", "the amount can be read two ways; write its decimals", line)
    if _PLAIN_WITH_DOT.fullmatch(digits):
        return digits
    if _PLAIN_WITH_COMMA.fullmatch(digits):
        return digits.replace(",", ".")
    raise StatementRefused("bad_amount", "the amount is not a number", line)


def day(text: str, line: int, order: DayOrder | None = None) -> date:
    """A date: ``2026-05-31`` (with a time behind it, too), ``20260531``, ``31.05.2026``; ``31/05/2026`` only if the
    order of day and month was said. Raises StatementRefused."""
    written = text.strip()
    iso = _ISO_DATE.fullmatch(written.partition("T")[0].partition(" ")[0])
    if iso is not None:
        return _date(iso[1], iso[2], iso[3], line)
    dotted = _DOTTED_DATE.fullmatch(written)
    if dotted is not None:
        return _date(dotted[3], dotted[2], dotted[1], line)
    slashed = _SLASHED_DATE.fullmatch(written)
    if slashed is None:
        raise StatementRefused("bad_date", "the date is none that can be read", line)
    if order is None:
        raise StatementRefused("ambiguous_date", "say whether dates are dmy or mdy", line)
    month, day_of_month = (slashed[2], slashed[1]) if order == "dmy" else (slashed[1], slashed[2])
    return _date(slashed[3], month, day_of_month, line)


def _date(year: str, month: str, day_of_month: str, line: int) -> date:
    try:
        found = date(int(year), int(month), int(day_of_month))
    except ValueError as error:
        raise StatementRefused("bad_date", "there is no such date", line) from error
    if found.year < YEAR_MIN:
        raise StatementRefused("bad_date", "the date is too long ago", line)
    return found


def reference(text: str | None) -> str | None:
    """The bank's reference of a transfer; None where it wrote none."""
    compact = "" if text is None else "".join(text.split())
    return compact if compact and compact.upper() not in NO_REFERENCES else None


def whole_reference(text: str | None, line: int) -> str | None:
    """As ``reference``. One that is too long is refused, since its beginning may be another's."""
    found = reference(text)
    if found is not None and len(found) > REFERENCE_MAX_CHARS:
        raise StatementRefused("bad_reference", f"a reference has at most {REFERENCE_MAX_CHARS} characters", line)
    return found


def words(*texts: str | None, limit: int = TEXT_MAX_CHARS) -> str:
    """Texts as one, cut to ``limit`` characters."""
    return " ".join(" ".join(text.split()) for text in texts if text and text.strip())[:limit]
