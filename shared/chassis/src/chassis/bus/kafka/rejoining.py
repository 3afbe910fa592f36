"""Notices a client that does not come back into its group although the brokers answer.

Such a consumer owns nothing, so nobody sees lag and nobody misses it; reports say that only a restart helps.
Time counts only while somebody fetches: a client does not rejoin for an application that rests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from chassis.bus.kafka.fetching import ClientStuck
from chassis.errors import OperationalError

PROBE_EVERY_S = 45.0
"""Longer than a rebalance may take, which waits for the drain of the slowest and for the session of the dead."""
PROBES_MAX = 3


class Rejoining:
    """``brokers_answer`` raises OperationalError while they do not."""

    def __init__(self, brokers_answer: Callable[[], Awaitable[object]], probe_every_s: float = PROBE_EVERY_S) -> None:
        self._brokers_answer = brokers_answer
        self._probe_every_s = probe_every_s
        self._outside_s = 0.0
        self._probes = 0

    def is_member(self) -> None:
        """It is in the group: all is well."""
        self._outside_s = 0.0
        self._probes = 0

    async def waited(self, seconds: float) -> None:
        """So much longer outside of the group. Raises ClientStuck after ``PROBES_MAX`` answers of the brokers in a row.

        OperationalError says that the brokers are away, which is reason enough to be outside.
        """
        self._outside_s += seconds
        if self._outside_s < self._probe_every_s:
            return
        self._outside_s = 0.0
        try:
            await self._brokers_answer()
        except OperationalError:
            self._probes = 0
            raise
        self._probes += 1
        if self._probes >= PROBES_MAX:
            outside_s = self._probes * self._probe_every_s
            raise ClientStuck(f"not in its group for {outside_s:g} s although the brokers answer")
