"""How many coins a price in dollars is, and how few coins can be sent at all.

The only place that rounds amounts of coins: up to the smallest unit, so that the price is covered; and what coins are
worth down, as credits are.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

from payments_api.domain.crypto_terms import CoinTerms
from payments_api.domain.quotes import Quote

CENTS = 100
UNITS_MAX = 10**38
"""The books take fewer smallest units than this."""
_RATE = Context(prec=60)


@dataclass(frozen=True, slots=True)
class CoinQuote(Quote):
    """A quote in coins. One whole coin counts for ``exchange_rate`` US dollars, the spread taken off; of the price,
    ``processing_fee_cents`` are the fee."""

    exchange_rate: Decimal
    processing_fee_cents: Decimal


def rate_for_payer(usd_per_coin: str, spread: Decimal) -> Decimal:
    """What one coin counts for when it pays us, in dollars; ``usd_per_coin`` is the market's, in decimal text.

    Raises ValueError for a rate that is not above zero.
    """
    rate = _RATE.multiply(Decimal(usd_per_coin), 1 - spread).normalize(_RATE)
    if not rate.is_finite() or rate <= 0:
        raise ValueError("a rate is above zero")
    return rate


def coins_for(cents: Decimal | int, rate: Decimal, exponent: int) -> int:
    """The fewest smallest units that are worth ``cents`` at ``rate`` dollars a coin: rounded up."""
    scale: int = 10**exponent
    exact = Fraction(cents) * scale / (CENTS * Fraction(rate))
    return -(-exact.numerator // exact.denominator)


def cents_for(units: int, rate: Decimal, exponent: int, fee: Decimal) -> int:
    """The highest price that ``units`` cover at ``rate`` dollars a coin, the ``fee`` upon it included: rounded down."""
    scale: int = 10**exponent
    exact = units * Fraction(rate) * CENTS / (scale * (1 + Fraction(fee)))
    return exact.numerator // exact.denominator


def least_cents(terms: CoinTerms, rate: Decimal) -> int:
    """The least price that can be paid in this coin: what was set, or what its nodes pass on, rounded up."""
    scale: int = 10**terms.coin.exponent
    dust = Fraction(terms.coin.dust_units) * CENTS * Fraction(rate) / scale
    return max(terms.minimum_cents, -(-dust.numerator // dust.denominator))


def processing_fee_cents(price_cents: int, fraction: Decimal) -> Decimal:
    """The fee upon a price, exact: it is rounded only together with the price, in coins."""
    return price_cents * fraction
