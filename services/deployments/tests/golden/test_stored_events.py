"""Every event version that was ever stored is read as today's event, for ever.

``events/<Name>.v<version>.json``: ``state`` as it was stored, ``today`` as the fields it has now. A file is never
changed, except for its ``today``; a new version of an event is a new file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent

from deployments.adapters.publishing import translate
from deployments.adapters.repository import event_mapper
from deployments.domain.events import EVENT_TYPES, DeploymentEvent

FILES = sorted((Path(__file__).parent / "events").glob("*.json"))


def load(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text())
    assert isinstance(content, dict)
    return content


def stored(golden: dict[str, Any]) -> StoredEvent:
    state = dict(golden["state"])
    if golden["class_version"] > 1:
        state["class_version"] = golden["class_version"]
    return StoredEvent("deployment:d-1", 3, golden["topic"], json.dumps(state).encode())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_read_as_todays_event(file: Path) -> None:
    golden = load(file)
    event = event_mapper().to_domain_event(stored(golden))
    kind = next(kind for kind in EVENT_TYPES if golden["topic"] == kind.TOPIC)
    assert event == kind("deployment:d-1", 3, **golden["today"])
    assert translate(event).deployment_id == "d-1"


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_todays_version_of_every_event_is_kept_here(kind: type[DeploymentEvent]) -> None:
    version = getattr(kind, "class_version", 1)
    golden = load(Path(__file__).parent / "events" / f"{kind.__name__}.v{version}.json")
    written = event_mapper().to_stored_event(kind("deployment:d-1", 3, **golden["today"]))
    assert written.topic == golden["topic"]
    assert json.loads(written.state) == json.loads(stored(golden).state)
