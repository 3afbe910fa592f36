"""Turns events into rows: continues each stream's versions and hashes. Shared by every adapter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from eventstore.hashing import GENESIS, chain
from eventstore.port import StoredEvent, StreamHead, VersionConflict

EMPTY = StreamHead(0, GENESIS)


class Rows(NamedTuple):
    """Columns of the rows to insert, and the heads of the streams after them."""

    streams: list[str]
    versions: list[int]
    topics: list[str]
    states: list[bytes]
    prev_hashes: list[bytes]
    hashes: list[bytes]
    heads: dict[str, StreamHead]


def streams_of(events: Iterable[StoredEvent]) -> set[str]:
    """The streams that are appended to."""
    return {str(event.originator_id) for event in events}


def rows_of(events: Sequence[StoredEvent], heads: Mapping[str, StreamHead]) -> Rows:
    """Continue ``heads`` (a stream that has none is empty) by ``events``. Raises VersionConflict."""
    after: dict[str, StreamHead] = {}
    rows = Rows([], [], [], [], [], [], after)
    for event in events:
        stream = str(event.originator_id)
        version, topic, state = event.originator_version, event.topic, event.state
        head = after.get(stream) or heads.get(stream, EMPTY)
        if version != head.version + 1:
            raise VersionConflict(stream, version, head.version)
        digest = chain(head.hash, stream, version, topic, state)
        after[stream] = StreamHead(version, digest)
        rows.streams.append(stream)
        rows.versions.append(version)
        rows.topics.append(topic)
        rows.states.append(state)
        rows.prev_hashes.append(head.hash)
        rows.hashes.append(digest)
    return rows
