"""The mark by which a record is known again: stored in databases, so it never changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chassis.bus.port import Record
from chassis.inbox import mark_of

RECORD = Record(
    "payments", b"key", b"value", (("ce_id", b"1"), ("ce_type", b"t")), partition=3, offset=39, timestamp_ms=1_700_000
)


def test_the_mark_is_what_is_stored_already() -> None:
    assert mark_of(RECORD) == "39/1700000/7f8bf3b3ab70051633890558b949371a"


@pytest.mark.parametrize(
    "change",
    [
        {"offset": 40},
        {"timestamp_ms": 1_700_001},
        {"key": b"kez"},
        {"value": b"valuf"},
        {"headers": (("ce_id", b"2"), ("ce_type", b"t"))},
        {"key": b"keyv", "value": b"alue"},
    ],
)
def test_any_other_record_has_another_mark(change: dict[str, Any]) -> None:
    assert mark_of(replace(RECORD, **change)) != mark_of(RECORD)
