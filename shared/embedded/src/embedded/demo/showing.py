"""How the demo looks: on a terminal with rich, or as one JSON object. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from embedded.demo.story import Check, Posting, Step, Telling


def show_step(console: Console, step: Step) -> None:
    """What was done, the balance after it, and each check."""
    console.print(f"\n[bold]{escape(step.title)}[/bold]")
    console.print(f"  balance [green]{step.available}[/green]  held [yellow]{step.held}[/yellow]")
    _show_checks(console, step.checks)


def show_ending(console: Console, told: Telling) -> None:
    """The journal, the trial balance, and the verdict."""
    console.print()
    console.print(_journal(told.postings))
    console.print(_trial_balance(told.trial_balance))
    _show_checks(console, told.closing)
    verdict = "[bold green]All is as it must be.[/]" if told.holds else "[bold red]Something is not as it must be.[/]"
    console.print(f"\n{verdict}")


def as_json(told: Telling) -> str:
    """Everything; amounts are decimal strings."""
    told_of = asdict(told)
    for check in (*(check for step in told_of["steps"] for check in step["checks"]), *told_of["closing"]):
        check["holds"] = check["expected"] == check["seen"]
    return json.dumps({"holds": told.holds, **told_of}, default=_plain)


def _show_checks(console: Console, checks: Iterable[Check]) -> None:
    for check in checks:
        if check.holds:
            console.print(f"  [green]✓[/green] {escape(check.what)}: {escape(check.seen)}")
        else:
            console.print(f"  [red]✗ {escape(check.what)}: {escape(check.seen)}, not {escape(check.expected)}[/red]")


def _journal(postings: Iterable[Posting]) -> Table:
    table = Table(title="Journal entries of this story", title_justify="left")
    table.add_column("reference", overflow="fold")
    table.add_column("account", overflow="fold")
    table.add_column("amount", justify="right", no_wrap=True)
    table.add_column("asset", no_wrap=True)
    last = None
    for line in sorted(postings, key=lambda line: line.position):
        if last not in (None, line.reference):
            table.add_section()
        shown = line.reference if line.reference != last else ""
        table.add_row(shown, line.account, f"{line.amount:+}", line.asset)
        last = line.reference
    return table


def _trial_balance(balance: dict[str, Any]) -> Table:
    table = Table(title=f"Trial balance at position {balance['position']}", title_justify="left")
    table.add_column("asset")
    table.add_column("sum of all postings", justify="right")
    for asset in balance["assets"]:
        table.add_row(asset["asset"], asset["sum"])
    return table


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is nothing that the demo tells of")
