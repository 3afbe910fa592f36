"""The table of raw events: appends verified events and what is to be published of them, in one transaction.

Append-only: the running role may neither change nor delete a row. The first event under an id has no variant; one that
says something else under the same id is kept beside it, under the hash of what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
from chassis.bus.port import OutgoingRecord
from chassis.errors import OperationalError
from chassis.outbox import enqueue
from chassis.postgres import is_data_error, is_transient

from gateway_ingest.adapters.encryption import RawEventCipher
from gateway_ingest.adapters.publishing import to_record
from gateway_ingest.application.counting import BATCH_SIZE
from gateway_ingest.application.ports import Outcome, ReceivedEvent, UnstorableEvent, Verdict

ACQUIRE_TIMEOUT_S = 2.0
RETRY_AFTER_S = 2
FIRST = b""
CONTRADICTION = "event_id_reused"

_INSERT = """
INSERT INTO raw_events (gateway, event_id, variant, event_type, verdict, reason, content_hash, received_at,
                        key_id, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::bytea[],
                     $8::timestamptz[], $9::text[], $10::bytea[])
ON CONFLICT DO NOTHING
RETURNING gateway, event_id
"""
_KEPT = """
SELECT gateway, event_id, verdict, content_hash FROM raw_events
WHERE (gateway, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What of an event is in the table."""

    content_hash: bytes
    verdict: str


class PostgresEventStore:
    """The EventStore port. ``on_kept`` is called after each commit that has something to publish."""

    def __init__(
        self, pool: asyncpg.Pool[Any], cipher: RawEventCipher, on_kept: Callable[[], None] | None = None
    ) -> None:
        self._pool = pool
        self._cipher = cipher
        self._on_kept = on_kept or (lambda: None)

    async def keep(self, events: Sequence[ReceivedEvent]) -> Sequence[Outcome]:
        """See the port."""
        BATCH_SIZE.observe(len(events))
        try:
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
                outcomes, records = await self._keep(connection, events)
                await enqueue(connection, records)
        except Exception as error:
            raise _translated(error) from error
        if records:
            self._on_kept()
        return outcomes

    async def _keep(
        self, connection: Any, events: Sequence[ReceivedEvent]
    ) -> tuple[Sequence[Outcome], Sequence[OutgoingRecord]]:
        firsts = _first_of_each(events)
        # In one order everywhere: two processes that insert the same events wait for each other, and never in a ring.
        rows = await self._insert(connection, [firsts[key] for key in sorted(firsts)], FIRST)
        new = {id(firsts[row["gateway"], row["event_id"]]) for row in rows}
        records = _records(event for event in events if id(event) in new)
        outcomes = {place: Outcome.NEW for place, event in enumerate(events) if id(event) in new}
        seen_before = {place: event for place, event in enumerate(events) if place not in outcomes}
        if seen_before:
            later, more = await self._look_again(connection, seen_before)
            outcomes |= later
            records += more
        return [outcomes[place] for place in range(len(events))], records

    async def _look_again(
        self, connection: Any, events: Mapping[int, ReceivedEvent]
    ) -> tuple[dict[int, Outcome], list[OutgoingRecord]]:
        """Events whose id is known: the same again, or something else under the same id."""
        kept = await self._kept(connection, list(events.values()))
        outcomes: dict[int, Outcome] = {}
        records: list[OutgoingRecord] = []
        for place, event in events.items():
            known = kept.setdefault(_key(event), [])
            if any(row.content_hash == event.content_hash for row in known):
                outcomes[place] = Outcome.REPEAT
                continue
            judged, outcomes[place] = second_judgement(
                event, published=any(row.verdict == "published" for row in known)
            )
            if await self._insert(connection, [judged], event.content_hash):
                records += _records([judged])
            known.append(_Kept(judged.content_hash, judged.verdict.value))
        return outcomes, records

    async def _kept(self, connection: Any, events: Sequence[ReceivedEvent]) -> dict[Key, list[_Kept]]:
        gateways, ids = [event.gateway for event in events], [event.event_id for event in events]
        kept: dict[Key, list[_Kept]] = {}
        for row in await connection.fetch(_KEPT, gateways, ids):
            found = _Kept(row["content_hash"], row["verdict"])
            kept.setdefault((row["gateway"], row["event_id"]), []).append(found)
        return kept

    async def _insert(self, connection: Any, events: Sequence[ReceivedEvent], variant: bytes) -> Sequence[Any]:
        encrypt = self._cipher.encrypt
        rows: Sequence[Any] = await connection.fetch(
            _INSERT,
            [event.gateway for event in events],
            [event.event_id for event in events],
            [variant] * len(events),
            [event.event_type for event in events],
            [event.verdict.value for event in events],
            [event.reason for event in events],
            [event.content_hash for event in events],
            [event.received_at for event in events],
            [self._cipher.current_key_id] * len(events),
            [encrypt(event.gateway, event.event_id, event.body) for event in events],
        )
        return rows


def second_judgement(event: ReceivedEvent, *, published: bool) -> tuple[ReceivedEvent, Outcome]:
    """What an event comes to that says something new under a known id.

    While nothing was published under the id, it stands for itself: so an operator who has the gateway send a
    quarantined event again, after we learnt to read it, gets it published. Else it is quarantined.
    """
    if not published:
        return event, Outcome.NEW
    return replace(event, verdict=Verdict.QUARANTINED, reason=CONTRADICTION, fact=None), Outcome.CONTRADICTS


def _first_of_each(events: Sequence[ReceivedEvent]) -> dict[Key, ReceivedEvent]:
    firsts: dict[Key, ReceivedEvent] = {}
    for event in events:
        firsts.setdefault(_key(event), event)
    return firsts


def _key(event: ReceivedEvent) -> Key:
    return event.gateway, event.event_id


def _records(events: Iterable[ReceivedEvent]) -> list[OutgoingRecord]:
    return [to_record(event, event.fact) for event in events if event.fact is not None]


def _translated(error: Exception) -> Exception:
    if is_data_error(error):
        return UnstorableEvent(str(error))
    if is_transient(error):
        return OperationalError(f"the database is away: {error!r}", retry_after_s=RETRY_AFTER_S)
    return error
