"""Stored events to public messages, and the log as what the relay publishes.

The only place that knows both. A message's id is derived from its event, so that publishing again repeats it. Events
that only this service cares about have no message.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.bus.port import OutgoingRecord
from contracts import messages
from contracts.amounts import Money
from eventstore.port import EventStore, RecordedEvent
from payments_api.adapters.payment_repository import event_mapper
from payments_api.application.initiating import payment_of
from payments_api.domain import events

SOURCE = "payments-api"


class LogSource:
    """The event log as a ``RelaySource``."""

    name = "log"

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._mapper = event_mapper()

    async def read_after(self, conn: Any, position: int, limit: int) -> tuple[int, Sequence[OutgoingRecord]]:
        """The last position read, and the messages of the events after ``position``."""
        recorded = await self._store.read_log(position, limit=limit, within=conn)
        records = [record for event in recorded if (record := self._record(event)) is not None]
        return (recorded[-1].position if recorded else position), records

    def _record(self, recorded: RecordedEvent) -> OutgoingRecord | None:
        event: events.PaymentEvent = self._mapper.to_domain_event(recorded.stored())
        if not isinstance(event, events.PaymentInitiated):
            return None
        message = translate(event)
        envelope = message.in_envelope(
            source=SOURCE, stream=recorded.stream, version=recorded.version, time=recorded.recorded_at
        )
        return OutgoingRecord(message.TOPIC, message.reference.encode(), envelope.data, envelope.to_headers())


def translate(event: events.PaymentInitiated) -> messages.PaymentInitiated:
    """The public message: the quote that the ledger will honour."""
    return messages.PaymentInitiated(
        payment_id=payment_of(event.originator_id),
        reference=event.reference,
        user_id=event.user_id,
        gateway=event.gateway,
        price=Money.of(event.price, event.price_asset),
        credits=Money.of(event.credits, event.credit_asset),
        bonus=Money.of(event.bonus, event.credit_asset),
        expires_at=datetime.fromisoformat(event.expires_at),
    )
