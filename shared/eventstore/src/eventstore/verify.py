"""Proves a log: every stream counts from one without gaps, and every hash follows from the stored bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from eventstore.chaining import EMPTY
from eventstore.hashing import chain
from eventstore.port import StreamHead

PAGE_MAX = 5_000
_PAGE = """
SELECT originator_id, originator_version, topic, state, prev_hash, hash FROM stored_events
WHERE (originator_id, originator_version) > ($1, $2) ORDER BY originator_id, originator_version LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing wrong with a stream. ``what`` is for an operator."""

    stream: str
    version: int
    what: str


async def faults(conn: Any, progress: Callable[[int], None] = lambda events: None) -> AsyncIterator[Fault]:
    """Read the whole log stream by stream and yield the first fault of each; ``progress`` hears how many were read."""
    stream, head, broken = "", EMPTY, False
    after: tuple[str, int] = ("", 0)
    while rows := await conn.fetch(_PAGE, *after, PAGE_MAX):
        for row in rows:
            if row["originator_id"] != stream:
                stream, head, broken = row["originator_id"], EMPTY, False
            fault = None if broken else _fault(head, row)
            if fault is not None:
                broken = True
                yield fault
            head = StreamHead(row["originator_version"], row["hash"])
        after = (rows[-1]["originator_id"], rows[-1]["originator_version"])
        progress(len(rows))


def _fault(head: StreamHead, row: Any) -> Fault | None:
    stream, version = row["originator_id"], row["originator_version"]
    if version != head.version + 1:
        return Fault(stream, version, f"version {version} follows {head.version}")
    if row["prev_hash"] != head.hash:
        return Fault(stream, version, "its previous hash is not the hash of the event before")
    if row["hash"] != chain(head.hash, stream, version, row["topic"], row["state"]):
        return Fault(stream, version, "its hash does not follow from its bytes")
    return None
