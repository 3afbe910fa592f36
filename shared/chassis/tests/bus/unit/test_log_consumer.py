"""What a fetch that fails has not handed out is handed out by the next."""

from collections.abc import AsyncIterator, Collection, Mapping

import pytest
import pytest_asyncio

from chassis.bus.bell import Bell
from chassis.bus.log_backend import Bounds, Share, Standing
from chassis.bus.log_consumer import LogConsumer
from chassis.bus.port import OffsetOutOfRange, Record, TopicPartition
from testkit.waiting_for import eventually

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
FORGOTTEN = 4
pytestmark = pytest.mark.asyncio


class Log:
    """Two partitions; of B its first record is forgotten between a look at its bounds and the reading."""

    def __init__(self) -> None:
        self.news = Bell()
        self.start_of_b = FORGOTTEN

    async def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        return {partition: Bounds(0, 3) if partition == A else Bounds(self.start_of_b, 7) for partition in partitions}

    async def read(self, positions: Mapping[TopicPartition, int], share: Share) -> list[Record]:
        self.start_of_b = FORGOTTEN + 1
        ends = {A: 3, B: 7}
        return [
            Record(at.topic, b"k", b"v", (), partition=at.partition, offset=offset, timestamp_ms=0)
            for at, position in sorted(positions.items())
            for offset in range(max(position, 0 if at == A else self.start_of_b), ends[at])
        ]


class Alone:
    """A group of one, which has all."""

    def __init__(self) -> None:
        self.changes = Bell()
        self.held: frozenset[TopicPartition] = frozenset()

    async def join(self) -> None: ...

    async def beat(self) -> Standing:
        return Standing(self.held, frozenset({A, B}), not self.held)

    async def take(self) -> frozenset[TopicPartition]:
        self.held = frozenset({A, B})
        return self.held

    async def committed(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {}

    async def commit(self, next_offsets: Mapping[TopicPartition, int]) -> None: ...

    async def release(self, partitions: Collection[TopicPartition]) -> None: ...

    async def leave(self) -> None: ...


class Beginning:
    """Begins A at its first record, B at the one that will be forgotten."""

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        return {A: 0, B: FORGOTTEN}

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None: ...


@pytest_asyncio.fixture
async def consumer() -> AsyncIterator[LogConsumer]:
    opened = LogConsumer(Log(), Alone(), session_timeout_s=30.0)
    await opened.start(Beginning())
    await eventually(lambda: opened.assignment() == {A, B})
    yield opened
    await opened.close()


async def test_a_partition_that_forgot_its_place_takes_nothing_from_the_others(consumer: LogConsumer) -> None:
    with pytest.raises(OffsetOutOfRange) as refused:
        await consumer.fetch(100, 0.0)
    assert (refused.value.partition, refused.value.start) == (B, FORGOTTEN + 1)

    await consumer.seek(B, FORGOTTEN + 1)
    handed = await consumer.fetch(100, 0.0)
    assert [(record.partition, record.offset) for record in handed] == [(0, 0), (0, 1), (0, 2), (1, 5), (1, 6)]
    assert await consumer.fetch(100, 0.0) == []
