"""How many credits an amount of money buys at the base rate.

The only place of this service that rounds: credits given are rounded down.
"""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class PackageTerms:
    """``credits`` and ``bonus`` for ``price`` of the terms' price asset, in smallest units."""

    price: int
    credits: int
    bonus: int


class QuoteRefused(Exception):
    """Nothing can be promised for this request. ``field`` is the one at fault, ``code`` is stable."""

    def __init__(self, field: str, code: str, title: str) -> None:
        super().__init__(title)
        self.field = field
        self.code = code
        self.title = title


@dataclass(frozen=True)
class Pricing:
    """What dollars buy: the base rate, and packages by their id."""

    terms: Terms
    packages: Mapping[str, PackageTerms]

    def in_dollars(self, price_cents: int, package_id: str | None, now: datetime) -> Quote:
        """The quote for ``price_cents``, of a package if one is named. Raises QuoteRefused."""
        if package_id is not None:
            return self._of_package(price_cents, package_id, now)
        if price_cents <= 0:
            raise QuoteRefused("amount", "not_positive", "must be above zero")
        quote = quote_at_base_rate(self.terms, price_cents, now)
        if quote is None:
            raise QuoteRefused("amount", "too_small", "must be worth at least one unit of credit")
        return quote

    def price_of(self, wanted: int) -> int:
        """The least price that buys ``wanted`` smallest units of credit at the base rate: rounded up."""
        return -(-wanted * self.terms.rate.denominator // self.terms.rate.numerator)

    def _of_package(self, price_cents: int, package_id: str, now: datetime) -> Quote:
        package = self.packages.get(package_id)
        if package is None:
            raise QuoteRefused("package_id", "unknown_package", "There is no such package")
        if price_cents != package.price:
            raise QuoteRefused("amount", "not_the_price", "must be the package's price")
        expires_at = now + timedelta(seconds=self.terms.lifetime_s)
        terms = self.terms
        return Quote(terms.price_asset, package.price, terms.credit_asset, package.credits, package.bonus, expires_at)


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
