"""The port of the event store. Every adapter keeps these promises; the conformance suite in testkit holds them to it.

A stream's versions count from one without gaps. Positions grow in commit order and may have gaps: who reads forward by
position misses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from eventsourcing.persistence import StoredEvent

__all__ = ["Appended", "EventStore", "RecordedEvent", "StoredEvent", "StreamHead", "VersionConflict"]


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it stands in the log. ``recorded_at`` is the database's time, UTC."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes
    recorded_at: datetime
    prev_hash: bytes
    hash: bytes

    def stored(self) -> StoredEvent:
        """As the library's mapper reads it."""
        return StoredEvent(self.stream, self.version, self.topic, self.state)


class StreamHead(NamedTuple):
    """The last event of a stream: its version and its hash."""

    version: int
    hash: bytes


class Appended(NamedTuple):
    """``position`` of the last event appended, and the new head of each stream."""

    position: int
    heads: Mapping[str, StreamHead]


class VersionConflict(Exception):
    """The stream does not continue where the event says it does: somebody else appended meanwhile."""

    def __init__(self, stream: str, expected: int, actual: int | None) -> None:
        super().__init__(
            f"{stream}: version {expected} does not follow {'another append' if actual is None else actual}"
        )
        self.stream = stream
        self.expected = expected
        self.actual = actual


class EventStore(Protocol):
    """``within`` is a connection in the caller's transaction; without it every call has one of its own."""

    async def append(
        self, events: Sequence[StoredEvent], *, heads: Mapping[str, StreamHead] | None = None, within: Any = None
    ) -> Appended:
        """Append to several streams at once, all or nothing. Raises VersionConflict.

        ``heads`` are those that the caller knows and has locked; others are read. Call it as the transaction's last
        lock: it holds the log's lane to the commit.
        """
        ...

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
        """The stream's events with versions above ``after`` and not above ``upto``."""
        ...

    async def read_log(self, after: int, *, limit: int, within: Any = None) -> list[RecordedEvent]:
        """The events of all streams after that position, in order."""
        ...

    async def last_position(self, within: Any = None) -> int:
        """The position of the last event; 0 for an empty log."""
        ...
