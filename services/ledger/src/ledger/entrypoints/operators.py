"""Commands for operators: verify and rebuild, with a progress bar, one line per fault, and exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
from chassis.settings import SettingsError
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress

from ledger.projections import proof
from ledger.settings import LedgerSettings, credit_terms

EXIT_FAULTS = 1
FAULTS_SHOWN_MAX = 1_000


async def verify(settings: LedgerSettings, *, as_json: bool) -> int:
    """Check hashes, trial balance, and wallets against postings; 1 on any fault."""
    asset = credit_terms(settings.marketplace_config).asset
    return await _report("verify", settings.database_url, as_json, lambda conn, bar: proof.verified(conn, asset, bar))


async def rebuild(settings: LedgerSettings, *, as_json: bool) -> int:
    """Make wallets and journal anew in shadow tables and compare; 1 on any difference."""
    if settings.migration_database_url is None:
        raise SettingsError("ledger: MIGRATION_DATABASE_URL is not set; shadow tables need the owner's role")
    return await _report("rebuild", settings.migration_database_url, as_json, proof.rebuilt)


async def _report(
    name: str,
    dsn: SecretStr,
    as_json: bool,
    faults: Callable[[Any, proof.Progress], AsyncIterator[str]],
) -> int:
    conn = await _connect(dsn)
    found: list[str] = []
    try:
        total = await proof.count_events(conn)
        with Progress(console=Console(stderr=True), disable=as_json) as progress:
            task = progress.add_task(f"{name}: reading the log", total=total)
            async for fault in faults(conn, lambda count: progress.advance(task, count)):
                found.append(fault)
    finally:
        await conn.close()
    _print(name, total, found, as_json)
    return EXIT_FAULTS if found else 0


def _print(name: str, events: int, found: list[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"command": name, "events": events, "faults": found}))
        return
    for fault in found[:FAULTS_SHOWN_MAX]:
        print(fault, file=sys.stderr)
    print(f"{name}: {events} events, {len(found)} faults")


async def _connect(dsn: SecretStr) -> Any:
    try:
        return await asyncpg.connect(dsn.get_secret_value())
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        raise SettingsError(f"the ledger's database cannot be reached ({type(error).__name__})") from error
