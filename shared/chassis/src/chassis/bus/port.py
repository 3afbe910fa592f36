"""The port of the bus, in Kafka's shape: records with topic, partition and offset, consumer groups, seek and pause.

Owns the words and promises that every adapter keeps; the conformance suite in testkit holds them to it. No I/O here.
Delivery is at least once: what must happen once is the business of the inbox, never of the bus.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from chassis.errors import OperationalError, PoisonMessage

RECORD_MAX_BYTES = 1024 * 1024
"""Key, value and headers together. Kafka's default limit, so that a record fits on every adapter."""

EARLIEST = -1
"""What a listener answers to start a partition at the first record that the log still has."""

Headers = tuple[tuple[str, bytes], ...]


class TopicPartition(NamedTuple):
    """One partition of one topic: the unit of order and of ownership."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record to be published. ``key`` chooses the partition and is never empty; the value may be."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers = ()

    @property
    def size_bytes(self) -> int:
        """What counts against RECORD_MAX_BYTES."""
        headers = sum(len(name.encode()) + len(value) for name, value in self.headers)
        return len(self.key) + len(self.value) + headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(OutgoingRecord):
    """A record as it stands in the log. Offsets grow within a partition; gaps are allowed."""

    partition: int
    offset: int
    timestamp_ms: int

    @property
    def topic_partition(self) -> TopicPartition:
        """Where the record stands."""
        return TopicPartition(self.topic, self.partition)


class RecordTooLarge(PoisonMessage):
    """The record exceeds RECORD_MAX_BYTES; nothing of the batch was published."""

    def __init__(self, record: OutgoingRecord) -> None:
        super().__init__("record-too-large", f"{record.size_bytes} bytes for {record.topic}, limit {RECORD_MAX_BYTES}")


class UnknownTopic(OperationalError):
    """The topic does not exist (yet): who owns the topics may be about to create it."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"topic {topic} does not exist")
        self.topic = topic


class BusRefused(OperationalError):
    """It answered, and does not let us in: who we say we are, or who it says it is, is not believed."""


class OffsetOutOfRange(Exception):
    """The position lies outside of the log: pruned records, or a bus that lost its data. Never skipped in silence."""

    def __init__(self, partition: TopicPartition, position: int, start: int, end: int) -> None:
        super().__init__(f"{partition.topic}[{partition.partition}] has offsets {start} to {end}, not {position}")
        self.partition = partition
        self.position = position
        self.start = start
        self.end = end


class NotAssigned(Exception):
    """The partition does not belong to this consumer (any more)."""


class PartitionCountMismatch(Exception):
    """The topic exists with another number of partitions; changing it would move keys and break their order."""


class Producer(Protocol):
    """Publishes records. One per process is enough."""

    async def start(self) -> None:
        """Connect. Raises OperationalError."""
        ...

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Return when all are durable, in the given order per key.

        Raises RecordTooLarge before anything is published, and OperationalError when some may be missing or not:
        the caller publishes all again.
        """
        ...

    async def close(self) -> None:
        """Let go of every resource. Idempotent."""
        ...


class RebalanceListener(Protocol):
    """Told when partitions come and go. Called from any task of the consumer, never twice at once; keep it short."""

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        """The offset to start each new partition from, or EARLIEST.

        None or absent: the group's committed one, else the earliest.

        May raise OperationalError: the partitions are offered again.
        """
        ...

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Finish or drop what is in flight: when this returns, another member may own the partitions."""
        ...


class Consumer(Protocol):
    """One member of a consumer group. Not for several tasks at once, but for ``fetch`` beside the other methods."""

    async def start(self, listener: RebalanceListener) -> None:
        """Join the group. Partitions arrive through the listener while or after this runs. Raises OperationalError."""
        ...

    async def fetch(self, max_records: int, timeout_s: float) -> list[Record]:
        """Up to ``max_records`` as soon as there are any, in order per partition; [] after ``timeout_s``.

        Raises OperationalError, OffsetOutOfRange, and whatever bug the listener raised.
        """
        ...

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions owned at this moment, of which a fetch may hand something out."""
        ...

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        """The next fetch hands out from ``offset``. Raises NotAssigned."""
        ...

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch nothing from these until resumed; they stay owned. Unowned ones are ignored."""
        ...

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """End a pause."""
        ...

    async def commit(self, next_offsets: Mapping[TopicPartition, int]) -> None:
        """Remember for the group where to go on: a hint. Partitions not owned (any more) are ignored."""
        ...

    async def lag(self) -> Mapping[TopicPartition, int]:
        """Per owned partition, how far this consumer's position is from the log's end; not of those that cannot be
        asked. Raises OperationalError when none can."""
        ...

    async def close(self) -> None:
        """Leave the group: on_revoked runs, others take over at once. Idempotent; never raises OperationalError."""
        ...


class Bus(Protocol):
    """A connection to the bus: the factory of producers and consumers. Made without one word to the bus."""

    async def reach(self) -> None:
        """Ask once whether it is there. Raises OperationalError that says what stands between, BusRefused, or
        SettingsError."""
        ...

    async def ensure_topics(self, topics: Mapping[str, int]) -> None:
        """Create the missing ones, name → partitions. Raises PartitionCountMismatch, OperationalError."""
        ...

    def producer(self, client_id: str) -> Producer:
        """A producer, not started yet."""
        ...

    def consumer(self, group: str, topics: Collection[str], client_id: str) -> Consumer:
        """A member of ``group``, not started yet. A new group begins at the earliest record."""
        ...

    async def close(self) -> None:
        """Close what the bus itself holds. Its producers and consumers are closed by whoever asked for them."""
        ...


def refuse_too_large(records: Iterable[OutgoingRecord]) -> None:
    """Raise RecordTooLarge for the first record beyond the limit."""
    for record in records:
        if record.size_bytes > RECORD_MAX_BYTES:
            raise RecordTooLarge(record)
