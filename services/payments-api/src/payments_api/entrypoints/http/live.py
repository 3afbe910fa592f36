"""``/api/events``: server-sent events, each person their own, going on where ``Last-Event-ID`` left off.

The stream begins with the id of where it stands, so that a connection that breaks before the first event loses nothing;
``reset`` says that something was missed for good and must be read anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header
from starlette.responses import StreamingResponse

from chassis.errors import InvalidField
from chassis.http import ExactRouter
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.people import Person
from payments_api.projections.live_feed import LiveEvent, LiveFeed, Start

HEARTBEAT_S = 15.0
RECONNECT_MS = 1_000
ID_MAX = 2**63 - 1
MEDIA_TYPE = "text/event-stream"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def routes(parts: Parts, *, heartbeat_s: float = HEARTBEAT_S) -> ExactRouter:
    """The router."""
    router = ExactRouter(prefix="/api", tags=["live"])
    feed = parts.feed

    @router.get(
        "/events",
        response_class=StreamingResponse,
        summary="What happens to you, as it happens: balance, payment, deployment",
    )
    async def events(
        person: Person, last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None
    ) -> StreamingResponse:
        start = await feed.start(person, _event_id(last_event_id))
        return StreamingResponse(
            _stream(feed, person, start, heartbeat_s), media_type=MEDIA_TYPE, headers=dict(_HEADERS)
        )

    return router


async def _stream(feed: LiveFeed, person: str, start: Start, heartbeat_s: float) -> AsyncIterator[bytes]:
    """Subscribes only now: a stream that nobody ever reads leaves nothing behind."""
    listener = feed.subscribe(person)
    try:
        yield b"retry: %d\nid: %d\n\n" % (RECONNECT_MS, start.position)
        if start.has_gap:
            yield b"event: reset\ndata: {}\n\n"
        async for event in feed.events(listener, start.position, heartbeat_s=heartbeat_s):
            yield b": still here\n\n" if event is None else _frame(event)
    finally:
        feed.unsubscribe(listener)


def _frame(event: LiveEvent) -> bytes:
    """JSON holds no line breaks, so one data line is enough."""
    return f"id: {event.id}\nevent: {event.kind}\ndata: {event.data}\n\n".encode()


def _event_id(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= ID_MAX):
        raise InvalidField("Last-Event-ID", "bad_event_id", "must be an id that this stream gave")
    return int(text)
