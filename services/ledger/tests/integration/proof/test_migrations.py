"""Books that were kept before a migration agree with their log after it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import asyncpg
import pytest

from chassis.clock import SystemClock
from chassis.migrate import migrate
from chassis.postgres import open_pool
from chassis.runtime import StopSignal
from eventstore.mapper import EventMapper
from eventstore.postgres import PostgresEventStore
from ledger.adapters.books import PostgresBooks
from ledger.application.engine import Engine
from ledger.application.work import Work
from ledger.domain.commands import AllocatePayment, CreditPayment, KeepQuote, ReversePayment
from ledger.domain.conversion import CreditTerms
from ledger.domain.events import EVENT_TYPES
from ledger.projections import proof
from testkit.postgres import DatabaseFactory

MIGRATIONS = Path(__file__).parents[3] / "migrations"
TERMS = CreditTerms("TFC/2", {"USD/2": Fraction(1)})
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
# As the tables were before: what the new columns say must come from the log.
BEFORE_WAYS_BACK = """
ALTER TABLE payments DROP COLUMN told_total, DROP COLUMN failed_total, DROP COLUMN single_total,
    DROP COLUMN lost_total, DROP COLUMN disputed_total, DROP COLUMN credits_forgiven, DROP COLUMN credits_disputed,
    DROP COLUMN worth, DROP COLUMN worth_asset;
ALTER TABLE quotes DROP COLUMN received, DROP COLUMN given;
DROP TABLE disputes;
ALTER TABLE consumer_offsets DROP COLUMN last_record;
DELETE FROM schema_migrations WHERE version >= 2;
"""


def paid(payment_id: str, received: int, ours: str | None, *, hours: int = 0, asset: str = "USD/2") -> CreditPayment:
    return CreditPayment("stripe", payment_id, received, asset, NOON + timedelta(hours=hours), None, ours)


def quote(ours: str) -> KeepQuote:
    return KeepQuote(ours, "alice", "stripe", 2500, "USD/2", 2500, 250, NOON + timedelta(hours=1))


WHAT_WAS_KNOWN = (
    quote("FILLED"),
    paid("pi_1", 1000, "FILLED"),
    paid("pi_2", 2500, "FILLED"),
    paid("pi_3", 70, "FILLED"),
    paid("pi_4", 80, "FILLED", hours=2),
    quote("BEGUN"),
    paid("pi_5", 1000, "BEGUN"),
    paid("pi_6", 300, "LATER"),
    ReversePayment("stripe", "pi_6", 100, "USD/2"),
    AllocatePayment("stripe:pi_6", "alice"),
    quote("LATER"),
    paid("pi_7", 900, "UNKNOWN"),
    ReversePayment("stripe", "pi_7", 100, "USD/2"),
    ReversePayment("stripe", "pi_1", 400, "USD/2"),
)


@pytest.mark.asyncio
async def test_what_is_told_of_ways_back_and_pieces_comes_from_the_log(make_database: DatabaseFactory) -> None:
    database = make_database("ledger", migrations=MIGRATIONS)
    pool = await open_pool(database.app_dsn, max_size=4, application_name="ledger-test")
    engine = Engine(PostgresBooks(pool, PostgresEventStore(pool), EventMapper(EVENT_TYPES)), TERMS, SystemClock())
    stop = StopSignal()
    running = asyncio.create_task(engine.run(stop))
    for command in WHAT_WAS_KNOWN:
        await engine.settle(Work(command=command))
    stop.set()
    await running
    await pool.close()
    owner = await asyncpg.connect(database.owner_dsn)
    before = await owner.fetch("SELECT payment_reference, received, given FROM quotes ORDER BY 1")
    assert [tuple(row) for row in before] == [("BEGUN", 1000, 1000), ("FILLED", 3570, 3570), ("LATER", 0, 0)]
    await owner.execute(BEFORE_WAYS_BACK)
    assert await migrate(database.owner_dsn, MIGRATIONS) == ["0002_ways_back", "0003_whose_log_it_was"]
    assert [difference async for difference in proof.rebuilt(owner, lambda _: None)] == []
    assert await owner.fetch("SELECT payment_reference, received, given FROM quotes ORDER BY 1") == before
    await owner.close()
