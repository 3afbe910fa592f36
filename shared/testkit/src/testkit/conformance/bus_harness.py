"""What the bus conformance suite speaks in: the harness that an adapter brings, members of groups, numbered records."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol
from uuid import uuid4

from chassis.bus.port import Bus, Consumer, OutgoingRecord, Record, TopicPartition


class BusHarness(Protocol):
    """What an adapter brings besides itself. Its session timeout should be short (about a second)."""

    async def open(self) -> Bus:
        """Another client of the same bus, as another process would have; the harness closes it in the end."""
        ...

    async def kill(self, consumer: Consumer) -> None:
        """End the consumer as a killed process: nothing is released, said or committed."""
        ...


class Watching:
    """A listener that keeps what it was told and starts where ``starts`` says."""

    def __init__(self, starts: Mapping[TopicPartition, int] | None = None) -> None:
        self.starts = dict(starts or {})
        self.owned: frozenset[TopicPartition] = frozenset()
        self.revoked: frozenset[TopicPartition] = frozenset()

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        self.owned |= partitions
        return {partition: self.starts.get(partition) for partition in partitions}

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.owned -= partitions
        self.revoked |= partitions


class Member:
    """A consumer with its listener and all that it fetched."""

    def __init__(self, consumer: Consumer, listener: Watching) -> None:
        self.consumer = consumer
        self.listener = listener
        self.records: list[Record] = []

    async def pump(self, timeout_s: float = 0.05) -> list[Record]:
        """Fetch once; answers what came, and keeps it."""
        records = await self.consumer.fetch(500, timeout_s)
        self.records += records
        return records

    async def owns(self, partitions: int) -> bool:
        """Fetch once (some clients rebalance only then) and see whether that many partitions are owned."""
        await self.pump()
        return len(self.consumer.assignment()) == partitions

    async def has(self, count: int) -> bool:
        """Fetch once and see whether that many distinct records came so far."""
        await self.pump()
        return len(self.distinct()) >= count

    def distinct(self) -> set[tuple[TopicPartition, int]]:
        """(topic and partition, offset) of all that came."""
        return {(record.topic_partition, record.offset) for record in self.records}

    def values(self, key: bytes) -> list[bytes]:
        """The values of one key, in the order in which they came first."""
        return list(dict.fromkeys(record.value for record in self.records if record.key == key))


def new_topic() -> str:
    """A name that no other test uses."""
    return f"t-{uuid4().hex}"


def numbered(topic: str, count: int, *, keys: int = 10) -> list[OutgoingRecord]:
    """``count`` records over some keys; each value is the record's number."""
    return [OutgoingRecord(topic, f"key-{number % keys}".encode(), str(number).encode()) for number in range(count)]


async def publish(bus: Bus, records: Sequence[OutgoingRecord]) -> None:
    """Publish with a producer of its own."""
    producer = bus.producer("test-producer")
    await producer.start()
    try:
        await producer.publish(records)
    finally:
        await producer.close()


@asynccontextmanager
async def joined(
    bus: Bus, group: str, topics: Collection[str], starts: Mapping[TopicPartition, int] | None = None
) -> AsyncIterator[Member]:
    """A started member that leaves in the end."""
    member = Member(bus.consumer(group, topics, "test-consumer"), Watching(starts))
    await member.consumer.start(member.listener)
    try:
        yield member
    finally:
        await member.consumer.close()
