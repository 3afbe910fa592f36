"""Statements as CSV: a header that names the columns, in whatever order, then one line for each booking.

Every bank has its own names and separators; those that are known stand in the table below. What is missing or cannot be
read refuses the file by its line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from payments_api.adapters.statements import fields
from payments_api.adapters.statements.fields import NAME_MAX_CHARS, DayOrder
from payments_api.application.bank_statements import Booking, Statement, StatementRefused

ENTRIES_MAX = 2_000
HEADER_WITHIN_LINES = 20
DELIMITERS = ";,\t"
COLUMNS: Mapping[str, frozenset[str]] = {
    "booked_on": frozenset({"date", "booking date", "posting date", "post date", "transaction date"}),
    "value_date": frozenset({"value date", "valuta"}),
    "amount": frozenset({"amount"}),
    "credit": frozenset({"credit", "credit amount", "money in", "paid in"}),
    "debit": frozenset({"debit", "debit amount", "money out", "paid out"}),
    "currency": frozenset({"currency", "ccy"}),
    "remittance": frozenset({"remittance", "remittance information", "description", "details", "narrative", "purpose"}),
    "payer": frozenset({"payer", "debtor", "name", "sender", "counterparty"}),
    "bank_reference": frozenset({"bank reference", "transaction reference", "transaction id", "entry reference"}),
    # What the payer wrote into a field of that name; nothing that a bank promises to be unique.
    "payer_reference": frozenset({"reference", "end to end id", "customer reference"}),
    "account": frozenset({"account", "account number", "iban"}),
}


class Header(NamedTuple):
    """The columns by our names, None for those that we do not need."""

    line: int
    delimiter: str
    names: Sequence[str | None]


class Row(NamedTuple):
    """A row by our names of its columns, and the line on which it ends."""

    line: int
    cells: Mapping[str, str]


def read_csv(text: str, *, currency: str | None, order: DayOrder | None) -> Statement:
    """The statement; ``currency`` is of files without such a column, ``order`` that of dates with slashes. Raises
    StatementRefused."""
    bookings: list[Booking] = []
    skipped = 0
    for row in _rows(text):
        booking = _booking(row, currency, order)
        if booking is None:
            skipped += 1
        else:
            bookings.append(booking)
        if len(bookings) + skipped > ENTRIES_MAX:
            raise StatementRefused("too_many_entries", f"a file may have {ENTRIES_MAX} entries", row.line)
    return Statement(bookings, skipped)


def _booking(row: Row, currency: str | None, order: DayOrder | None) -> Booking | None:
    cells = row.cells
    code = cells.get("currency") or currency
    if not code:
        raise StatementRefused("no_currency", "there is no currency; name the file's", row.line)
    asset = fields.asset_of(code, row.line)
    booked_on = fields.day(cells.get("booked_on", ""), row.line, order)
    units = _units(row, asset)
    value_date = fields.day(cells["value_date"], row.line, order) if cells.get("value_date") else None
    bank_reference = fields.whole_reference(cells.get("bank_reference"), row.line)
    if units <= 0:
        return None
    return Booking(
        account="".join(cells.get("account", "").split()),
        bank_reference=bank_reference,
        booked_on=booked_on,
        value_date=value_date,
        asset=asset,
        units=units,
        remittance=fields.words(cells.get("remittance"), cells.get("payer_reference")),
        payer=fields.words(cells.get("payer"), limit=NAME_MAX_CHARS),
    )


def _units(row: Row, asset: str) -> int:
    """What came in; zero or less for a line that brought nothing."""
    if "amount" in row.cells:
        return fields.signed_units(row.cells["amount"], asset, row.line)
    came, went = row.cells.get("credit", ""), row.cells.get("debit", "")
    if bool(came) == bool(went):
        raise StatementRefused("bad_amount", "either credit or debit must be filled in", row.line)
    units = fields.signed_units(came or went, asset, row.line)
    return units if came else -abs(units)


def _rows(text: str) -> Iterator[Row]:
    if "\x00" in text:
        raise StatementRefused("not_csv", "The file holds bytes that no text has")
    header = _header(lines := list(io.StringIO(text, newline="")))
    reader = csv.reader(lines[header.line :], delimiter=header.delimiter, strict=True)
    try:
        for cells in reader:
            line = header.line + reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header.names):
                raise StatementRefused(
                    "bad_row", f"{len(header.names)} columns are expected, here are {len(cells)}", line
                )
            known = zip(header.names, cells, strict=True)
            yield Row(line, {name: cell.strip() for name, cell in known if name is not None})
    except csv.Error as error:
        raise StatementRefused("not_csv", str(error), header.line + reader.line_num) from error


def _header(lines: Sequence[str]) -> Header:
    for line, text in enumerate(lines[:HEADER_WITHIN_LINES], start=1):
        delimiter = max(DELIMITERS, key=text.count)
        names = [_name(cell) for cell in _cells(text, delimiter, line)]
        if "booked_on" in names and {"amount", "credit"} & set(names):
            _refuse_doubles(names, line)
            return Header(line, delimiter, names)
    raise StatementRefused("no_header", "There is no line that names at least a date and an amount")


def _cells(text: str, delimiter: str, line: int) -> Sequence[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error as error:
        raise StatementRefused("not_csv", str(error), line) from error


def _refuse_doubles(names: Sequence[str | None], line: int) -> None:
    known = [name for name in names if name is not None]
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise StatementRefused("double_column", f"two columns could be the {twice[0].replace('_', ' ')}", line)


def _name(cell: str) -> str | None:
    words = " ".join(cell.replace("_", " ").replace("-", " ").split()).lower()
    return next((name for name, spellings in COLUMNS.items() if words in spellings), None)
