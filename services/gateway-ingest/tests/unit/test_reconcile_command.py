"""What ``reconcile`` takes, and what it prints of a report: a table, JSON, CSV."""

from __future__ import annotations

import argparse
import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway_ingest.application.reconciling import Done, Finding, Report
from gateway_ingest.domain.facts import Amount, Confirmed
from gateway_ingest.domain.reconciling import BookedPayment, Difference, Kind, ListedPayment, Window, unpaid
from gateway_ingest.entrypoints.reconcile_command import NotUsable, add_arguments, window_of
from gateway_ingest.entrypoints.reconcile_report import print_table, write_csv, write_json

NOW = datetime(2026, 11, 3, 1, 30, tzinfo=UTC)
DAY = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
PAID_AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["--gateway", "stripe", *given])


@pytest.mark.parametrize(
    "given",
    [
        ("--from", "2026-11-01", "--to", "2026-11-02"),
        ("--from", "2026-11-01T00:00:00Z", "--to", "2026-11-02T00:00"),
        ("--from", "2026-11-01T02:00+02:00", "--to", "2026-11-01T22:00-02:00"),
    ],
)
def test_a_day_in_every_writing(given: tuple[str, ...]) -> None:
    assert window_of(arguments(*given), NOW) == DAY


def test_the_last_days_are_whole_and_in_utc() -> None:
    late_in_the_east = NOW.astimezone(timezone(timedelta(hours=-3)))
    for now in (NOW, late_in_the_east):
        window = window_of(arguments("--days", "2"), now)
        assert window == Window(DAY.since, datetime(2026, 11, 3, tzinfo=UTC))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((), "--from and --to"),
        (("--from", "2026-11-01"), "--from and --to"),
        (("--from", "yesterday", "--to", "2026-11-02"), "--from is neither"),
        (("--from", "2026-11-01", "--to", "2026-02-30"), "--to is neither"),
        (("--from", "0001-01-01T00:00+14:00", "--to", "2026-11-02"), "--from is neither"),
        (("--from", "2026-11-02", "--to", "2026-11-02"), "later than"),
        (("--from", "2025-01-01", "--to", "2026-11-02"), "366 days"),
        (("--days", "0"), "from 1 to"),
        (("--days", "1", "--from", "2026-11-01"), "instead of"),
    ],
)
def test_what_cannot_be_asked_is_one_line(given: tuple[str, ...], says: str) -> None:
    with pytest.raises(NotUsable, match=says) as refused:
        window_of(arguments(*given), NOW)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given", [("--gateway", "bank"), ("--days", "two")])
def test_argparse_refuses_the_rest_with_2(given: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(*given)
    assert ended.value.code == 2


def report(*findings: Finding) -> Report:
    return Report("stripe", DAY, 7, 6, findings)


def orphan(reference: str = "REF1", user_id: str | None = "alice", done: Done = Done.LEFT) -> Finding:
    confirmed = Confirmed("pi_1", Amount(2500, "USD", 2), reference, user_id)
    return Finding(Difference(Kind.PAID_NOT_CREDITED, "pi_1", ListedPayment(confirmed, 500, PAID_AT), None), done)


GHOST = Finding(unpaid(BookedPayment("pi_2", "JPY/0", 300, 0, "bob", "REF2")), Done.LEFT)


def table(of: Report) -> str:
    shown = io.StringIO()
    print_table(of, shown)
    return shown.getvalue()


def test_the_table_shows_both_sides_and_totals() -> None:
    shown = table(report(orphan(), GHOST))
    (first,) = [line for line in shown.splitlines() if "pi_1" in line]
    (second,) = [line for line in shown.splitlines() if "pi_2" in line]
    for told in ("paid not credited", "REF1", "alice", "2026-11-01T12:00:00+00:00", "25.00 USD, 5.00 back", "nothing"):
        assert told in first
    for told in ("credited not paid", "REF2", "bob", "not paid", "300 JPY"):
        assert told in second
    totals = "7 paid at stripe, 6 on the books: 1 paid_not_credited, 1 credited_not_paid"
    assert shown.splitlines()[-1] == totals


def test_nothing_found_is_one_line() -> None:
    assert table(report()) == "7 paid at stripe, 6 on the books: nothing differs\n"


def test_what_a_payer_wrote_steers_no_terminal_and_marks_nothing_up() -> None:
    shown = table(report(orphan("\x1b[2J[bold]x\n", "[red]y")))
    assert "\x1b" not in shown
    assert "[bold]x" in shown
    assert "[red]y" in shown


def test_json_is_one_document_with_exact_amounts() -> None:
    file = io.StringIO()
    write_json(report(orphan(done=Done.REPAIRED), GHOST), file)
    told = json.loads(file.getvalue())
    assert (told["gateway"], told["from"], told["to"]) == ("stripe", "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")
    assert (told["paid_at_gateway"], told["booked"], told["open"]) == (7, 6, 1)
    assert told["totals"] == {
        "paid_not_credited": 1, "credited_not_paid": 1, "amount_differs": 0, "unallocated": 0,
        "repaired": 1, "told_before": 0, "settled": 0,
    }  # fmt: skip
    first, second = told["findings"]
    assert first == {
        "kind": "paid_not_credited", "payment_id": "pi_1", "reference": "REF1", "user_id": "alice",
        "paid_at": "2026-11-01T12:00:00+00:00", "gateway_asset": "USD/2", "gateway_received": "25.00",
        "gateway_returned": "5.00", "ledger_asset": None, "ledger_received": None, "ledger_returned": None,
        "done": "repaired",
    }  # fmt: skip
    assert (second["gateway_received"], second["ledger_received"], second["done"]) == (None, "300", "left")


def test_csv_has_a_line_for_each_finding_and_no_formula() -> None:
    file = io.StringIO()
    write_csv(report(orphan('=HYPERLINK("x")', "-1"), GHOST), file)
    first, second = csv.DictReader(io.StringIO(file.getvalue()))
    assert (first["reference"], first["user_id"]) == ('\'=HYPERLINK("x")', "'-1")
    assert (first["kind"], first["gateway_received"], first["ledger_received"]) == ("paid_not_credited", "25.00", "")
    assert (second["payment_id"], second["paid_at"], second["ledger_asset"]) == ("pi_2", "", "JPY/0")


def test_csv_of_nothing_has_its_heading() -> None:
    file = io.StringIO()
    write_csv(report(), file)
    assert file.getvalue().startswith("kind,payment_id,reference,")
    assert len(file.getvalue().splitlines()) == 1
