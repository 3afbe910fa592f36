"""Commands for operators: verify and rebuild, with a progress bar, one line per fault, and exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress

from chassis.postgres import open_pool
from chassis.settings import SettingsError
from eventstore.mapper import EventMapper
from eventstore.postgres import PostgresEventStore
from eventstore.projector import Projector
from ledger.domain.events import EVENT_TYPES
from ledger.projections import proof
from ledger.projections.journal import JournalProjection
from ledger.settings import LedgerSettings, credit_terms

EXIT_FAULTS = 1
FAULTS_SHOWN_MAX = 1_000


async def verify(settings: LedgerSettings, *, as_json: bool) -> int:
    """Check hashes, trial balance, and wallets against postings; 1 on any fault."""
    asset = credit_terms(settings.marketplace_config).asset
    await _catch_up(settings)
    return await _report("verify", settings.database_url, as_json, lambda conn, bar: proof.verified(conn, asset, bar))


async def _catch_up(settings: LedgerSettings) -> None:
    """Bring the journal up to the log: a ledger that was stopped short left it a little behind, which is no fault."""
    try:
        pool = await open_pool(settings.database_url.get_secret_value(), max_size=1, application_name="ledger-verify")
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        raise _unreachable(error) from error
    async with pool:
        projector = Projector(pool, PostgresEventStore(pool), JournalProjection(EventMapper(EVENT_TYPES)))
        while await projector.run_once():
            pass


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
    try:
        total = await proof.count_events(conn)
        with Progress(console=Console(stderr=True), disable=as_json) as progress:
            task = progress.add_task(f"{name}: reading the log", total=total)
            found = [fault async for fault in faults(conn, lambda count: progress.advance(task, count))]
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
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> SettingsError:
    # Only the kind of the error: its text may hold the address with the password.
    return SettingsError(f"the ledger's database cannot be reached ({type(error).__name__})")
