"""Statements as CSV: a header that names the columns, in whatever order, then one line for each booking.

Every bank has its own names and separators; those that are known stand in the table below. What is missing or cannot be
read refuses the file by its line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from payments_api.adapters.statements import fields, sides
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
    "side": sides.COLUMNS,
    "kind": sides.KIND_COLUMNS,
    "currency": frozenset({"currency", "ccy"}),
    "remittance": frozenset({"remittance", "remittance information", "description", "details", "narrative", "purpose"}),
    "payer": frozenset({"payer", "debtor", "name", "sender", "counterparty"}),
    "bank_reference": frozenset({"bank reference", "transaction reference", "transaction id", "entry reference"}),
    # What the payer wrote into a field of that name; nothing that a bank promises to be unique.
    "payer_reference": frozenset({"reference", "end to end id", "customer reference"}),
    "account": frozenset({"account", "account number", "iban"}),
}

_BETWEEN_WORDS = str.maketrans("_-/", "   ")


class Header(NamedTuple):
    """The columns by our names, None for those that we do not need; and as the bank wrote them."""

    line: int
    delimiter: str
    names: Sequence[str | None]
    titles: Sequence[str]

    def title(self, name: str) -> str:
        """The bank's own name of the column that we call ``name``."""
        return self.titles[self.names.index(name)]


class Row(NamedTuple):
    """A row by our names of its columns, and the line on which it ends."""

    line: int
    cells: Mapping[str, str]


class Given(NamedTuple):
    """What the file does not say itself. ``side`` is the column that says whether money came or went, and its title."""

    currency: str | None
    order: DayOrder | None
    side: tuple[str, str] | None


def read_csv(text: str, *, currency: str | None, order: DayOrder | None) -> Statement:
    """The statement; ``currency`` is of files without such a column, ``order`` that of dates with slashes. Raises
    StatementRefused."""
    header, rows = _read(text)
    if len(rows) > ENTRIES_MAX:
        raise StatementRefused("too_many_entries", f"a file may have {ENTRIES_MAX} entries", rows[ENTRIES_MAX].line)
    given = Given(currency, order, _side_column(header, rows))
    bookings = [_booking(row, given) for row in rows]
    came = [booking for booking in bookings if booking is not None]
    return Statement(came, len(bookings) - len(came))


def _booking(row: Row, given: Given) -> Booking | None:
    cells = row.cells
    code = cells.get("currency") or given.currency
    if not code:
        raise StatementRefused("no_currency", "there is no currency; name the file's", row.line)
    asset = fields.asset_of(code, row.line)
    booked_on = fields.day(cells.get("booked_on", ""), row.line, given.order)
    units = _units(row, asset, given.side)
    value_date = fields.day(cells["value_date"], row.line, given.order) if cells.get("value_date") else None
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


def _side_column(header: Header, rows: Sequence[Row]) -> tuple[str, str] | None:
    """The column that says whether money came or went. One that is called a type says that or something else; where it
    says something else, a minus must stand somewhere, or all of the file would be taken for incoming."""
    if "amount" not in header.names:
        return None
    if "side" in header.names:
        return "side", header.title("side")
    if "kind" not in header.names:
        return None
    says_sides = any(sides.is_side(row.cells["kind"]) for row in rows)
    is_signed = any("-" in row.cells["amount"] for row in rows)
    return ("kind", header.title("kind")) if says_sides or not is_signed else None


def _units(row: Row, asset: str, side: tuple[str, str] | None) -> int:
    """What came in; zero or less for a line that brought nothing."""
    if "amount" not in row.cells:
        return _units_of_two(row, asset)
    units = fields.signed_units(row.cells["amount"], asset, row.line)
    if side is None:
        return units
    name, title = side
    if not sides.is_incoming(row.cells[name], title, row.line):
        return -abs(units)
    if units < 0:
        raise StatementRefused("bad_amount", f"the amount is below zero, and {title!r} says that it came", row.line)
    return units


def _units_of_two(row: Row, asset: str) -> int:
    """Banks leave the other column empty, or write a zero there."""
    came, went = row.cells.get("credit", ""), row.cells.get("debit", "")
    incoming = fields.signed_units(came, asset, row.line) if came else 0
    outgoing = fields.signed_units(went, asset, row.line) if went else 0
    if not (came or went) or (incoming and outgoing):
        raise StatementRefused("bad_amount", "either credit or debit must be filled in", row.line)
    return incoming or -abs(outgoing)


def _read(text: str) -> tuple[Header, Sequence[Row]]:
    if "\x00" in text:
        raise StatementRefused("not_csv", "The file holds bytes that no text has")
    lines = list(io.StringIO(text, newline=""))
    header = _header(lines)
    return header, list(islice(_rows(header, lines), ENTRIES_MAX + 1))


def _rows(header: Header, lines: Sequence[str]) -> Iterator[Row]:
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
        titles = _cells(text, delimiter, line)
        names = [_name(cell) for cell in titles]
        if "booked_on" in names and {"amount", "credit"} & set(names):
            _refuse_doubles(names, line)
            return Header(line, delimiter, _without_total(names, line), titles)
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


def _without_total(names: Sequence[str | None], line: int) -> Sequence[str | None]:
    """Beside a column for each direction the amount says nothing more; beside one of them it could mean either."""
    directed = {"credit", "debit"} & set(names)
    if "amount" not in names or not directed:
        return names
    if len(directed) == 1:
        raise StatementRefused("double_column", f"both amount and {directed.pop()} could be what came", line)
    return [None if name == "amount" else name for name in names]


def _name(cell: str) -> str | None:
    words = " ".join(cell.translate(_BETWEEN_WORDS).split()).lower()
    return next((name for name, spellings in COLUMNS.items() if words in spellings), None)
