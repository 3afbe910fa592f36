"""``python -m gateway_ingest reconcile``: a gateway's own list against the ledger, for an operator or a schedule.

Exit codes: 0 nothing is left to look at, 1 something is, 2 asked for wrongly, or something was away: then nothing is
known, and one line on standard error says why. ``--if-set-up`` makes it 0 where the gateway has no keys.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from chassis.clock import SystemClock
from chassis.errors import OperationalError
from chassis.logging import configure_logging
from chassis.settings import SettingsError, load
from gateway_ingest.application.reconciling import Report
from gateway_ingest.bootstrap.reconciling import LISTING, NotSetUp, reconciliation
from gateway_ingest.domain.reconciling import Window
from gateway_ingest.entrypoints.reconcile_report import print_table, write_csv, write_json
from gateway_ingest.settings import IngestSettings

NOTHING_LEFT, SOMETHING_LEFT, UNKNOWN = 0, 1, 2
DAYS_MAX = 366
"""The ids of all payments in between are held in memory."""


class NotUsable(Exception):
    """The command was asked for wrongly. The text is one line."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``run`` reads."""
    parser.add_argument("--gateway", required=True, choices=sorted(LISTING))
    parser.add_argument("--from", dest="since", metavar="TIME", help="date or ISO time, UTC where it names no zone")
    parser.add_argument("--to", dest="until", metavar="TIME", help="likewise; what was paid at it is not included")
    parser.add_argument("--days", type=int, metavar="N", help="instead of both: the last N whole days, in UTC")
    parser.add_argument(
        "--repair", action="store_true", help="tell the books what came or went back without their news"
    )
    parser.add_argument(
        "--if-set-up", action="store_true", help="end well where the gateway's keys are not set: for a schedule"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the findings there, too")


async def run(arguments: argparse.Namespace) -> int:
    """Do it, and answer the exit code."""
    try:
        settings = load(IngestSettings)
        # Log lines would stand in what is printed for programs.
        configure_logging(settings.service, settings.log_format, stream=sys.stderr)
        report = await reconcile(settings, arguments, SystemClock().now())
    except (NotUsable, SettingsError, OperationalError, OSError) as error:
        if isinstance(error, NotSetUp) and arguments.if_set_up:
            print(f"nothing to compare: {error}", file=sys.stderr)
            return NOTHING_LEFT
        print(f"error: {error}", file=sys.stderr)
        return UNKNOWN
    return SOMETHING_LEFT if any(finding.is_open for finding in report.findings) else NOTHING_LEFT


async def reconcile(settings: IngestSettings, arguments: argparse.Namespace, now: datetime) -> Report:
    """What was found, printed and written where it is asked for. Raises NotUsable, SettingsError, OperationalError,
    and OSError for a file that cannot be written."""
    window = window_of(arguments, now)
    with _opened(arguments.csv) as file:
        report = await _reconciled(settings, arguments, window)
        _tell(report, file, as_json=arguments.json)
    return report


def window_of(arguments: argparse.Namespace, now: datetime) -> Window:
    """What is asked for. Raises NotUsable."""
    if arguments.days is not None:
        return _last_days(arguments, now)
    if arguments.since is None or arguments.until is None:
        raise NotUsable("say from when and to when: --from and --to, or --days")
    window = Window(_moment("--from", arguments.since), _moment("--to", arguments.until))
    if window.since >= window.until:
        raise NotUsable("--to must be later than --from")
    if window.until - window.since > timedelta(days=DAYS_MAX):
        raise NotUsable(f"--from and --to are more than {DAYS_MAX} days apart")
    return window


def _last_days(arguments: argparse.Namespace, now: datetime) -> Window:
    if arguments.since is not None or arguments.until is not None:
        raise NotUsable("--days stands instead of --from and --to")
    if not 1 <= arguments.days <= DAYS_MAX:
        raise NotUsable(f"--days must be from 1 to {DAYS_MAX}")
    today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    return Window(today - timedelta(days=arguments.days), today)


def _moment(option: str, text: str) -> datetime:
    try:
        told = datetime.fromisoformat(text)
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotUsable(f"{option} is neither a date (2026-11-01) nor an ISO time (2026-11-01T12:00:00Z)") from None


async def _reconciled(settings: IngestSettings, arguments: argparse.Namespace, window: Window) -> Report:
    with Bar(sys.stderr) as bar:
        async with reconciliation(settings, arguments.gateway, bar) as reconciling:
            return await reconciling.run(window, repair=arguments.repair)


def _tell(report: Report, file: TextIO | None, *, as_json: bool) -> None:
    if file is not None:
        write_csv(report, file)
    show = write_json if as_json else print_table
    show(report, sys.stdout)


def _opened(path: Path | None) -> Any:
    """Before anything is asked: a path that cannot be written to must not cost a long run."""
    return nullcontext() if path is None else path.open("w", newline="", encoding="utf-8")


class Bar:
    """See application.reconciling_ports.Progress. Drawn only where somebody watches: on a terminal."""

    def __init__(self, file: TextIO) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(file=file), transient=True, disable=not file.isatty())
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._progress.stop()

    def begin(self, phase: str, total: int | None) -> None:
        """See the port."""
        self._task = self._progress.add_task(phase, total=total)

    def step(self, count: int = 1) -> None:
        """See the port."""
        assert self._task is not None, "a step belongs to a phase"
        self._progress.advance(self._task, count)
