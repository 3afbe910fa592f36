"""Our event stores behind the eventsourcing library's own recorder interfaces, so that its test cases run on them.

Synchronous, as the library is: the store lives in an event loop of its own thread. The library's cases begin streams
at version 0 or 1, ours begin at one, so versions are shifted per stream; all else is the port's own behaviour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    Notification,
    StoredEvent,
)

from eventstore.port import EventStore, RecordedEvent, VersionConflict
from testkit.loop_thread import LoopThread

PAGE = 1_000


class LibraryAggregateRecorder(AggregateRecorder):
    """Inserts and selects the events of streams."""

    def __init__(self, thread: LoopThread, store: EventStore) -> None:
        self._thread = thread
        self._store = store
        self._before_first: dict[str, int] = {}

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        self._append(stored_events)
        return None

    def select_events(
        self,
        originator_id: Any,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        shift = self._before_first.get(originator_id, 0)
        after = 0 if gt is None else max(gt - shift, 0)
        upto = None if lte is None else lte - shift
        loading = self._store.load(originator_id, after=after, upto=upto, newest_first=desc, limit=limit)
        return [self._as_the_library_counts(event) for event in self._thread.call(loading)]

    def _append(self, stored_events: Sequence[StoredEvent]) -> list[StoredEvent]:
        for event in stored_events:
            # The first event that is ever inserted into a stream says where the library's case begins to count.
            self._before_first.setdefault(str(event.originator_id), event.originator_version - 1)
        counted = [self._as_we_count(event) for event in stored_events]
        try:
            self._thread.call(self._store.append(counted))
        except VersionConflict as conflict:
            raise IntegrityError(str(conflict)) from conflict
        return counted

    def _as_we_count(self, event: StoredEvent) -> StoredEvent:
        stream = str(event.originator_id)
        return StoredEvent(stream, event.originator_version - self._before_first[stream], event.topic, event.state)

    def _as_the_library_counts(self, event: RecordedEvent) -> StoredEvent:
        version = event.version + self._before_first.get(event.stream, 0)
        return StoredEvent(event.stream, version, event.topic, event.state)


class LibraryApplicationRecorder(LibraryAggregateRecorder, ApplicationRecorder):
    """Also selects notifications: the log by position."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        positions: dict[tuple[str, int], int] = {}
        counted = self._append(stored_events)
        for stream in {str(event.originator_id) for event in counted}:
            versions = [event.originator_version for event in counted if event.originator_id == stream]
            loading = self._store.load(stream, after=min(versions) - 1, upto=max(versions))
            positions |= {(stream, event.version): event.position for event in self._thread.call(loading)}
        return [positions[str(event.originator_id), event.originator_version] for event in counted]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = 0 if start is None else start - int(inclusive_of_start)
        found: list[Notification] = []
        while page := self._thread.call(self._store.read_log(after, limit=PAGE if topics else limit)):
            after = page[-1].position
            wanted = [event for event in page if stop is None or event.position <= stop]
            found += [self._notification(event) for event in wanted if not topics or event.topic in topics]
            if len(found) >= limit or len(wanted) < len(page):
                break
        return found[:limit]

    def max_notification_id(self) -> int | None:
        return self._thread.call(self._store.last_position()) or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> NoReturn:
        """Our logs are followed by reading forward (``eventstore.projector``); the library's case is optional."""
        raise NotImplementedError

    def _notification(self, event: RecordedEvent) -> Notification:
        counted = self._as_the_library_counts(event)
        return Notification(
            counted.originator_id, counted.originator_version, counted.topic, counted.state, id=event.position
        )
