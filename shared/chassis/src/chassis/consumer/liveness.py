"""Notices a consumer that stopped consuming although there is something to consume, as a whole or of one partition.

Clients of a bus can get stuck for good while the process looks healthy, some of them with one broker's partitions
only; ending the task lets the process be restarted. Only judges; what it sees is told to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from chassis.bus.port import TopicPartition

STALL_S = 60.0


class ConsumerStalled(Exception):
    """Nothing was fetched for too long although there is lag: a bug of the bus's client, or of ours."""


class Liveness:
    """The times of the last signs of life, by a monotonic clock in seconds."""

    def __init__(self, monotonic: Callable[[], float], stall_s: float = STALL_S) -> None:
        self._monotonic = monotonic
        self._stall_s = stall_s
        self._returned = self._judged = monotonic()
        self._stuck_s: dict[TopicPartition, float] = {}

    def fetched(self, partitions: Iterable[tuple[str, int]]) -> None:
        """A fetch returned, with records of these."""
        self._returned = self._monotonic()
        for topic, partition in partitions:
            self._stuck_s.pop(TopicPartition(topic, partition), None)

    def busy(self) -> None:
        """There is a known reason for not fetching, such as a database that is away."""
        self._returned = self._monotonic()
        self._stuck_s.clear()

    def judge(self, lag: Mapping[TopicPartition, int | None]) -> None:
        """Raise ConsumerStalled when stuck.

        ``lag``: of each partition that is ours and does not rest, the records that could be fetched now; None when
        unknown, as where no broker leads. Time counts against a partition only while records are known to wait.
        """
        now = self._monotonic()
        since_s, self._judged = now - self._judged, now
        if not any(behind is None or behind for behind in lag.values()):
            self._returned = now
        if now - self._returned > self._stall_s:
            raise ConsumerStalled(f"no fetch returned for {self._stall_s:g} s")
        self._stuck_s = {p: self._counted(p, behind, since_s) for p, behind in lag.items() if behind != 0}
        for partition, behind in lag.items():
            if behind and self._stuck_s[partition] > self._stall_s:
                where = f"{partition.topic}[{partition.partition}]"
                raise ConsumerStalled(f"nothing fetched of {where} for {self._stall_s:g} s, {behind} records waiting")

    def _counted(self, partition: TopicPartition, behind: int | None, since_s: float) -> float:
        if partition not in self._stuck_s:
            return 0.0
        return self._stuck_s[partition] + (since_s if behind is not None else 0.0)
