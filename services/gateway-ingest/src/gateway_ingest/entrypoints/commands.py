"""What an operator types: the list of quarantined events, and one event as it came."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from gateway_ingest.adapters.kept_events import QuarantinedEvent
from gateway_ingest.bootstrap import build
from gateway_ingest.settings import IngestSettings

QUARANTINE_MAX_LISTED = 1000
FOUND, NOT_FOUND = 0, 1


async def quarantine(settings: IngestSettings, *, as_json: bool) -> int:
    """Print what is quarantined, newest first; ``as_json``: one object a line."""
    async with build(settings) as service:
        events = await service.kept.quarantined(QUARANTINE_MAX_LISTED)
    lines = _as_json(events) if as_json else _as_text(events)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return FOUND


async def event(settings: IngestSettings, gateway: str, event_id: str) -> int:
    """Print all that came under the id, decrypted, one JSON object a line.

    It may hold personal data.
    """
    async with build(settings) as service:
        found = await service.kept.event(gateway, event_id)
    for kept in found:
        readable = {**kept, "body": kept["body"].decode(errors="replace")}
        sys.stdout.write(f"{msgspec.json.encode(readable).decode()}\n")
    if not found:
        print(f"no event {event_id} of {gateway}", file=sys.stderr)
    return FOUND if found else NOT_FOUND


def _as_json(events: Sequence[QuarantinedEvent]) -> list[str]:
    return [msgspec.json.encode(event).decode() for event in events]


def _as_text(events: Sequence[QuarantinedEvent]) -> list[str]:
    if not events:
        return ["nothing is quarantined"]
    return [
        f"{event.received_at:%Y-%m-%d %H:%M:%S}  {event.gateway}  {event.event_id}  {event.event_type}  {event.reason}"
        for event in events
    ]
