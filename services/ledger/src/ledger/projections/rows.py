"""Rows of the books as the states that they keep, for reads and proofs: columns are called as fields are.

Never writes; what the engine reads under locks is read by its own adapter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any, TypeVar

import asyncpg

from eventstore.mapper import EventMapper
from eventstore.port import StoredEvent
from ledger.domain.commands import credit_reference
from ledger.domain.events import CreditsPurchased
from ledger.domain.payment_states import Dispute, Payment, Quote, payment_of_purchase
from ledger.domain.states import Charge

State = TypeVar("State")
TABLES: Mapping[str, tuple[type, str]] = {
    "charge": (Charge, "SELECT deployment_id AS key, * FROM charges"),
    "payment": (Payment, "SELECT payment_key AS key, * FROM payments"),
    "quote": (Quote, "SELECT payment_reference AS key, * FROM quotes"),
    "dispute": (Dispute, "SELECT dispute_key AS key, * FROM disputes"),
}
"""What is kept beside the wallets: a state's kind and its rows, by the key that the books have it under."""

_PAYMENT = "SELECT * FROM payments WHERE payment_key = $1"
_CREDITS = """
SELECT e.originator_id, e.originator_version, e.topic, e.state FROM command_references AS r
JOIN stored_events AS e ON e.originator_id = r.stream AND e.originator_version = r.version
WHERE r.reference = ANY ($1::text[])
"""


def state_of(kind: type[State], row: Any) -> State:
    """The state that ``row`` keeps."""
    return kind(**{field.name: _plain(row[field.name]) for field in fields(kind)})  # type: ignore[arg-type]


async def states_of(conn: Any, name: str) -> AsyncIterator[tuple[str, Any]]:
    """Every row of one of the TABLES, by key. Needs a transaction."""
    kind, query = TABLES[name]
    async for row in conn.cursor(query, prefetch=1_000):
        yield row["key"], state_of(kind, row)


async def purchases(conn: Any, mapper: EventMapper, keys: Sequence[str]) -> Mapping[str, CreditsPurchased]:
    """The purchases of those of the payments that were credited at once, by payment."""
    rows = await conn.fetch(_CREDITS, [credit_reference(key) for key in keys])
    stored = [
        mapper.to_domain_event(StoredEvent(row["originator_id"], row["originator_version"], row["topic"], row["state"]))
        for row in rows
    ]
    return {f"{event.gateway}:{event.payment_id}": event for event in stored if isinstance(event, CreditsPurchased)}


async def payment(pool: asyncpg.Pool[Any], mapper: EventMapper, key: str) -> Payment | None:
    """The payment ``<gateway>:<payment>``, also one that is told by its purchase alone."""
    row = await pool.fetchrow(_PAYMENT, key)
    if row is not None:
        return state_of(Payment, row)
    purchase = (await purchases(pool, mapper, [key])).get(key)
    # A row may have been made by the first news of its way back, between the two reads: that is newer, not wrong.
    return None if purchase is None else payment_of_purchase(purchase)


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, Decimal) else value
