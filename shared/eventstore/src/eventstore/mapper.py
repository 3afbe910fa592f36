"""Domain events to stored bytes and back: the library's mapper, with our names and no surprises.

Topics are resolved among the given event types only, so that a stored name can never import code. Older versions of an
event pass the ``upcast_vN_vM`` functions of its class, as in the library.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent


class UnknownEventType(LookupError):
    """A stored topic that no event type of this service has."""


class QuickJSONTranscoder(JSONTranscoder):
    """The library's JSON, written by a faster encoder where that can: the texts mean the same."""

    def encode(self, obj: Any) -> bytes:
        # The faster encoder would also write what JSON lacks (times, decimals, bytes, NaN) as a text or null that does
        # not come back as it was: the library's own refuses those unless they are registered.
        if not _is_plain((obj,)):
            return super().encode(obj)
        try:
            return msgspec.json.encode(obj)
        except TypeError:
            # Keys that are no texts.
            return super().encode(obj)

    def decode(self, data: bytes) -> Any:
        # Where no type is registered none was ever written, so nothing in the text stands for one. The library would
        # take somebody's own {"_type_": …, "_data_": …} for one, and the event could never be read again.
        return super().decode(data) if self.types else _PLAIN_JSON.decode(data.decode())


_PLAIN_JSON = json.JSONDecoder()
_SCALARS = frozenset((str, int, bool, type(None)))


def _is_plain(values: Iterable[Any]) -> bool:
    """Whether JSON has all of these as they are. Runs for each event: a microsecond."""
    for value in values:
        if type(value) in _SCALARS:
            continue
        if isinstance(value, tuple | list):
            inside: Iterable[Any] = value
        elif type(value) is dict:
            inside = (*value, *value.values())
        else:
            return False
        if not (_SCALARS.issuperset(map(type, inside)) or _is_plain(inside)):
            return False
    return True


class EventMapper(Mapper[str]):
    """Maps frozen dataclasses that have ``originator_id``, ``originator_version`` and a class variable ``TOPIC``.

    A class may define ``restore(state)``, which gives fields back the shape that JSON took from them (lists that were
    tuples); it is called after upcasting.
    """

    def __init__(self, event_types: Iterable[type]) -> None:
        super().__init__(QuickJSONTranscoder())
        self._types: dict[str, type] = {}
        for event_type in event_types:
            topic: str = event_type.__dict__["TOPIC"]
            if topic in self._types:
                raise ValueError(f"two event types are called {topic}")
            self._types[topic] = event_type

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """The event's fields as JSON under its topic."""
        kind = type(domain_event)
        state = dict(vars(domain_event))
        stream, version = state.pop("originator_id"), state.pop("originator_version")
        class_version = getattr(kind, "class_version", 1)
        if class_version > 1:
            state["class_version"] = class_version
        return StoredEvent(stream, version, kind.TOPIC, self.transcoder.encode(state))

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """The event as its class is today. Raises UnknownEventType, or ValueError for a newer version than known."""
        kind = self._types.get(stored_event.topic)
        if kind is None:
            raise UnknownEventType(stored_event.topic)
        state: dict[str, Any] = self.transcoder.decode(stored_event.state)
        self._upcast(kind, state)
        restore = getattr(kind, "restore", None)
        if restore is not None:
            restore(state)
        state["originator_id"] = stored_event.originator_id
        state["originator_version"] = stored_event.originator_version
        event: Any = object.__new__(kind)
        event.__dict__.update(state)
        return event

    @staticmethod
    def _upcast(kind: type, state: dict[str, Any]) -> None:
        current, stored = getattr(kind, "class_version", 1), state.pop("class_version", 1)
        if stored > current:
            raise ValueError(f"{kind.__name__} of version {stored} is newer than this program, which knows {current}")
        for version in range(stored, current):
            getattr(kind, f"upcast_v{version}_v{version + 1}")(state)
