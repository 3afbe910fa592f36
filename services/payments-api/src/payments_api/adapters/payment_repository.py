"""Payments in the event store, with their row for readers and the live event in the same transaction.

The stream is ``payment:<id>``. ``save`` takes the log's lane and then the live one: it must be a transaction's last
step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.clock import Clock
from chassis.errors import OperationalError
from eventstore.mapper import EventMapper
from eventstore.port import EventStore, VersionConflict
from payments_api.adapters import live_events
from payments_api.application import presenting
from payments_api.application.initiating import STREAM_PREFIX, payment_of
from payments_api.domain.events import EVENT_TYPES, PaymentEvent
from payments_api.domain.payment import Command, Payment, decide, evolve

_UPSERT = """
INSERT INTO payments (id, user_id, reference, gateway, price_asset, price, credit_asset, credits, bonus, expires_at,
                      status, payment_url, credited, failure_reason, created_at, updated_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (id) DO UPDATE
SET status = excluded.status, payment_url = excluded.payment_url, credited = excluded.credited,
    failure_reason = excluded.failure_reason, updated_at = excluded.updated_at, version = excluded.version
RETURNING *
"""
_BY_REFERENCE = "SELECT id FROM payments WHERE reference = $1"


def event_mapper() -> EventMapper:
    """Maps this service's events."""
    return EventMapper(EVENT_TYPES)


class PaymentRepository:
    """See application.ports.PaymentStore."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._mapper = event_mapper()

    async def load(self, conn: Any, payment_id: str) -> Payment:
        """The payment; version 0 when there is none."""
        state = Payment(STREAM_PREFIX + payment_id)
        for recorded in await self._store.load(state.stream, within=conn):
            state = evolve(state, self._mapper.to_domain_event(recorded.stored()))
        return state

    async def save(self, conn: Any, state: Payment, commands: Sequence[Command]) -> Payment:
        """Decide, append, and show what changed. Raises OperationalError when somebody else was faster."""
        now = self._clock.now()
        events: list[PaymentEvent] = []
        for command in commands:
            for event in decide(state, command, now):
                state = evolve(state, event)
                events.append(event)
        if not events:
            return state
        row = await conn.fetchrow(_UPSERT, *_columns(state))
        try:
            await self._store.append([self._mapper.to_stored_event(event) for event in events], within=conn)
        except VersionConflict as conflict:
            raise OperationalError(str(conflict)) from conflict
        await live_events.append(conn, state.user_id, "payment", presenting.payment(row))
        return state

    async def find_by_reference(self, conn: Any, reference: str) -> str | None:
        """The payment that has this reference of ours."""
        found: str | None = await conn.fetchval(_BY_REFERENCE, reference)
        return found


def _columns(state: Payment) -> Sequence[Any]:
    quote = state.quote
    assert quote is not None, "a payment that was begun has a quote"
    return (
        payment_of(state.stream),
        state.user_id,
        state.reference,
        state.gateway,
        quote.price_asset,
        quote.price,
        quote.credit_asset,
        quote.credits,
        quote.bonus,
        quote.expires_at,
        state.status,
        state.payment_url,
        state.credited,
        state.failure_reason,
        state.created_at,
        state.updated_at,
        state.version,
    )
