"""Payments as their owner sees them: one with its history, or pages of them; somebody else's is not there.

Reads only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from eventstore.mapper import EventMapper
from eventstore.port import EventStore
from payments_api.application import presenting
from payments_api.application.ports import STREAM_PREFIX
from payments_api.domain.payment import Payment, evolve
from payments_api.projections.times import bad_cursor, cursor_time, in_utc

_BY_ID = "SELECT * FROM payments WHERE id = $1 AND ($2::text IS NULL OR user_id = $2)"
_BY_REFERENCE = "SELECT * FROM payments WHERE reference = $1 AND user_id = $2"
_DETAILS = "SELECT description, customer_email, metadata, client_secret FROM payment_details WHERE payment_id = $1"
_SAID = """
SELECT p.reference, d.description, d.metadata FROM payments AS p JOIN payment_details AS d ON d.payment_id = p.id
WHERE p.user_id = $1 AND p.reference = ANY($2::text[])
"""
_NO_DETAILS: Mapping[str, Any] = {
    "description": None,
    "customer_email": None,
    "metadata": "{}",
    "client_secret": None,
}
_PAGE = """
SELECT * FROM payments
WHERE ($1::text IS NULL OR user_id = $1)
  AND ($2::text[] IS NULL OR status = ANY($2::text[]))
  AND ($3::text IS NULL OR gateway = $3)
  AND ($4::timestamptz IS NULL OR created_at >= $4) AND ($5::timestamptz IS NULL OR created_at < $5)
  AND ($6::timestamptz IS NULL OR (created_at, id) < ($6, $7))
ORDER BY created_at DESC, id DESC LIMIT $8
"""
HIDDEN = frozenset({"originator_id", "originator_version", "at", "user_id", "deposit", "details"})


@dataclass(frozen=True, slots=True)
class Filter:
    """Which payments; None takes all. ``since`` is inclusive, ``until`` is not."""

    statuses: Sequence[str] | None = None
    gateway: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class PaymentViews:
    """What the HTTP interface shows of payments."""

    def __init__(self, pool: asyncpg.Pool[Any], store: EventStore, mapper: EventMapper) -> None:
        self._pool = pool
        self._store = store
        self._mapper = mapper

    async def payment(self, user_id: str | None, payment_id: str, *, within: Any = None) -> Mapping[str, Any] | None:
        """One payment of theirs (of anybody's where ``user_id`` is None), with its history; ``within`` is a transaction
        that may have just made it."""
        return await self._whole(within or self._pool, _BY_ID, payment_id, user_id)

    async def payment_by_reference(self, user_id: str, reference: str) -> Mapping[str, Any] | None:
        """One payment of theirs, by what they typed into a form."""
        return await self._whole(self._pool, _BY_REFERENCE, reference, user_id)

    async def page(
        self, user_id: str | None, wanted: Filter, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """A page, newest first, and the cursor of the next. Raises InvalidField for a cursor or time that is none."""
        before, before_id = (None, "") if cursor is None else _place(cursor)
        since, until = in_utc("from", wanted.since), in_utc("to", wanted.until)
        rows = await self._pool.fetch(
            _PAGE, user_id, wanted.statuses, wanted.gateway, since, until, before, before_id, limit
        )
        following = f"{rows[-1]['created_at'].isoformat()}~{rows[-1]['id']}" if len(rows) == limit else None
        return [presenting.payment(row) for row in rows], following

    async def said_of(self, user_id: str, references: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Reference → description and metadata that the person gave along with that payment of theirs."""
        rows = await self._pool.fetch(_SAID, user_id, references) if references else []
        return {
            row["reference"]: {"description": row["description"], "metadata": json.loads(row["metadata"])}
            for row in rows
        }

    async def _whole(self, conn: Any, query: str, name: str, user_id: str | None) -> Mapping[str, Any] | None:
        row = await conn.fetchrow(query, name, user_id)
        if row is None:
            return None
        said = await conn.fetchrow(_DETAILS, row["id"]) or _NO_DETAILS
        return {
            **presenting.payment(row),
            "description": said["description"],
            "customer_email": said["customer_email"],
            "metadata": json.loads(said["metadata"]),
            "client_secret": said["client_secret"],
            "history": await self._history(row["id"], None if conn is self._pool else conn),
        }

    async def _history(self, payment_id: str, within: Any) -> Sequence[Mapping[str, Any]]:
        state = Payment(STREAM_PREFIX + payment_id)
        steps = []
        for recorded in await self._store.load(state.stream, within=within):
            event = self._mapper.to_domain_event(recorded.stored())
            state = evolve(state, event)
            detail = {name: value for name, value in vars(event).items() if name not in HIDDEN}
            steps.append({"at": event.at, "event": type(event).__name__, "status": state.status, "detail": detail})
        return steps


def _place(cursor: str) -> tuple[datetime, str]:
    time, _, payment_id = cursor.partition("~")
    if not payment_id:
        raise bad_cursor()
    return cursor_time(time), payment_id
