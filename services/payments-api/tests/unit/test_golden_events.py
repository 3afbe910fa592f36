"""Every event ever stored can still be read: the files hold their bytes as they were written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eventsourcing.persistence import StoredEvent

from payments_api.adapters.payment_repository import event_mapper
from payments_api.domain.events import EVENT_TYPES
from payments_api.domain.payment import Payment, evolve

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
STORIES = ("events", "events_2", "events_3")
FILES = sorted(path for story in STORIES for path in (GOLDEN / story).glob("*.json"))


def stored(path: Path) -> StoredEvent:
    content = json.loads(path.read_text())
    return StoredEvent("payment:golden", content["version"], content["topic"], content["state"].encode())


def test_every_event_type_has_a_file() -> None:
    assert {event_type.TOPIC for event_type in EVENT_TYPES} == {stored(path).topic for path in FILES}


def is_current(path: Path) -> bool:
    """Of the version that is written today."""
    (kind,) = (one for one in EVENT_TYPES if stored(path).topic == one.TOPIC)
    written: int = json.loads(stored(path).state).get("class_version", 1)
    return written == getattr(kind, "class_version", 1)


def test_every_version_of_today_has_a_file() -> None:
    assert {one.TOPIC for one in EVENT_TYPES} == {stored(path).topic for path in FILES if is_current(path)}


@pytest.mark.parametrize("path", [path for path in FILES if is_current(path)], ids=lambda path: path.stem)
def test_the_bytes_are_read_and_written_as_they_were(path: Path) -> None:
    mapper = event_mapper()
    event = mapper.to_domain_event(stored(path))
    was, written = json.loads(stored(path).state), json.loads(mapper.to_stored_event(event).state)
    # What a version has learnt since is empty in what was written before.
    assert {name: value for name, value in written.items() if name in was or value is not None} == was


def told(story: str) -> Payment:
    mapper = event_mapper()
    state = Payment("payment:golden")
    files = (stored(path) for path in FILES if path.parent.name == story)
    for event in sorted(files, key=lambda event: event.originator_version):
        state = evolve(state, mapper.to_domain_event(event))
    return state


def test_the_first_story_leads_to_the_same_state() -> None:
    state = told("events")
    assert (state.version, state.status, state.credited, state.refunded_total) == (5, "partially_refunded", 2500, 1000)
    assert (state.user_id, state.reference, state.payment_url) == ("alice", "GLD4WJD8RSK25FN9", "http://pay.test/p1")
    assert (state.asked_asset, state.asked) == ("USD/2", 2500)


def test_the_second_story_leads_to_the_same_state() -> None:
    state = told("events_2")
    assert (state.version, state.status, state.credited, state.refunded_total) == (8, "lost", 5250, 0)
    assert (state.asked, state.received_total, state.details) == (5000, 100_000, {"network": "Bitcoin"})
    assert state.deposit == {"network": "bitcoin", "address": "bc1q", "token": None, "confirmations": 2}


def test_the_third_story_leads_to_the_same_state() -> None:
    state = told("events_3")
    assert (state.version, state.status, state.failure_reason) == (3, "failed", "no luck")
    assert state.failed_attempts == frozenset({"ch_1"})
    assert told("events_2").failed_attempts == frozenset()
