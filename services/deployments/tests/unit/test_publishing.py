"""Stored events as messages: the right one, with amounts as decimals and an id that repeats."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.clock import ManualClock
from contracts import messages
from contracts.envelope import Envelope
from deployments.adapters.publishing import LogSource, translate
from deployments.adapters.repository import event_mapper
from deployments.domain import events
from eventstore.memory import MemoryEventStore

STREAM = "deployment:d-1"
QUEUED = events.DeploymentQueued(
    STREAM, 1, "alice", "web-server", "Web server", "TFC/2", 1005, "0.10", 101, 904, {"kind": "vm"}
)
ABOUT = {"deployment_id": "d-1", "user_id": "alice"}
CASES = [
    (
        QUEUED,
        messages.DeploymentQueued,
        {
            "service_id": "web-server",
            "amount": {"asset": "TFC/2", "amount": "10.05"},
            "commission": {"asset": "TFC/2", "amount": "1.01"},
            "grid_payment": {"asset": "TFC/2", "amount": "9.04"},
        },
    ),
    (
        events.DeploymentRejected(STREAM, 1, "alice", "x", "X", "TFC/2", 5, "not sold"),
        messages.DeploymentFailed,
        {"error_message": "not sold"},
    ),
    (events.ProvisioningStarted(STREAM, 2, "alice", 1), messages.DeploymentProvisioning, {"attempt": 1}),
    (
        events.DeploymentActivated(STREAM, 3, "alice", "77", {"mycelium_ip": "400::1", "private_ip": "10.20.2.2"}),
        messages.DeploymentActive,
        {
            "grid_deployment_id": "77",
            "connection_details": {
                "mycelium_ip": "400::1",
                "public_ip": None,
                "ssh_user": None,
                "url": None,
                "private_ip": "10.20.2.2",
            },
        },
    ),
    (
        events.DeploymentBecameUnknown(STREAM, 3, "alice", "silent"),
        messages.DeploymentUnknown,
        {"error_message": "silent"},
    ),
    (events.DeploymentFailed(STREAM, 3, "alice", "full"), messages.DeploymentFailed, {"error_message": "full"}),
]


@pytest.mark.parametrize(("event", "kind", "content"), CASES, ids=lambda value: getattr(value, "TOPIC", ""))
def test_each_event_is_told_as_its_message(event: Any, kind: type[messages.Message], content: dict[str, Any]) -> None:
    message = translate(event)
    assert type(message) is kind
    assert json.loads(message.model_dump_json()) == {**ABOUT, **content}


def test_no_event_is_without_a_message() -> None:
    assert {type(event) for event, _, _ in CASES} == set(events.EVENT_TYPES)


@pytest.mark.asyncio
async def test_the_log_is_published_in_order_with_ids_that_repeat() -> None:
    clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
    store = MemoryEventStore(clock)
    mapper = event_mapper()
    both = [QUEUED, events.ProvisioningStarted(STREAM, 2, "alice", 1)]
    await store.append([mapper.to_stored_event(event) for event in both])
    source = LogSource(store)

    reached, records = await source.read_after(None, 0, 10)
    again = await source.read_after(None, 0, 10)
    first, second = (Envelope.from_record(record.headers, record.value) for record in records)

    assert (reached, records) == again
    assert {(record.topic, record.key) for record in records} == {("deployments", b"d-1")}
    assert [first.type, second.type] == [messages.DeploymentQueued.TYPE, messages.DeploymentProvisioning.TYPE]
    assert (first.source, first.subject, first.time) == ("deployments", STREAM, clock.now())
    assert first.id != second.id
    assert await source.read_after(None, reached, 10) == (reached, [])
    assert await source.last_position(None) == reached
    assert (await source.read_after(None, 1, 10))[1] == [records[1]]
