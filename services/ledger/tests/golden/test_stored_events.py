"""Every event version that was ever stored is read as today's event, for ever.

``events/<Name>.v<version>.json``: ``state`` is the text of the stored bytes, ``today`` the fields as they are now.
``sealed.sha256`` holds a digest of each state: files and lines are added, never changed (``today`` may be, with an
upcaster).
"""

from __future__ import annotations

import json
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent

from eventstore.mapper import EventMapper
from ledger.domain.events import EVENT_TYPES, LedgerEvent, WalletEvent
from ledger.domain.journal import totals_by_asset
from ledger.domain.states import Wallet, evolve_wallet

HERE = Path(__file__).parent
FILES = sorted((HERE / "events").glob("*.json"))
MAPPER = EventMapper(EVENT_TYPES)


def load(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text())
    assert isinstance(content, dict)
    return content


def stored(golden: dict[str, Any]) -> StoredEvent:
    return StoredEvent(golden["originator_id"], golden["originator_version"], golden["topic"], golden["state"].encode())


def todays(golden: dict[str, Any]) -> LedgerEvent:
    kind = next(kind for kind in EVENT_TYPES if golden["topic"] == kind.TOPIC)
    state = dict(golden["today"])
    LedgerEvent.restore(state)
    return kind(originator_id=golden["originator_id"], originator_version=golden["originator_version"], **state)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_read_as_todays_event(file: Path) -> None:
    golden = load(file)
    event = MAPPER.to_domain_event(stored(golden))
    assert event == todays(golden)
    assert set(vars(event)) == {field.name for field in fields(event)}
    assert not any(totals_by_asset(event.postings).values())
    if isinstance(event, WalletEvent):
        wallet = evolve_wallet(Wallet(event.user_id), event)
        assert (wallet.spendable, wallet.held) == (event.spendable, event.held)


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_todays_version_of_every_event_is_kept_here(kind: type[LedgerEvent]) -> None:
    version = getattr(kind, "class_version", 1)
    golden = load(HERE / "events" / f"{kind.__name__}.v{version}.json")
    written = MAPPER.to_stored_event(todays(golden))
    assert (written.topic, json.loads(written.state)) == (golden["topic"], json.loads(golden["state"]))


def test_no_stored_bytes_were_ever_changed() -> None:
    sealed = dict(reversed(line.split()) for line in (HERE / "sealed.sha256").read_text().splitlines())
    assert {file.name: sha256(load(file)["state"].encode()).hexdigest() for file in FILES} == sealed


def test_every_file_says_its_name() -> None:
    for file in FILES:
        name, version = file.stem.split(".")
        golden = load(file)
        told = json.loads(golden["state"]).get("class_version", 1)
        assert (golden["topic"], f"v{told}") == (f"ledger.{name}", version)
