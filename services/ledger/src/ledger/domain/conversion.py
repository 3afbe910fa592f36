"""How much credit money buys: base rates and the rules of a quote.

Credits given are rounded down, here alone; what is taken back of them is reckoned in ``ledger.domain.returns``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from ledger.domain.commands import Worth
from ledger.domain.payment_states import Quote

QUOTED_TIMES_MAX = 2
"""How many times its price a quote's own rate is good for, where the asset has no other: a small quote would else be an
option on any amount, taken up when the market has fallen."""


@dataclass(frozen=True, slots=True)
class CreditTerms:
    """The credit (``asset``, such as ``TFC/2``) and how many of its smallest units one smallest unit of each payable
    asset buys at the base rate. ``forgives_spent``: a refund takes no more than can be spent."""

    asset: str
    rates: Mapping[str, Fraction]
    forgives_spent: bool = False


class Given(NamedTuple):
    """Credits given for a payment, in smallest units. ``credits`` includes ``bonus``."""

    credits: int
    bonus: int
    rule: str


def credits_at_base_rate(terms: CreditTerms, asset: str, received: int) -> int | None:
    """Credits for ``received`` units of ``asset``, rounded down; None where no rate is known."""
    rate = terms.rates.get(asset)
    return None if rate is None else _at(rate, received)


def credits_given(
    terms: CreditTerms,
    asset: str,
    received: int,
    paid_at: datetime,
    quote: Quote | None,
    worth: Worth | None = None,
) -> Given | None:
    """What a payment of ``received`` buys under ``quote``, if there is one that can be honoured.

    A quote is filled by all that comes for it in time; without one, or too late, money buys at the base rate, and where
    its asset has none, by its ``worth``: so does a piece that is far more than the quote is about. None where nothing
    of that covers the asset.
    """
    if quote is None or quote.asset != asset:
        return _without_quote(terms, asset, received, worth, "base_rate")
    if paid_at > quote.expires_at:
        return _without_quote(terms, asset, received, worth, "expired")
    if asset not in terms.rates and quote.received + received > QUOTED_TIMES_MAX * quote.price:
        return _without_quote(terms, asset, received, worth, "base_rate")
    return _filling(terms, quote, received)


def _without_quote(terms: CreditTerms, asset: str, received: int, worth: Worth | None, rule: str) -> Given | None:
    bought = credits_at_base_rate(terms, asset, received)
    if bought is not None:
        return Given(bought, 0, rule)
    bought = credits_at_base_rate(terms, worth.asset, worth.units) if worth else None
    return None if bought is None else Given(bought, 0, "worth")


def _filling(terms: CreditTerms, quote: Quote, received: int) -> Given:
    """What ``received`` more brings of a quote: always the whole for the sum so far, less what was given before."""
    rated = quote.asset in terms.rates
    rate = terms.rates[quote.asset] if rated else Fraction(quote.credits, quote.price)
    total = quote.received + received
    if total < quote.price and not quote.used:
        return Given(max(0, _at(rate, total) - quote.given), 0, "underpaid")
    beyond = max(0, quote.received - quote.price)
    surplus = beyond + received if quote.used else total - quote.price
    above = _at(rate, surplus) - _at(rate, beyond)
    if quote.used:
        return Given(above, 0, "base_rate" if rated else "overpaid")
    rest = max(0, quote.credits - quote.given)
    rule = "topped_up" if total == quote.price else "overpaid"
    return Given(rest + quote.bonus + above, quote.bonus, "quote" if received == quote.price else rule)


def _at(rate: Fraction, units: int) -> int:
    return units * rate.numerator // rate.denominator
