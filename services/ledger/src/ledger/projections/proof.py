"""Proofs that what is derived from the log still agrees with it: verify looks, rebuild makes anew and compares.

Both read one snapshot of the database, so they are true at one position also while the ledger runs. Neither changes
anything that lasts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from eventstore.mapper import EventMapper
from eventstore.postgres import PostgresEventStore
from eventstore.verify import faults
from ledger.domain.events import EVENT_TYPES, LedgerEvent, MoneyBack, WalletEvent
from ledger.domain.payment_states import payment_of_purchase
from ledger.domain.states import Books, evolve
from ledger.projections.balances import trial_balance
from ledger.projections.journal import JournalProjection
from ledger.projections.rows import TABLES, purchases, states_of

PAGE_MAX = 5_000
Progress = Callable[[int], None]

_SHADOWS = """
CREATE TEMP TABLE shadow_postings (LIKE journal_postings INCLUDING ALL) ON COMMIT DROP;
CREATE TEMP TABLE shadow_balances (LIKE account_balances INCLUDING ALL) ON COMMIT DROP;
CREATE TEMP TABLE shadow_wallets (LIKE wallets) ON COMMIT DROP;
"""
_FILL_WALLETS = """
INSERT INTO shadow_wallets (user_id, spendable, held, total_purchased, total_spent, total_refunded, version, head_hash)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::bytea[])
"""
_WALLETS_DIFFER = """
SELECT user_id, row_to_json(l)::text AS live, row_to_json(s)::text AS rebuilt
FROM (SELECT * FROM wallets WHERE version > 0) AS l
FULL JOIN shadow_wallets AS s USING (user_id) WHERE l IS DISTINCT FROM s ORDER BY user_id
"""
# A chain proves what stands in it, not that its end is still there: the wallet's row remembers that.
_HEADS_DIFFER = """
SELECT w.user_id FROM wallets AS w
LEFT JOIN stored_events AS e ON e.originator_id = 'wallet:' || w.user_id AND e.originator_version = w.version
LEFT JOIN stored_events AS beyond
    ON beyond.originator_id = 'wallet:' || w.user_id AND beyond.originator_version = w.version + 1
