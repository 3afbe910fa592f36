"""Quotes: credits at the base rate, rounded down, for as long as the terms say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_api.domain.quotes import Terms, quote_at_base_rate

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def terms(rate: Fraction = Fraction(1)) -> Terms:
    return Terms("USD/2", "TFC/2", rate, 600)


def test_one_dollar_is_one_credit_until_it_expires() -> None:
    quote = quote_at_base_rate(terms(), 2500, NOW)
    assert quote is not None
    assert (quote.price, quote.credits, quote.bonus) == (2500, 2500, 0)
    assert quote.expires_at == NOW + timedelta(seconds=600)


def test_credits_are_rounded_down() -> None:
    quote = quote_at_base_rate(terms(Fraction(2, 3)), 100, NOW)
    assert quote is not None
    assert quote.credits == 66


def test_a_price_that_buys_nothing_has_no_quote() -> None:
    assert quote_at_base_rate(terms(Fraction(1, 1000)), 999, NOW) is None


@pytest.mark.parametrize("price", [0, -1])
def test_a_price_is_above_zero(price: int) -> None:
    with pytest.raises(ValueError):
        quote_at_base_rate(terms(), price, NOW)


@given(price=st.integers(1, 10**15), numerator=st.integers(1, 10**6), denominator=st.integers(1, 10**6))
def test_never_a_unit_too_many_nor_a_whole_one_too_few(price: int, numerator: int, denominator: int) -> None:
    rate = Fraction(numerator, denominator)
    quote = quote_at_base_rate(terms(rate), price, NOW)
    given_credits = 0 if quote is None else quote.credits
    assert given_credits <= price * rate < given_credits + 1
