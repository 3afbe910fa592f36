"""Notices a consumer that stopped consuming although there is something to consume.

Clients of a bus can get stuck for good while the process looks healthy; ending the task lets the process be restarted.
Only judges; what it sees is told to it.
"""

from __future__ import annotations

from collections.abc import Callable

STALL_S = 60.0


class ConsumerStalled(Exception):
    """Nothing was fetched for too long although there is lag: a bug of the bus's client, or of ours."""


class Liveness:
    """The times of the last signs of life, by a monotonic clock in seconds."""

    def __init__(self, monotonic: Callable[[], float], stall_s: float = STALL_S) -> None:
        self._monotonic = monotonic
        self._stall_s = stall_s
        self._returned = self._progressed = monotonic()

    def fetched(self, records: int) -> None:
        """A fetch returned with that many records."""
        self._returned = self._monotonic()
        if records:
            self._progressed = self._returned

    def busy(self) -> None:
        """There is a known reason for not fetching, such as a database that is away."""
        self._returned = self._progressed = self._monotonic()

    def judge(self, lag: int | None) -> None:
        """Raise ConsumerStalled when stuck. ``lag``: records that could be fetched now, None when unknown."""
        now = self._monotonic()
        if lag == 0:
            self._returned = self._progressed = now
        if now - self._returned > self._stall_s:
            raise ConsumerStalled(f"no fetch returned for {self._stall_s:g} s")
        if lag and now - self._progressed > self._stall_s:
            raise ConsumerStalled(f"nothing fetched for {self._stall_s:g} s with {lag} records waiting")
