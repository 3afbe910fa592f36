"""Stored events to public messages: the only place that knows both. The log is the ledger's outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chassis.bus.port import OutgoingRecord
from contracts.amounts import Money
from contracts.messages import (
    CreditsAdjusted,
    CreditsDisputed,
    CreditsHeld,
    CreditsPurchased,
    CreditsReceived,
    CreditsRefunded,
    CreditsSent,
    DeploymentRequested,
    DisputeLost,
    DisputeWon,
    HoldCaptured,
    HoldReleased,
    Message,
    MoneyUnallocated,
    PaymentRestored,
    PaymentReversed,
)
from eventstore.mapper import EventMapper
from eventstore.port import EventStore, RecordedEvent
from ledger.application.history import snapshot_after, transaction_of
from ledger.domain import events

SOURCE = "ledger"


class LogSource:
    """The ledger's log as a relay's source: what each event tells others, in the order of the log."""

    name = "log"

    def __init__(self, store: EventStore, mapper: EventMapper, asset: str) -> None:
        self._store = store
        self._mapper = mapper
        self._publisher = Publisher(asset)

    async def read_after(self, conn: Any, position: int, limit: int) -> tuple[int, Sequence[OutgoingRecord]]:
        """See ``chassis.relay.RelaySource``."""
        recorded = await self._store.read_log(position, limit=limit, within=conn)
        records = [
            record
            for one in recorded
            for record in self._publisher.records(one, self._mapper.to_domain_event(one.stored()))
        ]
        return (recorded[-1].position if recorded else position), records

    async def last_position(self, conn: Any) -> int:
        """The end of the log."""
        return await self._store.last_position(within=conn)


class Publisher:
    """Translates events of a ledger whose credit is ``asset``."""

    def __init__(self, asset: str) -> None:
        self._asset = asset
        self._wallet_messages: Mapping[type, tuple[type[Message], Callable[[Any], dict[str, Any]]]] = {
            events.CreditsPurchased: (CreditsPurchased, self._purchased),
            events.CreditsHeld: (CreditsHeld, self._deployment),
            events.HoldCaptured: (HoldCaptured, self._split),
            events.HoldReleased: (HoldReleased, self._deployment),
            events.CreditsRefunded: (CreditsRefunded, self._split),
            events.CreditsSent: (CreditsSent, self._sent),
            events.CreditsReceived: (CreditsReceived, self._received),
            events.CreditsAdjusted: (CreditsAdjusted, self._adjusted),
            events.PaymentReversed: (PaymentReversed, self._reversed),
            events.PaymentRestored: (PaymentRestored, self._restored),
            events.CreditsDisputed: (CreditsDisputed, self._set_aside),
            events.DisputeWon: (DisputeWon, self._set_free),
            events.DisputeLost: (DisputeLost, self._lost),
        }

    def records(self, recorded: RecordedEvent, event: events.LedgerEvent) -> list[OutgoingRecord]:
        """The records that tell of ``event``; none for what is the ledger's own business."""
        if isinstance(event, events.CreditsHeld):
            requested = self._requested(event, recorded)
            return [self._wallet(event, recorded), _record(requested, recorded, event.deployment_id)]
        if isinstance(event, events.WalletEvent):
            return [self._wallet(event, recorded)]
        if isinstance(event, events.MoneyUnallocated):
            return [_record(self._unallocated(event), recorded, recorded.stream)]
        return []

    def _wallet(self, event: events.WalletEvent, recorded: RecordedEvent) -> OutgoingRecord:
        message, details = self._wallet_messages[type(event)]
        told = message(
            reference=event.reference,
            wallet=snapshot_after(event, self._asset),
            transaction=transaction_of(event, recorded.recorded_at, self._asset),
            **details(event),
        )
        return _record(told, recorded, recorded.stream)

    def _credits(self, units: int) -> Money:
        return Money.of(units, self._asset)

    def _purchased(self, event: events.CreditsPurchased) -> dict[str, Any]:
        return {
            "gateway": event.gateway,
            "gateway_payment_id": event.payment_id,
            "payment_reference": event.payment_reference,
            "received": Money.of(event.received, event.received_asset),
            "credits": self._credits(event.credits),
            "bonus": self._credits(event.bonus),
            "rule": event.rule,
        }

    def _deployment(self, event: events.CreditsHeld | events.HoldReleased) -> dict[str, Any]:
        return {"deployment_id": event.deployment_id, "amount": self._credits(event.amount)}

    def _split(self, event: events.HoldCaptured | events.CreditsRefunded) -> dict[str, Any]:
        return {
            "deployment_id": event.deployment_id,
            "amount": self._credits(event.amount),
            "commission": self._credits(event.commission),
            "grid_payment": self._credits(event.grid_payment),
        }

    def _sent(self, event: events.CreditsSent) -> dict[str, Any]:
        return {"to_user_id": event.to_user_id, "amount": self._credits(event.amount)}

    def _received(self, event: events.CreditsReceived) -> dict[str, Any]:
        return {"from_user_id": event.from_user_id, "amount": self._credits(event.amount)}

    def _adjusted(self, event: events.CreditsAdjusted) -> dict[str, Any]:
        return {"amount": self._credits(event.amount), "reason": event.reason}

    def _reversed(self, event: events.PaymentReversed) -> dict[str, Any]:
        forgiven = self._credits(event.credits_forgiven) if event.credits_forgiven else None
        refunded = Money.of(event.refunded_total, event.received_asset)
        taken = self._credits(event.credits_taken)
        return {**_payment(event), "refunded_total": refunded, "credits_taken": taken, "credits_forgiven": forgiven}

    def _restored(self, event: events.PaymentRestored) -> dict[str, Any]:
        refunded = Money.of(event.refunded_total, event.received_asset)
        return {**_payment(event), "refunded_total": refunded, "credits_returned": self._credits(-event.credits_taken)}

    def _set_aside(self, event: events.CreditsDisputed) -> dict[str, Any]:
        return self._dispute(event, event.credits_disputed)

    def _set_free(self, event: events.DisputeWon) -> dict[str, Any]:
        return self._dispute(event, -event.credits_disputed)

    def _lost(self, event: events.DisputeLost) -> dict[str, Any]:
        return self._dispute(event, event.credits_taken)

    def _dispute(self, event: events.DisputeEvent, units: int) -> dict[str, Any]:
        return {
            **_payment(event),
            "dispute_id": event.dispute_id,
            "disputed": Money.of(event.disputed, event.received_asset),
            "credits": self._credits(units),
        }

    def _unallocated(self, event: events.MoneyUnallocated) -> MoneyUnallocated:
        return MoneyUnallocated(
            reference=event.reference,
            gateway=event.gateway,
            gateway_payment_id=event.payment_id,
            payment_reference=event.payment_reference,
            received=Money.of(event.received, event.received_asset),
            reason=event.reason,
        )

    def _requested(self, event: events.CreditsHeld, recorded: RecordedEvent) -> DeploymentRequested:
        return DeploymentRequested(
            deployment_id=event.deployment_id,
            user_id=event.user_id,
            service_id=event.service_id,
            service_name=event.service_name,
            amount=self._credits(event.amount),
            requested_at=recorded.recorded_at,
        )


def _payment(event: events.CreditsBack) -> dict[str, Any]:
    return {
        "gateway": event.gateway,
        "gateway_payment_id": event.payment_id,
        "payment_reference": event.payment_reference,
    }


def _record(message: Message, recorded: RecordedEvent, key: str) -> OutgoingRecord:
    envelope = message.in_envelope(
        source=SOURCE, stream=recorded.stream, version=recorded.version, time=recorded.recorded_at
    )
    return OutgoingRecord(message.TOPIC, key.encode(), envelope.data, envelope.to_headers())
