"""The table of raw events: appends verified events and what is to be published of them, in one transaction.

Append-only: the running role may neither change nor delete a row. The first event under an id has no variant; one that
says something else under the same id is kept beside it, under the hash of what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from chassis.bus.headers import pack_headers
from chassis.errors import OperationalError
from chassis.outbox import OUTBOX_LANE
from chassis.postgres import is_data_error, is_transient
from contracts.topics import PAYMENTS
from gateway_ingest.adapters.encryption import RawEventCipher
from gateway_ingest.adapters.publishing import to_record
from gateway_ingest.application.counting import BATCH_SIZE
from gateway_ingest.application.ports import Outcome, ReceivedEvent, SealedEvent, UnstorableEvent, Verdict

ACQUIRE_TIMEOUT_S = 2.0
RETRY_AFTER_S = 2
FIRST = b""
CONTRADICTION = "event_id_reused"

# One statement, one round trip: a transaction of five would be what limits us. What is to be published comes along,
# for those events that turn out to be new. The lane is taken after the last row is in, and before positions are drawn.
_KEEP = """
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::timestamptz[],
                         $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[]) WITH ORDINALITY
        AS row (gateway, event_id, event_type, verdict, reason, content_hash, received_at, body, key, value, headers,
                place)
), new AS (
    INSERT INTO raw_events (gateway, event_id, event_type, verdict, reason, content_hash, received_at, body,
                            variant, key_id)
    SELECT gateway, event_id, event_type, verdict, reason, content_hash, received_at, body, $12, $13 FROM given
    ON CONFLICT DO NOTHING
    RETURNING gateway, event_id
), lane AS MATERIALIZED (
    SELECT pg_advisory_xact_lock($15) FROM (SELECT count(*) FROM new) AS all_in
), sent AS (
    INSERT INTO outbox (topic, key, value, headers)
    SELECT $14, key, value, headers FROM lane, given JOIN new USING (gateway, event_id)
    WHERE key IS NOT NULL ORDER BY place
)
SELECT gateway, event_id FROM given EXCEPT SELECT gateway, event_id FROM new
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

    def seal(self, event: ReceivedEvent) -> SealedEvent:
        """See the port."""
        body = self._cipher.encrypt(event.gateway, event.event_id, event.body)
        row = (
            event.gateway,
            event.event_id,
            event.event_type,
            event.verdict,
            event.reason,
            event.content_hash,
            event.received_at,
            body,
            *_outgoing(event),
        )
        return SealedEvent(event, row)

    async def keep(self, sealed: Sequence[SealedEvent]) -> Sequence[Outcome]:
        """See the port."""
        BATCH_SIZE.observe(len(sealed))
        connection = await self._connect()
        try:
            return await self._keep(connection, sealed)
        except Exception as error:
            raise _translated(error) from error
        finally:
            await self._pool.release(connection)

    async def _connect(self) -> Any:
        """Whatever keeps us from the database, the gateway is to come again: no reason to connect is an event's."""
        try:
            return await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise OperationalError(f"no connection to the database: {error!r}", retry_after_s=RETRY_AFTER_S) from error

    async def _keep(self, connection: Any, sealed: Sequence[SealedEvent]) -> Sequence[Outcome]:
        firsts: dict[Key, SealedEvent] = {}
        for one in sealed:
            firsts.setdefault(one.row[:2], one)
        known = await self._insert(connection, firsts, FIRST)
        if not known and len(firsts) == len(sealed):
            return [Outcome.NEW] * len(sealed)
        outcomes: dict[int, Outcome] = {}
        seen_before: dict[int, ReceivedEvent] = {}
        for place, one in enumerate(sealed):
            key = _key(one.event)
            if key in known or firsts[key] is not one:
                seen_before[place] = one.event
            else:
                outcomes[place] = Outcome.NEW
        outcomes |= await self._look_again(connection, seen_before)
        return [outcomes[place] for place in range(len(sealed))]

    async def _look_again(self, connection: Any, events: Mapping[int, ReceivedEvent]) -> Mapping[int, Outcome]:
        """Events whose id is known: the same again, or something else under the same id."""
        kept = await self._kept(connection, list(events.values()))
        outcomes: dict[int, Outcome] = {}
        for place, event in events.items():
            known = kept.setdefault(_key(event), [])
            if any(row.content_hash == event.content_hash for row in known):
                outcomes[place] = Outcome.REPEAT
                continue
            judged, outcomes[place] = second_judgement(
                event, published=any(row.verdict == Verdict.PUBLISHED for row in known)
            )
            await self._insert(connection, {_key(event): self.seal(judged)}, event.content_hash)
            known.append(_Kept(judged.content_hash, judged.verdict))
        return outcomes

    async def _kept(self, connection: Any, events: Sequence[ReceivedEvent]) -> dict[Key, list[_Kept]]:
        gateways, ids = [event.gateway for event in events], [event.event_id for event in events]
        kept: dict[Key, list[_Kept]] = {}
        for row in await connection.fetch(_KEPT, gateways, ids):
            found = _Kept(row["content_hash"], row["verdict"])
            kept.setdefault((row["gateway"], row["event_id"]), []).append(found)
        return kept

    async def _insert(self, connection: Any, sealed: Mapping[Key, SealedEvent], variant: bytes) -> set[Key]:
        """Keep those that are not there yet, with what is to be published of them; answers which were. Durable then."""
        # In one order everywhere: two processes that insert the same events wait for each other, and never in a ring.
        columns = zip(*(sealed[key].row for key in sorted(sealed)), strict=True)
        rows = await connection.fetch(
            _KEEP, *map(list, columns), variant, self._cipher.current_key_id, PAYMENTS, OUTBOX_LANE
        )
        known = {(row[0], row[1]) for row in rows}
        if any(one.event.fact is not None for key, one in sealed.items() if key not in known):
            self._on_kept()
        return known


def second_judgement(event: ReceivedEvent, *, published: bool) -> tuple[ReceivedEvent, Outcome]:
    """What an event comes to that says something new under a known id.

    While nothing was published under the id, it stands for itself: so an operator who has the gateway send a
    quarantined event again, after we learnt to read it, gets it published. Else it is quarantined.
    """
    if not published:
        return event, Outcome.NEW
    return replace(event, verdict=Verdict.QUARANTINED, reason=CONTRADICTION, fact=None), Outcome.CONTRADICTS


def _key(event: ReceivedEvent) -> Key:
    return event.gateway, event.event_id


def _outgoing(event: ReceivedEvent) -> tuple[bytes | None, bytes | None, bytes | None]:
    """The outbox's columns; none where nothing is to be published."""
    if event.fact is None:
        return None, None, None
    record = to_record(event, event.fact)
    return record.key, record.value, pack_headers(record.headers)


def _translated(error: Exception) -> Exception:
    if is_data_error(error):
        return UnstorableEvent(str(error))
    if is_transient(error):
        return OperationalError(f"the database is away: {error!r}", retry_after_s=RETRY_AFTER_S)
    return error
