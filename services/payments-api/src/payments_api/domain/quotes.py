"""How many credits an amount of money buys at the base rate.

The only place of this service that rounds: credits given are rounded down.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Terms:
    """The base rate. ``rate`` is how many smallest units of ``credit_asset`` one smallest unit of ``price_asset`` buys;
    a quote is honoured for ``lifetime_s`` seconds."""

    price_asset: str
    credit_asset: str
    rate: Fraction
    lifetime_s: int


@dataclass(frozen=True, slots=True)
class Quote:
    """What is promised for ``price``, in smallest units. ``bonus`` comes on top of ``credits``."""

    price_asset: str
    price: int
    credit_asset: str
    credits: int
    bonus: int
    expires_at: datetime


def quote_at_base_rate(terms: Terms, price: int, now: datetime) -> Quote | None:
    """The quote for ``price`` smallest units; None when that buys less than one unit of credit.

    Raises ValueError for a price that is not above zero.
    """
    if price <= 0:
        raise ValueError("a price is above zero")
    bought = price * terms.rate.numerator // terms.rate.denominator
    if bought <= 0:
        return None
    expires_at = now + timedelta(seconds=terms.lifetime_s)
    return Quote(terms.price_asset, price, terms.credit_asset, bought, 0, expires_at)
