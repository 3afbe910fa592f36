"""The books on PostgreSQL: one transaction that reads states, locks them in id order and writes them back.

Every statement takes arrays, so that a batch of a thousand costs as many round trips as a batch of one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

import asyncpg

from chassis import dead_letters, inbox, waiting
from chassis.bus.port import Record, TopicPartition
from chassis.errors import OperationalError, PoisonMessage
from chassis.postgres import is_data_error, is_transient
from eventstore.chaining import rows_of
from eventstore.mapper import EventMapper
from eventstore.port import StoredEvent, StreamHead, VersionConflict
from eventstore.postgres import PostgresEventStore
from ledger.adapters import books_sql as sql
from ledger.adapters.books_rows import (
    charge_columns,
    charge_of,
    dispute_columns,
    dispute_of,
    payment_columns,
    payment_of,
    quote_columns,
    quote_of,
    wallet_columns,
    wallet_of,
)
from ledger.application.ports import DataRefused, KeptAnswer, RaceLost, WrittenBatch
from ledger.application.work import Answer, Delivery
from ledger.domain.events import LedgerEvent
from ledger.domain.states import Charge, Dispute, KnownReference, Payment, Quote, Wallet

GROUP = "ledger"
"""Consumer group of the ledger, and the owner of its inbox rows."""


class PostgresBooks:
    """Makes transactions on the ledger's database."""

    def __init__(self, pool: asyncpg.Pool[Any], store: PostgresEventStore, mapper: EventMapper) -> None:
        self._pool = pool
        self._store = store
        self._mapper = mapper

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresBooksTransaction]:
        """Raises RaceLost, DataRefused or OperationalError for what goes wrong in the database, also at commit."""
        with _database_errors():
            async with self._pool.acquire() as conn, conn.transaction():
                yield PostgresBooksTransaction(conn, self._store, self._mapper)

    async def allocatable(self, after: str, limit: int) -> Sequence[str]:
        """See ``ledger.application.ports.BooksStore``."""
        with _database_errors():
            return [row["payment_key"] for row in await self._pool.fetch(sql.ALLOCATABLE, after, limit)]


@contextmanager
def _database_errors() -> Iterator[None]:
    """Errors of the database in the engine's words."""
    try:
        yield
    except (VersionConflict, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError) as race:
        raise RaceLost(str(race)) from race
    except Exception as error:
        if is_transient(error):
            raise OperationalError(f"database away: {type(error).__name__}") from error
        if is_data_error(error):
            raise DataRefused(f"{type(error).__name__}: {error}") from error
        raise


