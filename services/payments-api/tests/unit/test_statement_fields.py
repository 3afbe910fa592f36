"""Amounts, dates and references as banks write them: exact, or refused by line."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from chassis.errors import InvalidField
from payments_api.adapters.statements import fields
from payments_api.application.bank_currencies import bank_asset
from payments_api.application.bank_receipts import receipt_id
from payments_api.application.bank_statements import StatementRefused


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1000", 100_000),
        ("1000.5", 100_050),
        ("1,234.50", 123_450),
        ("1.234,50", 123_450),
        ("1 234,50", 123_450),
        ("1\u00a0234,50", 123_450),
        ("1'234.50", 123_450),
        ("1,234,567", 123_456_700),
        ("1.234.567,89", 123_456_789),
        ("0,07", 7),
        ("+12.00", 1_200),
        ("-12.00", -1_200),
        ("12.00-", -1_200),
        ("0.000", 0),
    ],
)
def test_amounts(text: str, units: int) -> None:
    assert fields.signed_units(text, "USD/2", 7) == units


def test_three_decimals_are_decimals_where_the_currency_has_them() -> None:
    assert fields.signed_units("1.234", "KWD/3", 7) == 1_234
    assert fields.signed_units("1000", "JPY/0", 7) == 1_000


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1,234", "ambiguous_amount"),
        ("1.234", "ambiguous_amount"),
        ("1.2345", "bad_amount"),
        ("0.005", "bad_amount"),
        ("1,23,456.00", "bad_amount"),
        ("", "bad_amount"),
        ("-", "bad_amount"),
        ("(12.00)", "bad_amount"),
        ("1e3", "bad_amount"),
        ("NaN", "bad_amount"),
        ("\u0661\u0662", "bad_amount"),
        ("--1", "bad_amount"),
        ("9" * 20, "bad_amount"),
        ("9" * 31, "bad_amount"),
    ],
)
def test_what_is_no_amount_is_refused_by_its_line(text: str, code: str) -> None:
    with pytest.raises(StatementRefused) as refused:
        fields.signed_units(text, "USD/2", 7)
    assert (refused.value.code, refused.value.line) == (code, 7)


@pytest.mark.parametrize("text", ["1,000.00", "-1.00", "1.005", "1e3", "", "1" * 39])
def test_xml_has_one_way_to_write_an_amount(text: str) -> None:
    assert fields.xml_units(" 1000.50 ", "USD/2", 7) == 100_050
    with pytest.raises(StatementRefused):
        fields.xml_units(text, "USD/2", 7)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("2026-05-31", None),
        ("2026-05-31T23:59:59+02:00", None),
        ("2026-05-31 10:00", None),
        ("20260531", None),
        ("31.05.2026", None),
        ("31/05/2026", "dmy"),
        ("05/31/2026", "mdy"),
        ("31-5-2026", "dmy"),
    ],
)
def test_dates(text: str, order: Any) -> None:
    assert fields.day(text, 7, order) == date(2026, 5, 31)


@pytest.mark.parametrize(
    ("text", "order", "code"),
    [
        ("01/02/2026", None, "ambiguous_date"),
        ("31/05/2026", "mdy", "bad_date"),
        ("2026-02-30", None, "bad_date"),
        ("31 May 2026", None, "bad_date"),
        ("0026-05-31", None, "bad_date"),
        ("", None, "bad_date"),
    ],
)
def test_what_is_no_date_is_refused_by_its_line(text: str, order: Any, code: str) -> None:
    with pytest.raises(StatementRefused) as refused:
        fields.day(text, 7, order)
    assert (refused.value.code, refused.value.line) == (code, 7)


@pytest.mark.parametrize("text", [None, "", "  ", "NOTPROVIDED", "notprovided", "NON REF", "-"])
def test_no_reference_is_none(text: str | None) -> None:
    assert fields.whole_reference(text, 7) is None


def test_a_reference_is_not_cut() -> None:
    assert fields.whole_reference(" 2026 0531/1 ", 7) == "20260531/1"
    with pytest.raises(StatementRefused, match="140"):
        fields.whole_reference("x" * 141, 7)


def test_texts_become_one_line_within_their_limit() -> None:
    assert fields.words("a\n b", None, " ", "c") == "a b c"
    assert len(fields.words("x" * 5_000)) == fields.TEXT_MAX_CHARS


def test_currencies_have_their_decimals() -> None:
    assert [bank_asset(code) for code in ("usd", "JPY", "KWD", "XXX", "")] == ["USD/2", "JPY/0", "KWD/3", None, None]


def test_one_transfer_has_one_id_however_it_is_typed() -> None:
    assert receipt_id("2026-0531.a") == receipt_id(" 2026-0531.A ") == "bt-2026-0531.A"
    assert receipt_id("2026/0531") == receipt_id("2026 / 0531")
    assert receipt_id("2026/0531") != receipt_id("2026_0531")
    assert len(receipt_id("/" * 140)) < 180


@pytest.mark.parametrize("text", [" ", "NOTPROVIDED", "nonref", "n/a"])
def test_no_reference_names_no_transfer(text: str) -> None:
    with pytest.raises(InvalidField):
        receipt_id(text)
