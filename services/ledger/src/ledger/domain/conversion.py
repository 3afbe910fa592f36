"""How much credit money buys: base rates and the rules of a quote.

The only place of the ledger that rounds: credits given are rounded down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from ledger.domain.states import Quote


@dataclass(frozen=True, slots=True)
class CreditTerms:
    """The credit (``asset``, such as ``TFC/2``) and how many of its smallest units one smallest unit of each payable
    asset buys at the base rate."""

    asset: str
    rates: Mapping[str, Fraction]


class Given(NamedTuple):
    """Credits given for a payment, in smallest units. ``credits`` includes ``bonus``."""

    credits: int
    bonus: int
    rule: str


def credits_at_base_rate(terms: CreditTerms, asset: str, received: int) -> int | None:
    """Credits for ``received`` units of ``asset``, rounded down; None where no rate is known."""
    rate = terms.rates.get(asset)
    return None if rate is None else received * rate.numerator // rate.denominator


def credits_given(
    terms: CreditTerms, asset: str, received: int, paid_at: datetime, quote: Quote | None
) -> Given | None:
    """What a payment of ``received`` buys under ``quote``, if there is one that can be honoured.

    The quote exactly; underpaid or expired, the base rate without bonus; overpaid, the quote and the surplus at the
    base rate. None where neither a quote nor a rate covers the asset.
    """
    if quote is None or quote.used or quote.asset != asset:
        return _at_base_rate(terms, asset, received, "base_rate")
    if paid_at > quote.expires_at:
        return _at_base_rate(terms, asset, received, "expired")
    if received < quote.price:
        return _at_base_rate(terms, asset, received, "underpaid")
    promised = quote.credits + quote.bonus
    if received == quote.price:
        return Given(promised, quote.bonus, "quote")
    surplus = credits_at_base_rate(terms, asset, received - quote.price)
    return Given(promised + (surplus or 0), quote.bonus, "overpaid")


def _at_base_rate(terms: CreditTerms, asset: str, received: int, rule: str) -> Given | None:
    bought = credits_at_base_rate(terms, asset, received)
    return None if bought is None else Given(bought, 0, rule)
