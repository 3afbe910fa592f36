"""A record as a group sees it: to be handled, to be parked, or to be skipped.

Decides from the headers alone; the value is the handler's to parse. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from chassis.bus.port import Record
from chassis.dead_letters import REDRIVEN_FOR
from chassis.errors import PoisonMessage
from contracts.envelope import Envelope, EnvelopeError

_MAJOR_VERSION = re.compile(r"\.v\d+\Z")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record for one group. At most one of ``envelope`` and ``poison`` is there; with neither it is skipped.

    ``epoch`` is the ownership under which its offset may be moved; None for a message that waited and has no offset
    to move.
    """

    record: Record
    epoch: int | None
    envelope: Envelope | None = None
    poison: PoisonMessage | None = None

    @property
    def is_skipped(self) -> bool:
        """Whether only the offset moves."""
        return self.envelope is None and self.poison is None


class Subscription:
    """What a group wants to hear: exact message types, with their major version."""

    def __init__(self, group: str, types: Collection[str]) -> None:
        self._group = group.encode()
        self._types = frozenset(message_type.encode() for message_type in types)
        self._names = frozenset(_MAJOR_VERSION.sub("", message_type) for message_type in types)

    def read(self, record: Record, epoch: int | None) -> Delivery:
        """See what the record is to this group."""
        headers = dict(record.headers)
        if headers.get(REDRIVEN_FOR, self._group) != self._group:
            return Delivery(record, epoch)
        message_type = headers.get("ce_type")
        if message_type is None:
            return Delivery(record, epoch, poison=PoisonMessage("bad-envelope", "header ce_type is missing"))
        if message_type in self._types:
            return self._in_envelope(record, epoch)
        if self._is_other_version(message_type):
            name = message_type.decode("utf-8", "backslashreplace")
            return Delivery(record, epoch, poison=PoisonMessage("unknown-version", name))
        return Delivery(record, epoch)

    def _in_envelope(self, record: Record, epoch: int | None) -> Delivery:
        try:
            envelope = Envelope.from_record(record.headers, record.value)
        except EnvelopeError as error:
            return Delivery(record, epoch, poison=PoisonMessage("bad-envelope", str(error)))
        return Delivery(record, epoch, envelope=envelope)

    def _is_other_version(self, message_type: bytes) -> bool:
        name, replaced = _MAJOR_VERSION.subn("", message_type.decode("utf-8", "replace"))
        return bool(replaced) and name in self._names
