"""Tax that prices include: rounded half-up once, and nothing is lost between net and tax."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_api.application.receipts import numbered, with_tax_told


@pytest.mark.parametrize(
    ("total", "rate", "tax"),
    [
        (11800, "0.18", 1800),
        (2500, "0.18", 381),  # 381.36
        (2500, "0", 0),
        (3, "0.2", 1),  # 0.5 goes up
        (9, "0.2", 2),  # 1.5 goes up
        (1, "0.18", 0),
        (0, "0.18", 0),
    ],
)
def test_tax_is_rounded_half_up(total: int, rate: str, tax: int) -> None:
    told = with_tax_told("USD/2", total, Decimal(rate))
    assert (told.net, told.tax, told.total) == (total - tax, tax, total)


@given(total=st.integers(0, 10**38), rate=st.decimals(0, "0.999999", places=6))
def test_parts_sum_to_the_whole_and_are_no_further_off_than_half_a_unit(total: int, rate: Decimal) -> None:
    told = with_tax_told("ETH/18", total, rate)
    assert told.net + told.tax == told.total == total
    assert told.net >= 0
    assert told.tax >= 0
    exact = Fraction(total) * Fraction(rate) / (1 + Fraction(rate))
    assert abs(told.tax - exact) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("number", "text"), [(1, "2026-000001"), (999_999, "2026-999999"), (1_000_000, "2026-1000000")]
)
def test_numbers_have_six_digits_or_more(number: int, text: str) -> None:
    assert numbered(2026, number) == text
