"""The event store in memory: for tests of what stands above it. Keeps the same promises, held by the same suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chassis.clock import Clock, SystemClock
from eventstore.chaining import EMPTY, rows_of, streams_of
from eventstore.port import Appended, RecordedEvent, StoredEvent, StreamHead


class MemoryEventStore:
    """See ``eventstore.port.EventStore``. ``within`` is accepted and ignored: every call is atomic by itself."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._log: list[RecordedEvent] = []
        self._streams: dict[str, list[RecordedEvent]] = {}

    async def append(
        self, events: Sequence[StoredEvent], *, heads: Mapping[str, StreamHead] | None = None, within: Any = None
    ) -> Appended:
        rows = rows_of(events, {stream: self._head(stream) for stream in streams_of(events)})
        now = self._clock.now()
        for stream, version, topic, state, prev_hash, digest in zip(*rows[:6], strict=True):
            event = RecordedEvent(len(self._log) + 1, stream, version, topic, state, now, prev_hash, digest)
            self._log.append(event)
            self._streams.setdefault(stream, []).append(event)
        return Appended(len(self._log), rows.heads)

    async def load(
        self,
        stream: str,
        *,
        after: int = 0,
        upto: int | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        within: Any = None,
    ) -> list[RecordedEvent]:
        events = self._streams.get(stream, [])[after:upto]
        if newest_first:
            events = events[::-1]
        return events[:limit]

    async def read_log(self, after: int, *, limit: int, within: Any = None) -> list[RecordedEvent]:
        return self._log[after : after + limit]

    async def last_position(self, within: Any = None) -> int:
        return len(self._log)

    def _head(self, stream: str) -> StreamHead:
        events = self._streams.get(stream)
        return StreamHead(events[-1].version, events[-1].hash) if events else EMPTY
