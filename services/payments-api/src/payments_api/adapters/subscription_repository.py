"""Subscriptions in the event store, with their row for readers and for the process behind in the same transaction.

The stream is ``subscription:<id>``. ``save`` takes the log's lane; the row was locked by ``load`` before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg

from chassis.clock import Clock
from chassis.errors import OperationalError
from eventstore.port import EventStore, VersionConflict
from payments_api.adapters.payment_repository import event_mapper
from payments_api.application.subscribing_ports import (
    SUBSCRIPTION_STREAM_PREFIX,
    PeriodPayment,
    Said,
    subscription_of,
)
from payments_api.domain.subscription import Subscription, evolve_subscription
from payments_api.domain.subscription_deciding import SubscriptionCommand, decide_subscription
from payments_api.domain.subscription_events import PeriodOpened, SubscriptionEvent

PAUSE_S = 30.0
"""Longer than asking a gateway may take, so that no two processes ask for the same."""
PAUSE_MAX_S = 3600.0

_LOCK = "SELECT 1 FROM subscriptions WHERE id = $1 FOR UPDATE"
_UPSERT = """
INSERT INTO subscriptions (id, user_id, gateway, package_id, cycle, price_asset, price, credit_asset, credits, bonus,
                           status, gateway_session_id, gateway_subscription_id, payment_url, payment_id, period,
                           period_begins_at, period_ends_at, next_period_at, act_at, created_at, updated_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
ON CONFLICT (id) DO UPDATE
SET status = excluded.status, gateway_subscription_id = excluded.gateway_subscription_id,
    payment_id = excluded.payment_id, period = excluded.period, period_begins_at = excluded.period_begins_at,
    period_ends_at = excluded.period_ends_at, next_period_at = excluded.next_period_at, act_at = excluded.act_at,
    attempts = 0, updated_at = excluded.updated_at, version = excluded.version
"""
_KEEP_PERIOD = "INSERT INTO subscription_periods (payment_id, subscription_id) VALUES ($1, $2)"
_KEEP_SAID = "INSERT INTO subscription_details (subscription_id, customer_email, options) VALUES ($1, $2, $3)"
_SAID = "SELECT customer_email, options FROM subscription_details WHERE subscription_id = $1"
_LOCK_OF_PAYMENT = """
SELECT s.id AS subscription_id, p.id AS payment_id
FROM payments AS p JOIN subscription_periods AS o ON o.payment_id = p.id JOIN subscriptions AS s
    ON s.id = o.subscription_id
WHERE p.reference = $1 FOR UPDATE OF s
"""
_TAKE_DUE = """
UPDATE subscriptions SET attempts = attempts + 1,
    act_at = $1::timestamptz + make_interval(secs => least($4, $3 * 2.0 ^ least(attempts, 20)))
WHERE id IN (
    SELECT id FROM subscriptions WHERE act_at <= $1 ORDER BY act_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


class SubscriptionRepository:
    """See application.subscribing_ports.SubscriptionStore."""

    def __init__(self, pool: asyncpg.Pool[Any], store: EventStore, clock: Clock) -> None:
        self._pool = pool
        self._store = store
        self._clock = clock
        self._mapper = event_mapper()

    async def load(self, conn: Any, subscription_id: str, *, lock: bool = True) -> Subscription:
        """See the port."""
        if lock:
            await conn.execute(_LOCK, subscription_id)
        state = Subscription(SUBSCRIPTION_STREAM_PREFIX + subscription_id)
        for recorded in await self._store.load(state.stream, within=conn):
            event: Any = self._mapper.to_domain_event(recorded.stored())
            state = evolve_subscription(state, event)
        return state

    async def save(self, conn: Any, state: Subscription, commands: Sequence[SubscriptionCommand]) -> Subscription:
        """See the port. Raises OperationalError when somebody else was faster."""
        now = self._clock.now()
        made: list[SubscriptionEvent] = []
        for command in commands:
            for event in decide_subscription(state, command, now):
                state = evolve_subscription(state, event)
                made.append(event)
        if not made:
            return state
        subscription_id = subscription_of(state.stream)
        await conn.execute(_UPSERT, *_columns(subscription_id, state))
        opened = [event for event in made if isinstance(event, PeriodOpened)]
        for period in opened:
            await conn.execute(_KEEP_PERIOD, period.payment_id, subscription_id)
        try:
            await self._store.append([self._mapper.to_stored_event(event) for event in made], within=conn)
        except VersionConflict as conflict:
            raise OperationalError(str(conflict)) from conflict
        return state

    async def keep_said(self, conn: Any, subscription_id: str, said: Said) -> None:
        """See the port."""
        await conn.execute(_KEEP_SAID, subscription_id, said.customer_email, json.dumps(dict(said.options)))

    async def said(self, conn: Any, subscription_id: str) -> Said:
        """See the port."""
        row = await conn.fetchrow(_SAID, subscription_id)
        if row is None:
            return Said()
        return Said(row["customer_email"], json.loads(row["options"], parse_float=Decimal))

    async def lock_of_payment(self, conn: Any, reference: str) -> PeriodPayment | None:
        """See the port."""
        row = await conn.fetchrow(_LOCK_OF_PAYMENT, reference)
        return None if row is None else PeriodPayment(row["subscription_id"], row["payment_id"])

    async def take_due(self, now: datetime, limit: int) -> Sequence[str]:
        """See the port."""
        rows = await self._pool.fetch(_TAKE_DUE, now, limit, PAUSE_S, PAUSE_MAX_S)
        return [row["id"] for row in rows]


def _columns(subscription_id: str, state: Subscription) -> Sequence[Any]:
    terms, newest = state.terms, state.newest
    assert terms is not None, "a subscription that was started has terms"
    return (
        subscription_id,
        state.user_id,
        state.gateway,
        state.package_id,
        state.cycle,
        *terms,
        state.status,
        state.gateway_session_id,
        state.gateway_subscription_id,
        state.payment_url,
        None if newest is None else newest.payment_id,
        0 if newest is None else newest.number,
        None if newest is None else newest.begins_at,
        None if newest is None else newest.ends_at,
        state.next_period_at,
        state.act_at,
        state.created_at,
        state.updated_at,
        state.version,
    )
