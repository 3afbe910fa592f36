"""Amounts are exact both ways, and what is no amount is named."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.amounts import AmountError, Asset, Money, format_units, parse_positive_units, parse_units, to_decimal

assets = st.sampled_from(["TFC/2", "USD/2", "JPY/0", "BTC/8", "ETH/18", "TFT/7"])


@given(st.integers(min_value=-(10**30), max_value=10**30), assets)
def test_units_survive_the_wire(units: int, asset: str) -> None:
    assert parse_units(format_units(units, asset), asset) == units
    assert Money.model_validate_json(Money.of(units, asset).model_dump_json()).units == units


@pytest.mark.parametrize(
    ("amount", "asset", "units"),
    [
        ("25.00", "USD/2", 2500),
        ("25", "USD/2", 2500),
        ("25.000", "USD/2", 2500),
        ("-0.05", "USD/2", -5),
        (7, "JPY/0", 7),
        (Decimal("1.1"), "USD/2", 110),
        (Decimal("1E+2"), "USD/2", 10000),
        ("0.000000000000000001", "ETH/18", 1),
    ],
)
def test_an_amount_is_read_exactly(amount: str | int | Decimal, asset: str, units: int) -> None:
    assert parse_units(amount, asset) == units


@pytest.mark.parametrize(
    "amount",
    ["", "abc", "1,5", "1e3", "NaN", "Infinity", "--1", "٣", "9" * 41, Decimal("NaN"), Decimal("1E+999999999"), " 1"],
)
def test_what_is_no_number_is_refused(amount: str | Decimal) -> None:
    with pytest.raises(AmountError) as refused:
        parse_units(amount, "USD/2")
    assert refused.value.code == "not_a_number"


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("0", "not_positive"),
        ("-1", "not_positive"),
        ("0.001", "too_many_decimals"),
        ("10000000000000", "too_large"),
        ("9999999999999.991", "too_many_decimals"),
    ],
)
def test_a_request_may_not_ask_for_it(amount: str, code: str) -> None:
    with pytest.raises(AmountError) as refused:
        parse_positive_units(amount, "TFC/2")
    assert refused.value.code == code


def test_the_largest_amount_is_allowed() -> None:
    assert parse_positive_units("9999999999999.99", "TFC/2") == 999_999_999_999_999


def test_decimals_are_kept_when_shown() -> None:
    assert str(to_decimal(2500, "TFC/2")) == "25.00"
    assert format_units(7, "JPY/0") == "7"


@pytest.mark.parametrize("text", ["USD", "usd/2", "USD/", "USD/2/3", "/2", "U/2"])
def test_an_unknown_asset_is_refused(text: str) -> None:
    with pytest.raises(AmountError) as refused:
        Asset.parse(text)
    assert refused.value.code == "unknown_asset"


def test_money_with_a_bad_amount_is_no_money() -> None:
    with pytest.raises(ValidationError):
        Money(asset="USD/2", amount="1.234")