WHERE beyond.hash IS NOT NULL OR (w.version > 0 AND e.hash IS DISTINCT FROM w.head_hash) ORDER BY w.user_id
"""
_POSTINGS_DIFFER = """
SELECT account, position, line FROM journal_postings AS l FULL JOIN shadow_postings AS s
USING (account, position, line, asset, amount, reference)
WHERE l.recorded_at IS NULL OR s.recorded_at IS NULL ORDER BY position, line
"""
_BALANCES_DIFFER = """
SELECT account, asset, l.posted AS live, s.posted AS rebuilt FROM account_balances AS l
FULL JOIN shadow_balances AS s USING (account, asset)
WHERE coalesce(l.posted, 0) <> coalesce(s.posted, 0) ORDER BY account, asset
"""
_CHECKPOINT = "SELECT coalesce((SELECT position FROM projection_checkpoints WHERE name = 'journal'), 0)"


async def count_events(conn: Any) -> int:
    """How many events the log has, for a progress bar."""
    return int(await conn.fetchval("SELECT count(*) FROM stored_events"))


async def verified(conn: Any, asset: str, progress: Progress) -> AsyncIterator[str]:
    """Every fault of hashes, trial balance and wallets, in words."""
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        async for fault in faults(conn, progress):
            yield f"hash: {fault.stream} version {fault.version}: {fault.what}"
        heads_off = [row["user_id"] for row in await conn.fetch(_HEADS_DIFFER)]
        balance = await trial_balance(conn, asset)
    for user_id in heads_off:
        yield f"head: the stream of {user_id} does not end where its wallet says"
    for name, total in balance.sums.items():
        if total:
            yield f"trial balance: {name} is off by {total}"
    for user_id in sorted(set(balance.wallets_off or ())):
        yield f"wallet: {user_id} is not what its postings sum to"
    if balance.wallets_off is None:
        yield f"journal: it stands at position {balance.position}, behind the log; run the ledger and verify again"


async def rebuilt(conn: Any, progress: Progress) -> AsyncIterator[str]:
    """Make wallets, journal and what is kept beside them anew from the log, and tell every difference, in words."""
    async with conn.transaction(isolation="repeatable_read"):
        await conn.execute(_SHADOWS)
        books, baseless = await _fill(conn, progress)
        for fault in baseless:
            yield fault
        async for difference in _states_differ(conn, books):
            yield difference
        for row in await conn.fetch(_WALLETS_DIFFER):
            yield f"wallet: {row['user_id']} is {_values(row['live'])}, rebuilt {_values(row['rebuilt'])}"
        for row in await conn.fetch(_POSTINGS_DIFFER):
            yield f"posting: {row['account']} at position {row['position']}, line {row['line']}"
        for row in await conn.fetch(_BALANCES_DIFFER):
            yield f"balance: {row['account']} {row['asset']} is {row['live']}, rebuilt {row['rebuilt']}"


async def _fill(conn: Any, progress: Progress) -> tuple[Books, list[str]]:
    """The books by the log alone, and the events that build on what the log does not have."""
    mapper = EventMapper(EVENT_TYPES)
    journal = JournalProjection(mapper, postings="shadow_postings", balances="shadow_balances")
    store, checkpoint = PostgresEventStore(conn), await conn.fetchval(_CHECKPOINT)
    books = Books()
    heads: dict[str, bytes] = {}
    baseless: list[str] = []
    position = 0
    while page := await store.read_log(position, limit=PAGE_MAX, within=conn):
        # The journal is compared as far as it came; wallets are as fresh as the log.
        await journal.apply(conn, [event for event in page if event.position <= checkpoint])
        made = [mapper.to_domain_event(recorded.stored()) for recorded in page]
        await _know_payments(conn, mapper, books, made)
        for recorded, event in zip(page, made, strict=True):
            try:
                evolve(books, event)
            except (KeyError, AssertionError):
                baseless.append(f"event: {recorded.stream} version {recorded.version} builds on what is not in the log")
            if isinstance(event, WalletEvent):
                heads[event.user_id] = recorded.hash
        position = page[-1].position
        progress(len(page))
    columns = [list(column) for column in zip(*_rows(books, heads), strict=True)]
    if columns:
        await conn.execute(_FILL_WALLETS, *columns)
    return books, baseless


async def _know_payments(conn: Any, mapper: EventMapper, books: Books, made: Sequence[LedgerEvent]) -> None:
    """Payments have no row, and take no memory here, until something of them goes back."""
    named = {f"{event.gateway}:{event.payment_id}" for event in made if isinstance(event, MoneyBack)}
    unknown = named.difference(books.payments)
    if unknown:
        found = await purchases(conn, mapper, sorted(unknown))
        books.payments.update({key: payment_of_purchase(event) for key, event in found.items()})


async def _states_differ(conn: Any, books: Books) -> AsyncIterator[str]:
    replayed: Mapping[str, dict[str, Any]] = {
        "charge": dict(books.charges),
        "payment": dict(books.payments),
        "quote": dict(books.quotes),
        "dispute": dict(books.disputes),
    }
    for name in TABLES:
        left = replayed[name]
        async for key, live in states_of(conn, name):
            rebuilt = left.pop(key, None)
            if live != rebuilt:
                yield f"{name}: {key} is {_fields(live)}, rebuilt {_fields(rebuilt)}"
        for key in sorted(left):
            yield f"{name}: {key} is missing, rebuilt {_fields(left[key])}"


def _fields(state: Any) -> str:
    if state is None:
        return "missing"
    return ", ".join(f"{field.name} {getattr(state, field.name)}" for field in fields(state))


def _rows(books: Books, heads: dict[str, bytes]) -> Iterator[tuple[Any, ...]]:
    for user_id, wallet in books.wallets.items():
        yield (*wallet, heads[user_id])


def _values(row: str | None) -> str:
    if row is None:
        return "missing"
    columns = json.loads(row)
    return ", ".join(f"{name} {value}" for name, value in columns.items() if name not in ("user_id", "head_hash"))
