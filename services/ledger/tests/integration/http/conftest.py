"""A ledger on a fresh database and a bus in memory, its engine and journal running, called over ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path

import httpx
import pytest_asyncio
from pydantic import SecretStr

from chassis.bus import open_bus
from chassis.postgres import open_pool
from chassis.runtime import StopSignal
from eventstore.projector import Projector
from ledger.bootstrap import Parts, make_parts
from ledger.domain.conversion import CreditTerms
from ledger.entrypoints.http.app import make_app
from ledger.projections.journal import JournalProjection
from ledger.settings import LedgerSettings
from testkit.postgres import DatabaseFactory

MIGRATIONS = Path(__file__).parents[3] / "migrations"
TOKEN = "token-of-the-test"
TERMS = CreditTerms("TFC/2", {"USD/2": Fraction(1)})


@pytest_asyncio.fixture
async def parts(make_database: DatabaseFactory) -> AsyncIterator[Parts]:
    database = make_database("ledger", migrations=MIGRATIONS)
    pool = await open_pool(database.app_dsn, max_size=6, application_name="ledger-test")
    bus = await open_bus("memory://")
    settings = LedgerSettings(
        database_url=SecretStr(database.app_dsn),
        migration_database_url=SecretStr(database.owner_dsn),
        bus_url=SecretStr("memory://"),
        service_token=SecretStr(TOKEN),
        marketplace_config=Path(__file__).parents[5] / "config/marketplace.toml",
    )
    made = make_parts(settings, TERMS, pool, bus)
    stop = StopSignal()
    projector = Projector(pool, made.store, JournalProjection(made.mapper), wakeup=made.journal_lags)
    running = [asyncio.create_task(made.engine.run(stop)), asyncio.create_task(projector.run(stop))]
    yield made
    balance = await _trial_balance_at_the_end(made)
    stop.set()
    await asyncio.gather(*running)
    await bus.close()
    await pool.close()
    assert balance == {"balanced": True, "wallets_off": []}


async def _trial_balance_at_the_end(parts: Parts) -> dict[str, object]:
    assert await parts.reader.wait_for_journal(None, 10)
    balance = await parts.reader.trial_balance()
    return {"balanced": balance.balanced, "wallets_off": list(balance.wallets_off or [])}


@pytest_asyncio.fixture
async def client(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=make_app(parts))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ledger", headers=headers) as made:
        yield made
