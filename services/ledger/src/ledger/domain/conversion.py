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

    A quote is filled by all that comes for it in time, up to its price; without one, or too late, and with what is
    beyond the price, money buys at the base rate, and where its asset has none, by its ``worth``. None where nothing of
    that covers the asset.
    """
    if quote is None or quote.asset != asset:
        return _without_quote(terms, asset, received, worth, "base_rate")
    if paid_at > quote.expires_at:
        return _without_quote(terms, asset, received, worth, "expired")
    return _filling(terms, quote, received, worth)


def _without_quote(terms: CreditTerms, asset: str, received: int, worth: Worth | None, rule: str) -> Given | None:
    bought = credits_at_base_rate(terms, asset, received)
    if bought is not None:
        return Given(bought, 0, rule)
    bought = credits_at_base_rate(terms, worth.asset, worth.units) if worth else None
    return None if bought is None else Given(bought, 0, "worth")


def _filling(terms: CreditTerms, quote: Quote, received: int, worth: Worth | None) -> Given | None:
    """What ``received`` more brings of a quote: always the whole for the sum so far, less what was given before."""
    total = quote.received + received
    if total < quote.price and not quote.used:
        rate = terms.rates.get(quote.asset, _own_rate(quote))
        return Given(max(0, _at(rate, total) - quote.given), 0, "underpaid")
    above = _above(terms, quote, received, worth)
    if above is None:
        return None
    if quote.used:
        return Given(above, 0, "base_rate" if quote.asset in terms.rates else "worth")
    rest = max(0, quote.credits - quote.given)
    rule = "topped_up" if total == quote.price else "overpaid"
    return Given(rest + quote.bonus + above, quote.bonus, "quote" if received == quote.price else rule)


def _above(terms: CreditTerms, quote: Quote, received: int, worth: Worth | None) -> int | None:
    """Credits for what of ``received`` is beyond the price, never at the quote's own rate: that would make of any small
    quote an option on any amount, taken up when the market has fallen. None where nobody knows what it is worth."""
    beyond = max(0, quote.received - quote.price)
    surplus = received if quote.used else quote.received + received - quote.price
    rate = terms.rates.get(quote.asset)
    if rate is not None:
        return _at(rate, beyond + surplus) - _at(rate, beyond)
    if not quote.used and _is_dust(quote, surplus):
        return 0
    worth_rate = None if worth is None else terms.rates.get(worth.asset)
    if worth is None or worth_rate is None:
        return None
    return _at(worth_rate * Fraction(surplus, received), worth.units)


def _is_dust(quote: Quote, surplus: int) -> bool:
    """Nothing, or what wallets round up: less than a credit's smallest unit need not wait for its worth."""
    return surplus == 0 or (quote.credits > 0 and _at(_own_rate(quote), surplus) == 0)


def _own_rate(quote: Quote) -> Fraction:
    return Fraction(quote.credits, quote.price)


def _at(rate: Fraction, units: int) -> int:
    return units * rate.numerator // rate.denominator
