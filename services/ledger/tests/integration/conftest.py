"""Whatever a test does to a ledger's books, at its end they are proven from the log alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from chassis.bus.postgres_log import MIGRATIONS as BUS_MIGRATIONS
from embedded.provisioning import DatabaseAccess
from eventstore.mapper import EventMapper
from eventstore.port import StoredEvent
from eventstore.verify import faults
from ledger.domain.events import EVENT_TYPES, WalletEvent
from ledger.domain.states import Wallet, evolve_wallet
from testkit.kafka import KafkaFactory
from testkit.loop_thread import LoopThread
from testkit.postgres import DatabaseFactory

DAMAGES_THE_BOOKS = "proof"
"""The folder whose tests do so on purpose."""


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    with capture_logs():
        yield


@pytest.fixture(scope="session")
def prover() -> Iterator[LoopThread]:
    thread = LoopThread("prover")
    yield thread
    thread.close()


@pytest.fixture
def make_database(
    make_database: DatabaseFactory, prover: LoopThread, request: pytest.FixtureRequest
) -> Iterator[DatabaseFactory]:
    """testkit's factory; every ledger made by it is proven before it is dropped, so no test can forget to."""
    made: list[DatabaseAccess] = []

    def make(service: str = "database", *, migrations: Path | None = None) -> DatabaseAccess:
        database = make_database(service, migrations=migrations)
        if service == "ledger":
            made.append(database)
        return database

    yield make
    if DAMAGES_THE_BOOKS in request.path.parent.parts:
        return
    for database in made:
        assert prover.call(wrong_with(database.owner_dsn)) == []


async def wrong_with(dsn: str) -> list[str]:
    """What is wrong with the books, from nothing but stored events and wallet rows."""
    conn = await asyncpg.connect(dsn)
    try:
        wrong = [f"{fault.stream} {fault.version}: {fault.what}" async for fault in faults(conn)]
        stored = await conn.fetch("SELECT * FROM stored_events ORDER BY notification_id")
        rows = await conn.fetch("SELECT * FROM wallets WHERE version > 0 OR spendable <> 0 OR held <> 0")
        heads = await conn.fetch(
            "SELECT DISTINCT ON (originator_id) originator_id, hash FROM stored_events "
            "ORDER BY originator_id, originator_version DESC"
        )
        references = await conn.fetch("SELECT stream, version, reference FROM command_references")
    finally:
        await conn.close()
    folded, sums, told = folded_from(stored)
    wrong += [f"{asset} is off by {total}" for asset, total in sums.items() if total]
    live = {row["user_id"]: Wallet(*(row[name] for name in Wallet._fields)) for row in rows}
    wrong += [
        f"wallet {user}: {live.get(user)}, folded {folded.get(user)}"
        for user in {*live, *folded}
        if live.get(user) != folded.get(user)
    ]
    head_of = {row["originator_id"]: row["hash"] for row in heads}
    wrong += [
        f"wallet {row['user_id']} has another head"
        for row in rows
        if row["head_hash"] != head_of.get(f"wallet:{row['user_id']}")
    ]
    if {(row["stream"], row["version"], row["reference"]) for row in references} != told:
        wrong.append("references are not those of the events")
    return wrong


def folded_from(stored: list[asyncpg.Record]) -> tuple[dict[str, Wallet], Counter[str], set[tuple[str, int, str]]]:
    """Wallets, the sum of all postings by asset, and the references of all events."""
    mapper = EventMapper(EVENT_TYPES)
    wallets: dict[str, Wallet] = {}
    sums: Counter[str] = Counter()
    told = set()
    for row in stored:
        event = mapper.to_domain_event(
            StoredEvent(row["originator_id"], row["originator_version"], row["topic"], row["state"])
        )
        told.add((row["originator_id"], row["originator_version"], event.reference))
        for posting in event.postings:
            sums[posting.asset] += posting.amount
        if isinstance(event, WalletEvent):
            wallets[event.user_id] = evolve_wallet(wallets.get(event.user_id) or Wallet(event.user_id), event)
    return wallets, sums, told


@pytest.fixture(params=["postgresql", "kafka"])
def bus_url(request: pytest.FixtureRequest) -> str:
    """A bus of the test's own, on each adapter."""
    if request.param == "kafka":
        make_kafka: KafkaFactory = request.getfixturevalue("make_kafka")
        return make_kafka().url
    make_database: DatabaseFactory = request.getfixturevalue("make_database")
    return make_database("bus", migrations=BUS_MIGRATIONS).app_dsn
