"""Deployments in the event store, with their row for readers in the same transaction.

The stream is ``deployment:<id>``. ``save`` takes the log's lane: it must be a transaction's last step.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from deployments.domain.deployment import Deployment, evolve
from deployments.domain.events import EVENT_TYPES, DeploymentEvent
from eventstore.mapper import EventMapper
from eventstore.port import EventStore

STREAM_PREFIX = "deployment:"

_UPSERT = """
INSERT INTO deployments (id, user_id, service_id, service_name, asset, amount, commission, grid_payment, status,
                         grid_deployment_id, connection_details, error_message, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12, $13)
ON CONFLICT (id) DO UPDATE
SET status = excluded.status, grid_deployment_id = excluded.grid_deployment_id,
    connection_details = excluded.connection_details, error_message = excluded.error_message,
    version = excluded.version, updated_at = now()
"""


def stream_of(deployment_id: str) -> str:
    """The stream of that deployment."""
    return STREAM_PREFIX + deployment_id


def deployment_of(stream: str) -> str:
    """The deployment of that stream."""
    return stream.removeprefix(STREAM_PREFIX)


def event_mapper() -> EventMapper:
    """Reads and writes every event type of this service."""
    return EventMapper(EVENT_TYPES)


class DeploymentRepository:
    """Loads by replaying; a deployment has a handful of events."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._mapper = event_mapper()

    async def load(self, conn: Any, deployment_id: str) -> Deployment:
        """The deployment as it is now; an empty one when there is none."""
        state = Deployment(stream_of(deployment_id))
        for recorded in await self._store.load(state.stream, within=conn):
            state = evolve(state, self._mapper.to_domain_event(recorded.stored()))
        return state

    async def save(self, conn: Any, state: Deployment, events: Sequence[DeploymentEvent]) -> Deployment:
        """Append ``events`` to ``state`` and bring the row up to date; answers the new state.

        Raises VersionConflict when ``state`` is not the latest.
        """
        if not events:
            return state
        for event in events:
            state = evolve(state, event)
        await self._write_row(conn, state)
        await self._store.append([self._mapper.to_stored_event(event) for event in events], within=conn)
        return state

    async def _write_row(self, conn: Any, state: Deployment) -> None:
        assert state.request is not None, "events come after a request"
        details = None if state.connection_details is None else json.dumps(dict(state.connection_details))
        await conn.execute(
            _UPSERT,
            deployment_of(state.stream),
            state.request.user_id,
            state.request.service_id,
            state.request.service_name,
            state.request.asset,
            state.request.amount,
            state.commission,
            state.grid_payment,
            state.status,
            state.grid_deployment_id,
            details,
            state.error_message,
            state.version,
        )
