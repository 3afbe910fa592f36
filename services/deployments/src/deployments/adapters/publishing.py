"""Stored events to public messages, and the log as what the relay publishes.

The only place that knows both. A message's id is derived from its event, so that publishing again repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chassis.bus.port import OutgoingRecord
from contracts import messages
from contracts.amounts import Money
from contracts.messages.deployments import DeploymentMessage
from deployments.adapters.repository import deployment_of, event_mapper
from deployments.domain import events
from eventstore.port import EventStore, RecordedEvent

SOURCE = "deployments"


class LogSource:
    """The event log as a ``RelaySource``."""

    name = "log"

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._mapper = event_mapper()

    async def read_after(self, conn: Any, position: int, limit: int) -> tuple[int, Sequence[OutgoingRecord]]:
        """The last position read, and the messages of the events after ``position``."""
        recorded = await self._store.read_log(position, limit=limit, within=conn)
        return (recorded[-1].position if recorded else position), [self._record(event) for event in recorded]

    async def last_position(self, conn: Any) -> int:
        """The end of the log."""
        return await self._store.last_position(within=conn)

    def _record(self, recorded: RecordedEvent) -> OutgoingRecord:
        event: events.DeploymentEvent = self._mapper.to_domain_event(recorded.stored())
        message = translate(event)
        envelope = message.in_envelope(
            source=SOURCE, stream=recorded.stream, version=recorded.version, time=recorded.recorded_at
        )
        key = message.deployment_id.encode()
        return OutgoingRecord(message.TOPIC, key, envelope.data, envelope.to_headers())


def translate(event: events.DeploymentEvent) -> DeploymentMessage:
    """The public message about ``event``; every one of ours has one."""
    about = {"deployment_id": deployment_of(event.originator_id), "user_id": event.user_id}
    return _TRANSLATIONS[type(event)](event, about)


def _queued(event: events.DeploymentQueued, about: dict[str, str]) -> DeploymentMessage:
    return messages.DeploymentQueued(
        **about,
        service_id=event.service_id,
        amount=Money.of(event.amount, event.asset),
        commission=Money.of(event.commission, event.asset),
        grid_payment=Money.of(event.grid_payment, event.asset),
    )


def _provisioning(event: events.ProvisioningStarted, about: dict[str, str]) -> DeploymentMessage:
    return messages.DeploymentProvisioning(**about, attempt=event.attempt)


def _active(event: events.DeploymentActivated, about: dict[str, str]) -> DeploymentMessage:
    details = messages.ConnectionDetails.model_validate(dict(event.connection_details))
    return messages.DeploymentActive(**about, grid_deployment_id=event.grid_deployment_id, connection_details=details)


def _unknown(event: events.DeploymentBecameUnknown, about: dict[str, str]) -> DeploymentMessage:
    return messages.DeploymentUnknown(**about, error_message=event.error_message)


def _failed(event: events.DeploymentFailed | events.DeploymentRejected, about: dict[str, str]) -> DeploymentMessage:
    """For the ledger a rejection is a failure like any other: the credits go back."""
    return messages.DeploymentFailed(**about, error_message=event.error_message)


_TRANSLATIONS: Mapping[type[Any], Callable[[Any, dict[str, str]], DeploymentMessage]] = {
    events.DeploymentQueued: _queued,
    events.DeploymentRejected: _failed,
    events.ProvisioningStarted: _provisioning,
    events.DeploymentActivated: _active,
    events.DeploymentBecameUnknown: _unknown,
    events.DeploymentFailed: _failed,
}
