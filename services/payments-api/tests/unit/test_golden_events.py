"""Every event ever stored can still be read: the files hold their bytes as they were written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eventsourcing.persistence import StoredEvent

from payments_api.adapters.payment_repository import event_mapper
from payments_api.domain.events import EVENT_TYPES
from payments_api.domain.payment import Payment, evolve

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "events"
FILES = sorted(FOLDER.glob("*.json"))


def stored(path: Path) -> StoredEvent:
    content = json.loads(path.read_text())
    return StoredEvent("payment:golden", content["version"], content["topic"], content["state"].encode())


def test_every_event_type_has_a_file() -> None:
    assert {event_type.TOPIC for event_type in EVENT_TYPES} == {stored(path).topic for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_bytes_are_read_and_written_as_they_were(path: Path) -> None:
    mapper = event_mapper()
    event = mapper.to_domain_event(stored(path))
    assert json.loads(mapper.to_stored_event(event).state) == json.loads(stored(path).state)


def test_the_history_leads_to_the_same_state() -> None:
    mapper = event_mapper()
    state = Payment("payment:golden")
    for event in sorted((stored(path) for path in FILES), key=lambda event: event.originator_version):
        state = evolve(state, mapper.to_domain_event(event))
    assert (state.version, state.status, state.credited, state.refunded_total) == (5, "confirmed", 2500, 1000)
    assert (state.user_id, state.reference, state.payment_url) == ("alice", "GLD4WJD8RSK25FN9", "http://pay.test/p1")
