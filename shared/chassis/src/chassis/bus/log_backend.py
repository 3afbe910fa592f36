"""What a log adapter must bring so that ``log_consumer`` can be its consumer: a readable log, and a group's desk.

Two small ports behind the bus port, implemented in memory and on PostgreSQL. Kafka's client brings its own consumer
and needs none of this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from chassis.bus.bell import Bell
from chassis.bus.port import Record, TopicPartition


class Bounds(NamedTuple):
    """The first offset that is kept, and the one that the next record will get."""

    start: int
    end: int


class Share(NamedTuple):
    """At most how much of one partition is read at once."""

    max_records: int
    max_bytes: int


class RecordLog(Protocol):
    """Reads the records. Every method raises OperationalError when the log is away."""

    @property
    def news(self) -> Bell:
        """Rings when something may have been appended: a hint, never the truth."""
        ...

    async def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        """The bounds of each partition that exists."""
        ...

    async def read(self, positions: Mapping[TopicPartition, int], share: Share) -> list[Record]:
        """Records from each position on, in order per partition and without gaps; always one where there is one."""
        ...


class Evicted(Exception):
    """The lease ran out and the group went on without this member."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the group says of one member: what it holds, what it should hold, whether any of that is free to take."""

    held: frozenset[TopicPartition]
    wanted: frozenset[TopicPartition]
    free: bool


class GroupMember(Protocol):
    """One member's dealings with its group. Every method raises OperationalError when the group's store is away.

    A partition passes from hand to hand: it is taken only after its last holder released it, left, or was evicted.
    """

    @property
    def changes(self) -> Bell:
        """Rings when the group may have changed: a hint."""
        ...

    async def join(self) -> None:
        """Become a member, with a fresh lease and nothing held."""
        ...

    async def beat(self) -> Standing:
        """Renew the lease, evict the dead, and see where one stands. Raises Evicted."""
        ...

    async def take(self) -> frozenset[TopicPartition]:
        """Take what is wanted and free; answers what was taken now."""
        ...

    async def release(self, partitions: Collection[TopicPartition]) -> None:
        """Let others take these."""
        ...

    async def leave(self) -> None:
        """Release everything and be no member any more. Idempotent."""
        ...

    async def committed(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The group's committed offsets, where there are any."""
        ...

    async def commit(self, next_offsets: Mapping[TopicPartition, int]) -> None:
        """Store offsets for the partitions that this member holds; others are ignored."""
        ...