class PostgresBooksTransaction:
    """See ``ledger.application.ports.BooksTransaction``."""

    def __init__(self, conn: Any, store: PostgresEventStore, mapper: EventMapper) -> None:
        self._conn = conn
        self._store = store
        self._mapper = mapper
        self._heads: dict[str, StreamHead] = {}

    async def advance_offsets(
        self, epochs: Mapping[TopicPartition, int], last_records: Mapping[TopicPartition, Record]
    ) -> set[TopicPartition]:
        return await inbox.advance_offsets(self._conn, GROUP, epochs, last_records)

    async def claim_messages(self, message_ids: Collection[str]) -> set[str]:
        return await inbox.claim_messages(self._conn, GROUP, message_ids)

    async def forget_messages(self, message_ids: Collection[str]) -> None:
        await self._conn.execute(sql.FORGET_MESSAGES, GROUP, list(message_ids))

    async def claim_keys(
        self, keys: Mapping[str, bytes], now: datetime, expires_at: datetime
    ) -> Mapping[str, KeptAnswer]:
        """Claim the keys that are new or expired; answers the others. Waits for who claims one at this moment."""
        names = sorted(keys)
        hashes = [keys[name] for name in names]
        claimed = await self._conn.fetch(sql.CLAIM_KEYS, names, hashes, now, expires_at)
        known = set(names).difference(row["key"] for row in claimed)
        if not known:
            return {}
        rows = await self._conn.fetch(sql.READ_KEYS, sorted(known))
        return {row["key"]: KeptAnswer(row["body_hash"], Answer(row["status"], row["body"])) for row in rows}

    async def keep_answers(self, answers: Mapping[str, Answer]) -> None:
        given = list(answers.values())
        await self._conn.execute(
            sql.KEEP_ANSWERS, list(answers), [answer.status for answer in given], [answer.body for answer in given]
        )

    async def read_references(self, references: Collection[str]) -> Mapping[str, KnownReference]:
        rows = await self._conn.fetch(sql.READ_REFERENCES, list(references))
        return {row["reference"]: KnownReference(row["stream"], row["version"], row["content_hash"]) for row in rows}

    async def read_events(self, known: Mapping[str, KnownReference]) -> Mapping[str, LedgerEvent]:
        streams = [reference.stream for reference in known.values()]
        versions = [reference.version for reference in known.values()]
        rows = await self._conn.fetch(sql.READ_EVENTS, list(known), streams, versions)
        return {
            row["reference"]: self._mapper.to_domain_event(
                StoredEvent(row["originator_id"], row["originator_version"], row["topic"], row["state"])
            )
            for row in rows
        }

    async def lock_payments(self, keys: Collection[str], unallocated_for: Collection[str]) -> Mapping[str, Payment]:
        rows = await self._conn.fetch(sql.LOCK_PAYMENTS, list(keys), list(unallocated_for))
        return {row["payment_key"]: payment_of(row) for row in rows}

    async def read_quotes(self, payment_references: Collection[str]) -> Mapping[str, Quote]:
        rows = await self._conn.fetch(sql.LOCK_QUOTES, list(payment_references))
        return {row["payment_reference"]: quote_of(row) for row in rows}

    async def read_disputes(self, keys: Collection[str], payments: Collection[str]) -> Mapping[str, Dispute]:
        rows = await self._conn.fetch(sql.READ_DISPUTES, list(keys), list(payments))
        return {row["dispute_key"]: dispute_of(row) for row in rows}

    async def lock_charges(self, deployment_ids: Collection[str]) -> Mapping[str, Charge]:
        rows = await self._conn.fetch(sql.LOCK_CHARGES, list(deployment_ids))
        return {row["deployment_id"]: charge_of(row) for row in rows}

    async def lock_wallets(self, user_ids: Collection[str]) -> Mapping[str, Wallet]:
        names = sorted(user_ids)
        rows = await self._conn.fetch(sql.LOCK_WALLETS, names)
        if len(rows) < len(names):
            await self._conn.execute(sql.CREATE_WALLETS, names)
            rows = await self._conn.fetch(sql.LOCK_WALLETS, names)
        wallets = [wallet_of(row) for row in rows]
        for wallet, row in zip(wallets, rows, strict=True):
            self._heads[wallet.stream] = StreamHead(wallet.version, row[-1])
        return {wallet.user_id: wallet for wallet in wallets}

    async def write(self, batch: WrittenBatch) -> int:
        """Append the events and write the rows behind them; answers the last position.

        The database writes the references while the events are mapped and chained here.
        """
        await self._upsert(sql.WRITE_CHARGES, charge_columns(batch.charges))
        await self._upsert(sql.WRITE_PAYMENTS, payment_columns(batch.payments))
        await self._upsert(sql.WRITE_QUOTES, quote_columns(batch.quotes))
        await self._upsert(sql.WRITE_DISPUTES, dispute_columns(batch.disputes))
        await self._read_heads({event.originator_id for event in batch.events})
        referencing = asyncio.create_task(self._write_references(batch.references))
        try:
            await asyncio.sleep(0)
            rows = rows_of([self._mapper.to_stored_event(event) for event in batch.events], self._heads)
        finally:
            await referencing
        position = await self._store.append_rows(rows, within=self._conn)
        await self._upsert(sql.WRITE_WALLETS, wallet_columns(batch.wallets, rows.heads))
        return position

    async def last_position(self) -> int:
        return await self._store.last_position(self._conn)

    async def park(self, delivery: Delivery, error: PoisonMessage) -> None:
        await dead_letters.park(self._conn, GROUP, delivery.record, error)

    async def hold(self, delivery: Delivery, waits_for: str) -> None:
        await waiting.hold(self._conn, GROUP, delivery.record, waits_for, attempts=delivery.attempts + 1)

    async def release(self, references: Collection[str]) -> Sequence[Delivery]:
        if not await self._conn.fetchval(sql.SOMETHING_WAITS, GROUP):
            return []
        return _deliveries(await waiting.release(self._conn, GROUP, references))

    async def release_due(self) -> Sequence[Delivery]:
        return _deliveries(await waiting.release_due(self._conn, GROUP))

    async def _read_heads(self, streams: set[str]) -> None:
        """Wallets' heads came with their rows; the few other streams are read, locked by the payment they belong to."""
        unknown = streams.difference(self._heads)
        if unknown:
            self._heads.update(await self._store.heads(unknown, within=self._conn))

    async def _upsert(self, statement: str, columns: Sequence[Sequence[Any]]) -> None:
        if columns[0]:
            await self._conn.execute(statement, *columns)

    async def _write_references(self, references: Mapping[str, KnownReference]) -> None:
        known = references.values()
        await self._conn.execute(
            sql.WRITE_REFERENCES,
            list(references),
            [reference.stream for reference in known],
            [reference.version for reference in known],
            [reference.content_hash for reference in known],
        )


def _deliveries(held: Sequence[waiting.Held]) -> list[Delivery]:
    return [Delivery(one.record, None, None, one.attempts) for one in held]
