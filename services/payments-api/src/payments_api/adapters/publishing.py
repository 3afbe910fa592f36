"""Stored events to public messages, and the log as what the relay publishes.

The only place that knows both. A message's id is derived from its event, so that publishing again repeats it. Events
that only this service cares about have no message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chassis.bus.port import OutgoingRecord
from contracts import messages
from contracts.amounts import Money
from eventstore.port import EventStore, RecordedEvent
from payments_api.adapters.payment_repository import event_mapper
from payments_api.application.ports import payment_of
from payments_api.domain import events

SOURCE = "payments-api"
_METADATA = "SELECT payment_id, metadata FROM payment_details WHERE payment_id = ANY($1::text[])"


class LogSource:
    """The event log as a ``RelaySource``."""

    name = "log"

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._mapper = event_mapper()

    async def read_after(self, conn: Any, position: int, limit: int) -> tuple[int, Sequence[OutgoingRecord]]:
        """The last position read, and the messages of the events after ``position``."""
        recorded = await self._store.read_log(position, limit=limit, within=conn)
        events_read = [self._mapper.to_domain_event(one.stored()) for one in recorded]
        metadata = await self._metadata(conn, events_read)
        records = [
            record
            for one, event in zip(recorded, events_read, strict=True)
            if (record := _record(one, event, metadata)) is not None
        ]
        return (recorded[-1].position if recorded else position), records

    async def last_position(self, conn: Any) -> int:
        """The end of the log."""
        return await self._store.last_position(within=conn)

    async def _metadata(self, conn: Any, read: Sequence[events.PaymentEvent]) -> Mapping[str, dict[str, str]]:
        """What requests gave along, by payment; emptied ones are empty."""
        begun = [payment_of(event.originator_id) for event in read if isinstance(event, events.PaymentInitiated)]
        rows = await conn.fetch(_METADATA, begun) if begun else []
        return {row["payment_id"]: json.loads(row["metadata"]) for row in rows}


def _record(
    recorded: RecordedEvent, event: events.PaymentEvent, metadata: Mapping[str, dict[str, str]]
) -> OutgoingRecord | None:
    message: messages.PaymentInitiated | messages.PaymentExpired
    if isinstance(event, events.PaymentInitiated):
        message = initiated(event, metadata.get(payment_of(event.originator_id), {}))
    elif isinstance(event, events.PaymentExpired):
        message = expired(event)
    else:
        return None
    envelope = message.in_envelope(
        source=SOURCE, stream=recorded.stream, version=recorded.version, time=recorded.recorded_at
    )
    return OutgoingRecord(message.TOPIC, message.reference.encode(), envelope.data, envelope.to_headers())


def initiated(event: events.PaymentInitiated, metadata: dict[str, str]) -> messages.PaymentInitiated:
    """The public message: the quote that the ledger will honour, and where coins are awaited."""
    return messages.PaymentInitiated(
        payment_id=payment_of(event.originator_id),
        reference=event.reference,
        user_id=event.user_id,
        gateway=event.gateway,
        price=Money.of(event.price, event.price_asset),
        credits=Money.of(event.credits, event.credit_asset),
        bonus=Money.of(event.bonus, event.credit_asset),
        expires_at=datetime.fromisoformat(event.expires_at),
        gateway_payment_id=event.gateway_payment_id,
        deposit=None if event.deposit is None else messages.Deposit.model_validate(event.deposit),
        package_id=event.package_id,
        metadata=metadata,
    )


def expired(event: events.PaymentExpired) -> messages.PaymentExpired:
    """The public message."""
    return messages.PaymentExpired(
        payment_id=payment_of(event.originator_id),
        reference=event.reference,
        user_id=event.user_id,
        gateway=event.gateway,
        expired_at=datetime.fromisoformat(event.at),
    )
