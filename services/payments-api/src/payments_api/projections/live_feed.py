"""What happened to a person, told as it happens, to any number of listeners, from this service's own table.

One reader per process follows the table by id and hands events to its listeners. Since id order is commit order, a
listener that first subscribes and then reads its backlog misses nothing, on whichever replica it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import asyncpg
import structlog

from chassis.bus.retry import Backoff, passes
from chassis.errors import DomainError
from chassis.runtime import StopSignal

POLL_S = 0.05
READ_MAX_EVENTS = 500
LISTENER_MAX_EVENTS = 1_000
LISTENERS_PER_PERSON_MAX = 20

_LAST = "SELECT coalesce(max(id), (SELECT pruned FROM live_events_horizon)) FROM live_events"
_FOLLOW = "SELECT id, user_id, kind, data FROM live_events WHERE id > $1 ORDER BY id LIMIT $2"
_BACKLOG = """
SELECT id, user_id, kind, data FROM live_events WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3
"""
_HORIZON = "SELECT pruned FROM live_events_horizon"

log = structlog.get_logger("live_feed")


class LiveEvent(NamedTuple):
    """One piece of news; ``data`` is JSON."""

    id: int
    user_id: str
    kind: str
    data: str


class Start(NamedTuple):
    """Where a listener begins. With ``has_gap`` it missed something for good and must read everything anew."""

    position: int
    has_gap: bool


class TooManyListeners(DomainError):
    """One person keeps too many connections open."""

    status = 429

    def __init__(self) -> None:
        title = f"At most {LISTENERS_PER_PERSON_MAX} connections for live events at once"
        super().__init__("too_many_listeners", title)


class Listener:
    """One person's open connection. Ends when the process does, or when it cannot keep up."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        # None ends it.
        self._events: asyncio.Queue[LiveEvent | None] = asyncio.Queue(LISTENER_MAX_EVENTS + 1)

    def offer(self, event: LiveEvent) -> bool:
        """Hand over; answers whether there was room."""
        if self._events.qsize() >= LISTENER_MAX_EVENTS:
            return False
        self._events.put_nowait(event)
        return True

    def end(self) -> None:
        """No more will come. Safe to repeat."""
        if not self._events.full():
            self._events.put_nowait(None)

    async def next(self, timeout_s: float) -> LiveEvent | None:
        """The next event, or None at the end. Raises TimeoutError when nothing comes."""
        async with asyncio.timeout(timeout_s):
            return await self._events.get()


class LiveFeed:
    """Follows the table and knows who listens."""

    def __init__(self, pool: asyncpg.Pool[Any], *, poll_s: float = POLL_S) -> None:
        self._pool = pool
        self._poll_s = poll_s
        self._position: int | None = None
        self._ended = False
        self._listeners: dict[str, set[Listener]] = {}

    async def run(self, stop: StopSignal) -> None:
        """Follow until stopped, then end every listener. A database that is away is waited for; bugs are raised."""
        backoff = Backoff()
        try:
            while not stop.is_set():
                try:
                    found = await self.run_once()
                except Exception as error:
                    if not passes(error):
                        raise
                    log.warning("live_feed_failed", error=str(error))
                    await stop.wait_for(backoff.next_s())
                    continue
                backoff.reset()
                if found < READ_MAX_EVENTS:
                    await stop.wait_for(self._poll_s)
        finally:
            self._end_all()

    async def run_once(self) -> int:
        """Hand on what is new; answers how many events that was."""
        if self._position is None:
            self._position = int(await self._pool.fetchval(_LAST))
        events = [LiveEvent(*row) for row in await self._pool.fetch(_FOLLOW, self._position, READ_MAX_EVENTS)]
        for event in events:
            self._hand_on(event)
            self._position = event.id
        return len(events)

    def subscribe(self, user_id: str) -> Listener:
        """Begin to listen. Every listener must be given back to ``unsubscribe``."""
        listener = Listener(user_id)
        if self._ended:
            listener.end()
        self._listeners.setdefault(user_id, set()).add(listener)
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        """Stop listening. Safe to repeat."""
        others = self._listeners.get(listener.user_id, set())
        others.discard(listener)
        if not others:
            self._listeners.pop(listener.user_id, None)

    async def start(self, user_id: str, last_event_id: int | None) -> Start:
        """Where to begin: after what was seen last, or now. Raises TooManyListeners."""
        if len(self._listeners.get(user_id, ())) >= LISTENERS_PER_PERSON_MAX:
            raise TooManyListeners
        last = int(await self._pool.fetchval(_LAST))
        if last_event_id is None:
            return Start(last, has_gap=False)
        pruned = int(await self._pool.fetchval(_HORIZON))
        # An id beyond the last is of another database's life.
        has_gap = last_event_id < pruned or last_event_id > last
        return Start(last if has_gap else last_event_id, has_gap)

    async def events(self, listener: Listener, position: int, *, heartbeat_s: float) -> AsyncIterator[LiveEvent | None]:
        """What happened after ``position``: the backlog, then what comes; None when nothing did for a while."""
        async for event in self._backlog(listener.user_id, position):
            position = event.id
            yield event
        while True:
            try:
                event_or_end = await listener.next(heartbeat_s)
            except TimeoutError:
                yield None
                continue
            if event_or_end is None:
                return
            if event_or_end.id > position:
                position = event_or_end.id
                yield event_or_end

    async def _backlog(self, user_id: str, position: int) -> AsyncIterator[LiveEvent]:
        while True:
            page = await self._page(user_id, position)
            for event in page:
                position = event.id
                yield event
            if len(page) < READ_MAX_EVENTS:
                return

    async def _page(self, user_id: str, position: int) -> Sequence[LiveEvent]:
        rows = await self._pool.fetch(_BACKLOG, user_id, position, READ_MAX_EVENTS)
        return [LiveEvent(*row) for row in rows]

    def _hand_on(self, event: LiveEvent) -> None:
        for listener in tuple(self._listeners.get(event.user_id, ())):
            if not listener.offer(event):
                # It comes back with Last-Event-ID and reads what it missed.
                log.info("listener_too_slow", event_id=event.id)
                self.unsubscribe(listener)
                listener.end()

    def _end_all(self) -> None:
        self._ended = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end()
