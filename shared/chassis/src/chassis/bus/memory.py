"""The bus in one process's memory, for unit tests: the same promises, nothing outside.

Proven by the same conformance suite as the real ones. Holds everything for ever; never used where data matters.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from chassis.bus.assignment import range_assignment
from chassis.bus.bell import Bell
from chassis.bus.log_backend import Bounds, Evicted, Share, Standing
from chassis.bus.log_consumer import LogConsumer
from chassis.bus.partitioning import partition_of
from chassis.bus.port import (
    OutgoingRecord,
    PartitionCountMismatch,
    Record,
    TopicPartition,
    UnknownTopic,
    refuse_too_large,
)

SESSION_TIMEOUT_S = 10.0


class _MemoryLog:
    """All partitions as lists; an offset is an index."""

    def __init__(self) -> None:
        self.news = Bell()
        self.topics: dict[str, int] = {}
        self._partitions: dict[TopicPartition, list[Record]] = {}

    def create(self, topic: str, partitions: int) -> None:
        """Make an empty topic."""
        self.topics[topic] = partitions
        self._partitions.update((TopicPartition(topic, number), []) for number in range(partitions))

    def append(self, record: OutgoingRecord) -> None:
        """Put the record at the end of its partition."""
        if record.topic not in self.topics:
            raise UnknownTopic(record.topic)
        partition = TopicPartition(record.topic, partition_of(record.key, self.topics[record.topic]))
        rows = self._partitions[partition]
        rows.append(
            Record(
                record.topic,
                record.key,
                record.value,
                record.headers,
                partition=partition.partition,
                offset=len(rows),
                timestamp_ms=time.time_ns() // 1_000_000,
            )
        )

    async def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        return {partition: Bounds(0, len(self._partitions[partition])) for partition in partitions}

    async def read(self, positions: Mapping[TopicPartition, int], share: Share) -> list[Record]:
        found: list[Record] = []
        for partition, position in positions.items():
            size = 0
            for record in self._partitions[partition][position : position + share.max_records]:
                if size and size + record.size_bytes > share.max_bytes:
                    break
                size += record.size_bytes
                found.append(record)
        return found


@dataclass
class _Seat:
    """One member at the group's table."""

    topics: frozenset[str]
    session_timeout_s: float
    lease_until: float


@dataclass
class _Group:
    """One consumer group."""

    log: _MemoryLog
    changes: Bell = field(default_factory=Bell)
    members: dict[str, _Seat] = field(default_factory=dict)
    targets: dict[TopicPartition, str] = field(default_factory=dict)
    holders: dict[TopicPartition, str] = field(default_factory=dict)
    committed: dict[TopicPartition, int] = field(default_factory=dict)

    def evict_and_assign(self) -> None:
        """Drop the dead, and say anew who should hold what."""
        now = _monotonic()
        self.members = {name: member for name, member in self.members.items() if member.lease_until >= now}
        self.holders = {p: name for p, name in self.holders.items() if name in self.members}
        subscriptions = {name: member.topics for name, member in self.members.items()}
        self.targets = range_assignment(subscriptions, self.log.topics)
        self.changes.ring()

    def is_stale(self) -> bool:
        """Whether somebody died, or a topic came to be."""
        now = _monotonic()
        wanted = {topic for member in self.members.values() for topic in member.topics} & self.log.topics.keys()
        return any(member.lease_until < now for member in self.members.values()) or wanted != {
            partition.topic for partition in self.targets
        }


class _MemoryMember:
    """A ``GroupMember`` in memory."""

    def __init__(self, group: _Group, name: str, topics: Collection[str], session_timeout_s: float) -> None:
        self._group = group
        self._name = name
        self._topics = frozenset(topics)
        self._session_timeout_s = session_timeout_s

    @property
    def changes(self) -> Bell:
        return self._group.changes

    async def join(self) -> None:
        lease_until = _monotonic() + self._session_timeout_s
        self._group.members[self._name] = _Seat(self._topics, self._session_timeout_s, lease_until)
        self._group.evict_and_assign()

    async def beat(self) -> Standing:
        member = self._group.members.get(self._name)
        if member is None:
            raise Evicted(self._name)
        member.lease_until = _monotonic() + self._session_timeout_s
        if self._group.is_stale():
            self._group.evict_and_assign()
        held = frozenset(p for p, name in self._group.holders.items() if name == self._name)
        wanted = frozenset(p for p, name in self._group.targets.items() if name == self._name)
        return Standing(held, wanted, any(p not in self._group.holders for p in wanted))

    async def take(self) -> frozenset[TopicPartition]:
        if self._name not in self._group.members:
            raise Evicted(self._name)
        wanted = (p for p, name in self._group.targets.items() if name == self._name)
        free = frozenset(p for p in wanted if p not in self._group.holders)
        self._group.holders.update(dict.fromkeys(free, self._name))
        return free

    async def release(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            if self._group.holders.get(partition) == self._name:
                del self._group.holders[partition]
        self._group.changes.ring()

    async def leave(self) -> None:
        if self._group.members.pop(self._name, None) is not None:
            self._group.evict_and_assign()

    async def committed(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {p: self._group.committed[p] for p in partitions if p in self._group.committed}

    async def commit(self, next_offsets: Mapping[TopicPartition, int]) -> None:
        for partition, offset in next_offsets.items():
            if self._group.holders.get(partition) == self._name:
                self._group.committed[partition] = offset


class _MemoryProducer:
    """A ``Producer`` in memory."""

    def __init__(self, log: _MemoryLog) -> None:
        self._log = log

    async def start(self) -> None:
        """Nothing to connect to."""

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        refuse_too_large(records)
        for record in records:
            self._log.append(record)
        self._log.news.ring()

    async def close(self) -> None:
        """Nothing to let go of."""


class MemoryBus:
    """A ``Bus`` that lives as long as this object."""

    def __init__(self, *, session_timeout_s: float = SESSION_TIMEOUT_S) -> None:
        self._session_timeout_s = session_timeout_s
        self._log = _MemoryLog()
        self._groups: dict[str, _Group] = {}
        self._numbers = itertools.count(1)

    async def reach(self) -> None:
        """It is always there."""

    async def ensure_topics(self, topics: Mapping[str, int]) -> None:
        """See the port."""
        for topic, partitions in topics.items():
            existing = self._log.topics.get(topic)
            if existing is None:
                self._log.create(topic, partitions)
            elif existing != partitions:
                raise PartitionCountMismatch(f"{topic} has {existing} partitions, not {partitions}")

    def producer(self, client_id: str) -> _MemoryProducer:
        """See the port."""
        return _MemoryProducer(self._log)

    def consumer(self, group: str, topics: Collection[str], client_id: str) -> LogConsumer:
        """See the port."""
        joined = self._groups.setdefault(group, _Group(self._log))
        name = f"{client_id}-{next(self._numbers)}"
        member = _MemoryMember(joined, name, topics, self._session_timeout_s)
        return LogConsumer(self._log, member, self._session_timeout_s)

    async def close(self) -> None:
        """Nothing to let go of."""


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
