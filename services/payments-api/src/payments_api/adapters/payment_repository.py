"""Payments in the event store, with their row for readers and the live event in the same transaction.

The stream is ``payment:<id>``. ``save`` takes the log's lane and then the live one: it must be a transaction's last
step.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from chassis.clock import Clock
from chassis.errors import OperationalError
from eventstore.mapper import EventMapper
from eventstore.port import EventStore, VersionConflict
from payments_api.adapters import live_events
from payments_api.application import presenting
from payments_api.application.gateways import PayRequest
from payments_api.application.ports import STREAM_PREFIX, payment_of
from payments_api.domain.deciding import Command, decide
from payments_api.domain.events import EVENT_TYPES, PaymentEvent
from payments_api.domain.payment import Payment, evolve
from payments_api.domain.subscription_events import SUBSCRIPTION_EVENT_TYPES

_UPSERT = """
INSERT INTO payments (id, user_id, reference, gateway, price_asset, price, credit_asset, credits, bonus, expires_at,
                      asked_asset, asked, package_id, status, payment_url, credited, failure_reason, details, received,
                      refunded, confirmations, gateway_payment_id, look_at, created_at, updated_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        $25, $26)
ON CONFLICT (id) DO UPDATE
SET status = excluded.status, payment_url = excluded.payment_url, credited = excluded.credited,
    failure_reason = excluded.failure_reason, details = excluded.details, received = excluded.received,
    refunded = excluded.refunded, confirmations = excluded.confirmations,
    gateway_payment_id = excluded.gateway_payment_id, updated_at = excluded.updated_at, version = excluded.version,
    look_at = CASE WHEN excluded.credited IS NOT NULL AND payments.credited IS NULL THEN excluded.updated_at
                   WHEN excluded.credited IS NULL AND excluded.look_at IS NULL THEN NULL
                   ELSE payments.look_at END
RETURNING *
"""
_BY_REFERENCE = "SELECT id FROM payments WHERE reference = $1"
_BY_GATEWAY = "SELECT id FROM payments WHERE gateway = $1 AND gateway_payment_id = $2 ORDER BY created_at LIMIT 1"
_DETAILS = """
INSERT INTO payment_details (payment_id, description, customer_email, metadata, client_secret)
VALUES ($1, $2, $3, $4, $5)
"""


def event_mapper() -> EventMapper:
    """Maps this service's events."""
    return EventMapper((*EVENT_TYPES, *SUBSCRIPTION_EVENT_TYPES))


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

    async def find_by_gateway(self, conn: Any, gateway: str, gateway_payment_id: str) -> str | None:
        """The payment that the gateway knows by this id."""
        found: str | None = await conn.fetchval(_BY_GATEWAY, gateway, gateway_payment_id)
        return found

    async def keep_details(self, conn: Any, request: PayRequest, client_secret: str | None) -> None:
        """What was said of the payment beside its amount."""
        await conn.execute(
            _DETAILS,
            request.payment_id,
            request.description,
            request.customer_email,
            json.dumps(dict(request.metadata)),
            client_secret,
        )


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
        state.asked_asset,
        state.asked,
        state.package_id,
        state.status,
        state.payment_url,
        state.credited,
        state.failure_reason,
        json.dumps(state.details),
        state.received_total,
        state.refunded_total,
        state.confirmations,
        state.gateway_payment_id,
        state.created_at if state.is_open else None,
        state.created_at,
        state.updated_at,
        state.version,
    )
