"""verify and rebuild find nothing in sound books, and every kind of damage in damaged ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis.clock import SystemClock
from chassis.postgres import open_pool
from chassis.runtime import StopSignal
from eventstore.mapper import EventMapper
from eventstore.postgres import PostgresEventStore
from eventstore.projector import Projector
from ledger.adapters.books import PostgresBooks
from ledger.application.engine import Engine
from ledger.application.work import Work
from ledger.domain.commands import (
    CaptureHold,
    CreditPayment,
    HoldCredits,
    KeepQuote,
    ReportDispute,
    ReportRefund,
    ReturnHold,
    Transfer,
)
from ledger.domain.conversion import CreditTerms
from ledger.domain.events import EVENT_TYPES
from ledger.projections import proof
from ledger.projections.journal import JournalProjection
from testkit.postgres import DatabaseFactory

MIGRATIONS = Path(__file__).parents[3] / "migrations"
TERMS = CreditTerms("TFC/2", {"USD/2": Fraction(1)})


@pytest_asyncio.fixture
async def books(make_database: DatabaseFactory) -> AsyncIterator[asyncpg.Connection]:
    """A few wallets with a history, on a connection of the owner, who can damage them."""
    database = make_database("ledger", migrations=MIGRATIONS)
    pool = await open_pool(database.app_dsn, max_size=4, application_name="ledger-test")
    mapper, store = EventMapper(EVENT_TYPES), PostgresEventStore(pool)
    engine = Engine(PostgresBooks(pool, store, mapper), TERMS, SystemClock())
    stop = StopSignal()
    running = asyncio.create_task(engine.run(stop))
    for user in ("alice", "bob"):
        await engine.settle(Work(command=CreditPayment("stripe", f"pi_{user}", 5000, "USD/2", datetime.now(UTC), user)))
    for command in (
        HoldCredits("alice", "d-1", "web", "Web", 1000),
        CaptureHold("d-1", 100, 900),
        HoldCredits("bob", "d-2", "web", "Web", 1000),
        ReturnHold("d-2"),
        Transfer("t-1", "alice", "carol", 500),
        ReportRefund("stripe", "pi_alice", "re_1", 1000, "USD/2", "succeeded"),
        ReportDispute("stripe", "pi_bob", "dp_1", "opened", 2000, "USD/2"),
        KeepQuote("QREF1", "carol", "stripe", 700, "USD/2", 700, 70, datetime.now(UTC) + timedelta(hours=1)),
        CreditPayment("stripe", "pi_carol", 600, "USD/2", datetime.now(UTC), None, "QREF1"),
        CreditPayment("stripe", "pi_nobody", 600, "USD/2", datetime.now(UTC)),
    ):
        await engine.settle(Work(command=command))
    stop.set()
    await running
    projector = Projector(pool, store, JournalProjection(mapper))
    while await projector.run_once():
        pass
    await pool.close()
    owner = await asyncpg.connect(database.owner_dsn)
    yield owner
    await owner.close()


async def found(faults: AsyncIterator[str]) -> list[str]:
    return [fault async for fault in faults]


def quiet(_: int) -> None:
    """Hears how many events were read."""


async def verified(conn: Any) -> list[str]:
    return await found(proof.verified(conn, "TFC/2", quiet))


@pytest.mark.asyncio
async def test_sound_books_have_no_fault(books: asyncpg.Connection) -> None:
    assert await verified(books) == []
    assert await found(proof.rebuilt(books, quiet)) == []


@pytest.mark.asyncio
async def test_rebuild_leaves_nothing_behind(books: asyncpg.Connection) -> None:
    before = await books.fetchval("SELECT count(*) FROM pg_class")
    read: list[int] = []
    await found(proof.rebuilt(books, read.append))
    assert sum(read) == await proof.count_events(books)
    assert await books.fetchval("SELECT count(*) FROM pg_class") == before


@pytest.mark.asyncio
async def test_a_changed_event_is_found(books: asyncpg.Connection) -> None:
    await books.execute(
        """
        ALTER TABLE stored_events DISABLE TRIGGER ALL;
        UPDATE stored_events SET state = replace(convert_from(state, 'UTF8'), '5000', '6000')::bytea
        WHERE originator_id = 'wallet:alice' AND originator_version = 1
        """
    )
    assert [fault for fault in await verified(books) if fault.startswith("hash: wallet:alice version 1")]
    assert [fault for fault in await found(proof.rebuilt(books, quiet)) if "wallet: alice" in fault]


@pytest.mark.asyncio
async def test_a_wallet_that_was_tampered_with_is_found(books: asyncpg.Connection) -> None:
    await books.execute("UPDATE wallets SET spendable = spendable + 1 WHERE user_id = 'bob'")
    assert await verified(books) == ["wallet: bob is not what its postings sum to"]
    assert [fault.split(" is ")[0] for fault in await found(proof.rebuilt(books, quiet))] == ["wallet: bob"]


@pytest.mark.asyncio
async def test_a_posting_that_is_missing_is_found(books: asyncpg.Connection) -> None:
    await books.execute("DELETE FROM journal_postings WHERE account = 'grid:payable'")
    assert [fault.split(" at ")[0] for fault in await found(proof.rebuilt(books, quiet))] == ["posting: grid:payable"]


@pytest.mark.asyncio
async def test_an_account_that_was_tampered_with_is_found(books: asyncpg.Connection) -> None:
    await books.execute("UPDATE account_balances SET posted = posted + 5 WHERE account = 'platform:commission'")
    assert await verified(books) == ["trial balance: TFC/2 is off by 5"]
    assert [fault.split(" is ")[0] for fault in await found(proof.rebuilt(books, quiet))] == [
        "balance: platform:commission TFC/2"
    ]


@pytest.mark.asyncio
async def test_a_removed_event_is_found(books: asyncpg.Connection) -> None:
    await books.execute(
        """
        ALTER TABLE stored_events DISABLE TRIGGER ALL;
        DELETE FROM stored_events WHERE originator_id = 'wallet:alice' AND originator_version = 2
        """
    )
    assert "hash: wallet:alice version 3: version 3 follows 1" in await verified(books)


@pytest.mark.asyncio
async def test_a_stream_that_was_cut_off_is_found(books: asyncpg.Connection) -> None:
    await books.execute(
        """
        ALTER TABLE stored_events DISABLE TRIGGER ALL;
        DELETE FROM stored_events WHERE originator_id = 'wallet:alice'
        AND originator_version = (SELECT version FROM wallets WHERE user_id = 'alice')
        """
    )
    assert "head: the stream of alice does not end where its wallet says" in await verified(books)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("damage", "found_as"),
    [
        ("UPDATE charges SET commission = commission + 1 WHERE deployment_id = 'd-1'", "charge: d-1 is "),
        (
            "UPDATE payments SET single_total = 999 WHERE payment_key = 'stripe:pi_alice'",
            "payment: stripe:pi_alice is ",
        ),
        ("DELETE FROM payments WHERE payment_key = 'stripe:pi_nobody'", "payment: stripe:pi_nobody is missing"),
        ("UPDATE quotes SET given = 0", "quote: QREF1 is "),
        ("UPDATE disputes SET state = 'won'", "dispute: stripe:pi_bob:dp_1 is "),
        (
            "INSERT INTO disputes SELECT 'stripe:pi_bob:dp_2', payment_key, gateway, payment_id, 'dp_2', 5, state "
            "FROM disputes",
            "dispute: stripe:pi_bob:dp_2 is ",
        ),
    ],
)
async def test_a_row_beside_the_wallets_that_was_tampered_with_is_found(
    books: asyncpg.Connection, damage: str, found_as: str
) -> None:
    await books.execute(damage)
    [fault] = await found(proof.rebuilt(books, quiet))
    assert fault.startswith(found_as)


@pytest.mark.asyncio
async def test_an_event_that_builds_on_a_removed_one_is_found(books: asyncpg.Connection) -> None:
    await books.execute(
        """
        ALTER TABLE stored_events DISABLE TRIGGER ALL;
        DELETE FROM stored_events WHERE topic = 'ledger.CreditsHeld' AND originator_id = 'wallet:alice'
        """
    )
    assert "event: wallet:alice version 3 builds on what is not in the log" in await found(proof.rebuilt(books, quiet))
