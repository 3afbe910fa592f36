"""Statements as CSV whose amounts have no sign: a column says what came, and what it says is known or refused."""

from __future__ import annotations

from datetime import date

import pytest

from payments_api.adapters.statements.reading import read_statement
from payments_api.application.bank_statements import Booking, Statement, StatementRefused

CAME = Booking("", None, date(2026, 5, 4), None, "USD/2", 150_000, "", "")


def read(text: str) -> Statement:
    return read_statement(text.encode(), currency="USD")


@pytest.mark.parametrize(
    ("title", "came", "went"),
    [
        ("Debit/Credit", "Credit", "Debit"),
        ("Debit / Credit", "C", "D"),
        ("Dr/Cr", "CR.", "DR."),
        ("CREDIT_DEBIT_INDICATOR", "CRDT", "DBIT"),
        ("Indicator", "+", "-"),
        ("Direction", "in", "OUT"),
        ("Type", "credit", "debit"),
        ("Transaction Type", "Deposit", "Withdrawal"),
        ("Soll/Haben", "H", "S"),
        ("Débit/Crédit", "Crédit", "Débit"),
    ],
)
def test_a_column_says_which_amounts_came(title: str, came: str, went: str) -> None:
    """The amounts have no sign, as such banks write them, or one that says the same once more."""
    rows = [f"2026-05-04,1500.00,{came}", f"2026-05-04,2000.00,{went}", f"2026-05-04,-7.00,{went}"]
    statement = read("\n".join([f"Date,Amount,{title}", *rows]))
    assert statement == Statement([CAME], 2)


@pytest.mark.parametrize("title", ["Debit/Credit", "Type"])
@pytest.mark.parametrize("word", ["", "REV", "?", "debit card"])
def test_what_says_neither_is_refused_by_row_and_column(title: str, word: str) -> None:
    with pytest.raises(StatementRefused) as refused:
        read(f"Date,Amount,{title}\n2026-05-04,1500.00,Credit\n2026-05-04,20.00,{word}\n")
    assert (refused.value.code, refused.value.line) == ("unknown_side", 3)
    assert f"Line 3: the column {title!r} says {word!r}" in str(refused.value)


def test_an_amount_below_zero_did_not_come() -> None:
    with pytest.raises(StatementRefused, match="'Dr/Cr' says that it came") as refused:
        read("Date,Amount,Dr/Cr\n2026-05-04,-1500.00,CR\n")
    assert (refused.value.code, refused.value.line) == ("bad_amount", 2)


def test_a_type_that_means_something_else_needs_amounts_with_a_sign() -> None:
    text = "Date,Amount,Type\n2026-05-04,1500.00,Wire\n2026-05-04,-20.00,Fee\n"
    assert read(text) == Statement([CAME], 1)
    with pytest.raises(StatementRefused, match="the column 'Type' says 'Wire'"):
        read(text.replace("-20.00", "20.00"))
    beside = text.replace("Type", "Type,D/C").replace("Wire", "Wire,C").replace("-20.00,Fee", "20.00,Fee,D")
    assert read(beside) == Statement([CAME], 1)


def test_the_other_column_may_hold_a_zero_and_a_total_may_stand_beside() -> None:
    rows = "2026-05-04,1500.00,0.00,1500.00\n2026-05-04,,20.00,20.00\n2026-05-04,0.00,0.00,0.00\n"
    statement = read(f"Date,Credit,Debit,Amount\n{rows}")
    assert statement == Statement([CAME], 2)
    for header in ("Date,Credit,Balance,Amount", "Date,Balance,Debit,Amount"):
        with pytest.raises(StatementRefused, match="double_column"):
            read(f"{header}\n{rows}")
