"""Rows are kept for ever: what an earlier version stored must still be read. Each file is one stored row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway_ingest.adapters.encryption import RawEventCipher

FOLDER = Path(__file__).parent / "stored_bodies"
ROWS = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_a_stored_body_is_still_read(path: Path) -> None:
    row = json.loads(path.read_text())
    cipher = RawEventCipher([bytes.fromhex(row["key_hex"])])
    assert cipher.current_key_id == row["key_id"]
    body = cipher.decrypt(row["gateway"], row["event_id"], row["key_id"], bytes.fromhex(row["stored_hex"]))
    assert body == row["body"].encode()


def test_there_is_something_to_read() -> None:
    assert ROWS
