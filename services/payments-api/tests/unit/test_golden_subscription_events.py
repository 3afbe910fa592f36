"""Every event of a subscription ever stored can still be read: the files hold their bytes as they were written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent

from payments_api.adapters.payment_repository import event_mapper
from payments_api.domain.subscription import Subscription, evolve_subscription
from payments_api.domain.subscription_events import SUBSCRIPTION_EVENT_TYPES

FILES = sorted((Path(__file__).resolve().parents[1] / "golden" / "subscription").glob("*.json"))


def stored(path: Path) -> StoredEvent:
    content = json.loads(path.read_text())
    return StoredEvent("subscription:golden", content["version"], content["topic"], content["state"].encode())


def test_every_event_type_has_a_file_of_its_version() -> None:
    written = {(stored(path).topic, json.loads(stored(path).state).get("class_version", 1)) for path in FILES}
    assert written == {(kind.TOPIC, getattr(kind, "class_version", 1)) for kind in SUBSCRIPTION_EVENT_TYPES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_bytes_are_read_and_written_as_they_were(path: Path) -> None:
    mapper = event_mapper()
    event = mapper.to_domain_event(stored(path))
    assert json.loads(mapper.to_stored_event(event).state) == json.loads(stored(path).state)


def test_the_story_leads_to_the_same_state() -> None:
    mapper = event_mapper()
    state = Subscription("subscription:golden")
    for event in sorted((stored(path) for path in FILES), key=lambda event: event.originator_version):
        read: Any = mapper.to_domain_event(event)
        state = evolve_subscription(state, read)
    assert (state.version, state.status, state.user_id, state.cycle) == (10, "unpaid", "alice", "monthly")
    assert (state.gateway_session_id, state.gateway_subscription_id) == ("cs_test_1", "sub_1")
    assert (state.gateway_state, state.is_over_at_gateway, state.act_at) == ("past_due", True, None)
    assert [(each.number, each.state) for each in state.periods.values()] == [(1, "paid"), (2, "failed")]
    assert state.lost_bills == ("p3",)
    assert state.terms is not None
    assert tuple(state.terms) == ("USD/2", 4500, "TFC/2", 5000, 500)
