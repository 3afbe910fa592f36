"""Where new ids come from: a port, time-ordered UUIDs, and predictable ones for tests.

Ids carry no meaning; that they grow with time only keeps indexes compact.
"""

from __future__ import annotations

import secrets
from typing import Protocol
from uuid import UUID

from chassis.clock import Clock, SystemClock

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_COUNTER_BITS = 42
_COUNTER_MAX = (1 << _COUNTER_BITS) - 1
_TAIL_BITS = 32


class IdFactory(Protocol):
    """Makes ids that were never made before."""

    def new(self) -> UUID:
        """The next id."""
        ...


class Uuid7Factory:
    """UUIDv7 (RFC 9562): 48 bits of milliseconds, a 42-bit counter, 32 random bits.

    Ids of one factory strictly grow, also within a millisecond and when the clock steps back. One factory per
    event loop: not for several threads at once.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._millisecond = -1
        self._counter = 0

    def new(self) -> UUID:
        """The next id."""
        now = int(self._clock.now().timestamp() * 1000)
        if now > self._millisecond:
            self._millisecond = now
            # Half the range: room to count on within the millisecond (RFC 9562, 6.2).
            self._counter = secrets.randbits(_COUNTER_BITS - 1)
        elif self._counter < _COUNTER_MAX:
            self._counter += 1
        else:
            self._millisecond += 1
            self._counter = 0
        return self._compose()

    def _compose(self) -> UUID:
        high, low = self._counter >> 30, self._counter & ((1 << 30) - 1)
        tail = low << _TAIL_BITS | secrets.randbits(_TAIL_BITS)
        return UUID(int=self._millisecond << 80 | _VERSION_7 | high << 64 | _VARIANT | tail)


class SequenceIds:
    """Ids 1, 2, 3 … in the shape of UUIDv7, for tests."""

    def __init__(self, start: int = 1) -> None:
        self._next = start

    def new(self) -> UUID:
        """The next id."""
        number = self._next
        self._next += 1
        return UUID(int=_VERSION_7 | _VARIANT | number)
