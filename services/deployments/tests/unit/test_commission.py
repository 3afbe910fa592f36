"""The split of a price: whole in sum, rounded half up once."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.commission import split_price

AMOUNTS = st.integers(min_value=0, max_value=10**30)
RATES = st.decimals(min_value=0, max_value=1, places=6)


@given(amount=AMOUNTS, rate=RATES)
def test_the_parts_sum_to_the_whole_and_neither_is_negative(amount: int, rate: Decimal) -> None:
    commission, grid_payment = split_price(amount, rate)
    assert commission + grid_payment == amount
    assert commission >= 0
    assert grid_payment >= 0


@given(amount=AMOUNTS, rate=RATES)
def test_the_commission_is_within_half_a_unit_of_the_exact_share(amount: int, rate: Decimal) -> None:
    error = split_price(amount, rate).commission - Fraction(rate) * amount
    assert Fraction(-1, 2) < error <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("amount", "rate", "commission"),
    [
        (1000, "0.10", 100),
        (5, "0.10", 1),
        (4, "0.10", 0),
        (15, "0.10", 2),
        (25, "0.10", 3),
        (1, "0.5", 1),
        (999_999_999_999_999, "0.10", 100_000_000_000_000),
        (7, "0", 0),
        (7, "1", 7),
    ],
)
def test_half_is_rounded_up(amount: int, rate: str, commission: int) -> None:
    assert split_price(amount, Decimal(rate)) == (commission, amount - commission)


@pytest.mark.parametrize(("amount", "rate"), [(-1, "0.1"), (1, "1.01"), (1, "-0.1"), (1, "NaN"), (1, "Infinity")])
def test_nonsense_is_refused(amount: int, rate: str) -> None:
    with pytest.raises(ValueError):
        split_price(amount, Decimal(rate))
