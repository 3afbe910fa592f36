"""``make demo``: on a stack that runs, and on one of its own; it says so when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

BALANCES = [("25.00", "0.00"), ("15.00", "0.00"), ("15.00", "0.00"), ("15.00", "0.00")]


def settled_balances(told: Any) -> list[tuple[str, str]]:
    """After each step but the two purchases, whose work may or may not be done when the balance is read."""
    unsettled = ("Buy now: web-server", "Buy now: demo-fails")
    return [(step["available"], step["held"]) for step in told["steps"] if not step["title"].startswith(unsettled)]


def test_the_demo_tells_the_money_s_way(stack: Any) -> None:
    result = stack.command("demo", "--json")

    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["holds"] is True
    assert settled_balances(told) == BALANCES
    assert {(line["account"], line["amount"]) for line in told["postings"] if line["account"] == "grid:payable"} == {
        ("grid:payable", "9.00"),
        ("grid:payable", "-9.00"),
    }
    assert all(Decimal(asset["sum"]) == 0 for asset in told["trial_balance"]["assets"])
    assert "Journal entries" in result.stderr


def test_without_a_stack_the_demo_starts_one_and_takes_it_away(new_stack: Callable[..., Any]) -> None:
    stack = new_stack(TMPDIR="")
    stack.environment["TMPDIR"] = str(stack.folder)

    result = stack.command("demo", "--json")

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["holds"] is True
    assert not stack.data_dir.exists()
    assert list(Path(stack.folder).iterdir()) == []


def test_the_demo_fails_when_the_gateway_is_not_believed(stack: Any) -> None:
    service_token = stack.note().environments["ledger"]["SERVICE_TOKEN"]
    other = {"STRIPE_WEBHOOK_SECRET": "whsec_wrong", "SERVICE_TOKEN": service_token, "DATA_DIR": str(stack.folder)}
    environment, stack.environment = stack.environment, {**stack.environment, **other}
    try:
        result = stack.command("demo", "--json")
    finally:
        stack.environment = environment

    assert result.returncode == 1
    assert result.stdout == ""
    assert "answered 400" in result.stderr
