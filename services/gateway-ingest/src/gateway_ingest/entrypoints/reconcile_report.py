"""A reconciliation's report for people (a table), for programs (JSON) and for spreadsheets (CSV). Decides nothing."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from typing import Any, TextIO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.amounts import format_units
from gateway_ingest.application.reconciling import Done, Finding, Report
from gateway_ingest.domain.reconciling import BookedPayment, Difference, Kind, ListedPayment

COLUMNS = (
    "kind", "payment_id", "reference", "user_id", "paid_at", "gateway_asset", "gateway_received", "gateway_returned",
    "ledger_asset", "ledger_received", "ledger_returned", "done",
)  # fmt: skip
HEADINGS = ("finding", "payment", "reference", "user", "paid at", "at the gateway", "on the books", "done")
WIDTH_WITHOUT_TERMINAL_CHARS = 200
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(report: Report, file: TextIO) -> None:
    """A line for each finding, below the names of the COLUMNS."""
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    for finding in report.findings:
        writer.writerow({name: _cell(value) for name, value in _row(finding).items()})


def write_json(report: Report, file: TextIO) -> None:
    """One document."""
    document = {
        "gateway": report.gateway,
        "from": report.window.since,
        "to": report.window.until,
        "paid_at_gateway": report.listed_count,
        "booked": report.credited_count,
        "findings": [_row(finding) for finding in report.findings],
        "totals": _totals(report),
        "open": sum(finding.is_open for finding in report.findings),
    }
    file.write(msgspec.json.encode(document).decode() + "\n")


def print_table(report: Report, file: TextIO) -> None:
    """The findings with their totals; without any, one line."""
    console = Console(file=file, highlight=False, width=None if file.isatty() else WIDTH_WITHOUT_TERMINAL_CHARS)
    since, until = report.window.since.isoformat(), report.window.until.isoformat()
    looked_at = f"{report.listed_count} paid at {report.gateway}, {report.credited_count} on the books"
    if report.findings:
        table = Table(*HEADINGS, title=f"{report.gateway}, {since} to {until}", title_justify="left")
        for finding in report.findings:
            table.add_row(*(Text(_plain(cell), overflow="fold") for cell in _cells(finding)))
        console.print(table)
    totals = ", ".join(f"{count} {name}" for name, count in _totals(report).items() if count) or "nothing differs"
    console.print(Text(f"{looked_at}: {totals}"), soft_wrap=True)


def _totals(report: Report) -> dict[str, int]:
    kinds = Counter(finding.difference.kind for finding in report.findings)
    done = Counter(finding.done for finding in report.findings)
    told: Sequence[Done] = (Done.REPAIRED, Done.TOLD_BEFORE, Done.SETTLED)
    return {kind.value: kinds[kind] for kind in Kind} | {each.value: done[each] for each in told}


def _row(finding: Finding) -> dict[str, Any]:
    """Amounts are decimal texts; what a side does not know is None."""
    found = finding.difference
    listed, booked = found.listed, found.booked
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"kind": found.kind.value, "payment_id": found.payment_id, "reference": found.reference}
    row |= {"user_id": _user(found), "done": finding.done.value}
    if listed is not None:
        asset = listed.confirmed.received.asset
        row |= {"paid_at": listed.paid_at.isoformat(), "gateway_asset": asset}
        row["gateway_received"] = format_units(listed.confirmed.received.units, asset)
        row["gateway_returned"] = format_units(listed.returned_units, asset)
    if booked is not None:
        row["ledger_asset"] = booked.asset
        row["ledger_received"] = format_units(booked.received_units, booked.asset)
        row["ledger_returned"] = format_units(booked.returned_units, booked.asset)
    return row


def _user(found: Difference) -> str | None:
    """The books' word counts; the gateway's is what its metadata said."""
    if found.booked is not None:
        return found.booked.user_id
    return None if found.listed is None else found.listed.confirmed.user_id


def _cells(finding: Finding) -> list[str]:
    row, found = _row(finding), finding.difference
    told = [row["kind"].replace("_", " "), row["payment_id"], row["reference"], row["user_id"], row["paid_at"]]
    return [text or "" for text in told] + [_at_gateway(found.listed), _on_books(found.booked), row["done"]]


def _at_gateway(listed: ListedPayment | None) -> str:
    if listed is None:
        return "not paid"
    received = listed.confirmed.received
    return _money(received.units, listed.returned_units, received.asset)


def _on_books(booked: BookedPayment | None) -> str:
    return "nothing" if booked is None else _money(booked.received_units, booked.returned_units, booked.asset)


def _money(received: int, returned: int, asset: str) -> str:
    back = f", {format_units(returned, asset)} back" if returned else ""
    return f"{format_units(received, asset)} {asset.partition('/')[0]}{back}"


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is kept a text: payers wrote some of them."""
    is_formula = isinstance(value, str) and value.startswith(FORMULA_STARTS)
    return f"'{value}" if is_formula else value


def _plain(text: str) -> str:
    """Without what would steer a terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
