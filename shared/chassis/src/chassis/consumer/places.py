"""Where each partition goes on, and whether its log is still the one that was consumed.

A stored offset says nothing of the log that it belongs to: a topic that was lost and made anew has the same name, and
from the old offset on its first records would be passed over. So a partition begins one record early, at the last one
that was handled; only when that one is the same is everything after it new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, NoReturn

import structlog

from chassis.bus.port import EARLIEST, Consumer, NotAssigned, OffsetOutOfRange, Record, TopicPartition
from chassis.inbox import Claim, mark_of

log = structlog.get_logger(__name__)
RUNBOOK = "docs/runbooks/a-topic-was-lost.md"


class PlaceLost(Exception):
    """The group's place is not in this log: another log of the same name, or one that forgot what was not handled."""


class _Last(NamedTuple):
    """The record that must stand before the first one that is new."""

    offset: int
    mark: str


class Places:
    """The places of one group member, and its fetches: they hand out nothing that was handled before."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._expected: dict[TopicPartition, _Last] = {}
        self._waited_for: dict[TopicPartition, _Last] = {}

    def begin(self, claims: Mapping[TopicPartition, Claim]) -> Mapping[TopicPartition, int | None]:
        """Where to start each partition, as the bus's listener answers it."""
        self.forget(claims)
        return {partition: self._start(partition, claim) for partition, claim in claims.items()}

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """These are lost: nothing is expected of them any more."""
        for partition in partitions:
            self._expected.pop(partition, None)

    async def fetch(self, consumer: Consumer, max_records: int, timeout_s: float) -> list[Record]:
        """What ``consumer`` fetches, without what was handled before. Raises OperationalError, PlaceLost."""
        try:
            records = await consumer.fetch(max_records, timeout_s)
        except OffsetOutOfRange as error:
            await self._go_on_after(consumer, error)
            return []
        return [record for record in records if not self._is_last(record)] if self._expected else records

    def judge(self, lag: Mapping[TopicPartition, int]) -> None:
        """Raise PlaceLost for a log that ends where the last record should be: it would be waited for in silence.

        Told twice, since what it is told may be older than the latest assignment.
        """
        ending = {p: self._expected[p] for p, behind in lag.items() if behind == 0 and p in self._expected}
        for partition, last in ending.items():
            if self._waited_for.get(partition) is last:
                self._refuse(partition, f"it ends before offset {last.offset}, which was handled")
        self._waited_for = ending

    def _start(self, partition: TopicPartition, claim: Claim) -> int:
        if claim.next_offset is None:
            # A database that knows nothing of a partition starts it over, whatever the group once committed: what was
            # handled is in the database alone, and one that was made anew lacks it all.
            return EARLIEST
        last = claim.next_offset - 1
        # A mark of another offset was left behind by a version that knew no marks, or by an operator's hand.
        if claim.last_record is None or not claim.last_record.startswith(f"{last}/"):
            return claim.next_offset
        self._expected[partition] = _Last(last, claim.last_record)
        return last

    def _is_last(self, record: Record) -> bool:
        expected = self._expected.pop(record.topic_partition, None)
        if expected is None:
            return False
        if record.offset != expected.offset:
            self._refuse(record.topic_partition, f"offset {expected.offset} is gone, {record.offset} comes first")
        if mark_of(record) != expected.mark:
            self._refuse(record.topic_partition, f"at offset {expected.offset} stands another record than was handled")
        return True

    async def _go_on_after(self, consumer: Consumer, error: OffsetOutOfRange) -> None:
        """Begin at the first new record where the bus has forgotten no more than was handled."""
        expected = self._expected.pop(error.partition, None)
        if expected is None or expected.offset != error.position:
            self._refuse(error.partition, str(error), error)
        if error.start != expected.offset + 1:
            self._refuse(error.partition, f"{error}, after which it was to go on", error)
        try:
            await consumer.seek(error.partition, error.start)
        except NotAssigned:
            return

    def _refuse(self, partition: TopicPartition, what: str, cause: BaseException | None = None) -> NoReturn:
        where = f"{partition.topic}[{partition.partition}]"
        log.error("place_lost", group=self._group, partition=where, reason=what, runbook=RUNBOOK)
        raise PlaceLost(f"group {self._group} finds its place in {where} no more: {what}; see {RUNBOOK}") from cause
