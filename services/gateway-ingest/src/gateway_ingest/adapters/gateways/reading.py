"""What the events of all our gateways have in common: an id, a type, a time, and something odd in any of them.

Must not raise for any JSON: what cannot be read becomes Odd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway_ingest.domain import judging
from gateway_ingest.domain.facts import Finding, Odd, Reading
from gateway_ingest.domain.judging import OddEvent

Find = Callable[[str, dict[str, Any]], Finding]


def read_event(event: Any, find: Find) -> Reading:
    """The event with what ``find`` makes of its type and body; an OddEvent that it raises is the finding."""
    if not isinstance(event, dict):
        return Reading(None, "", None, Odd("not_an_object"))
    kind = judging.event_type(event.get("type"))
    event_id = judging.identifier(event.get("id"))
    occurred_at = judging.unix_time(event.get("created"))
    try:
        finding = _find(kind, event_id, event, find)
    except OddEvent as odd:
        finding = Odd(odd.reason)
    return Reading(event_id, kind or "", occurred_at, finding)


def _find(kind: str | None, event_id: str | None, event: dict[str, Any], find: Find) -> Finding:
    if kind is None:
        raise OddEvent("bad_event_type")
    if event_id is None:
        raise OddEvent("bad_event_id")
    return find(kind, event)
