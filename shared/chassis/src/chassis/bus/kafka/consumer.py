"""The consumer: a member of a group that fetches from where we say and never jumps.

Positions are ours: a partition hands out nothing until its start is chosen, and what comes from before a seek or after
a loss is dropped. The client's errors become the port's; its silence is noticed by whoever watches lag and progress.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    OffsetOutOfRangeError,
)

from chassis.bus.kafka.abandoning import abandon_consumer, ends_in_time
from chassis.bus.kafka.address import KafkaAddress
from chassis.bus.kafka.errors import away, kafka_errors
from chassis.bus.kafka.fetching import Fetching
from chassis.bus.kafka.options import consumer_options
from chassis.bus.kafka.ownership import Hands, Ownership
from chassis.bus.kafka.rejoining import PROBE_EVERY_S, Rejoining
from chassis.bus.port import NotAssigned, OffsetOutOfRange, RebalanceListener, Record, TopicPartition
from chassis.errors import OperationalError

START_TIMEOUT_S = 15.0
ASK_TIMEOUT_S = 10.0
BOUNDS_TIMEOUT_S = 3.0
"""Of one partition; below what the stall check waits for all: one that cannot be asked must not hide the others."""
COMMIT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 8.0
LOOK_EVERY_S = 0.1
"""How soon a fetch that waits sees what came with a rebalance."""

log = structlog.get_logger(__name__)


class KafkaConsumer:
    """See ``chassis.bus.port.Consumer``."""

    def __init__(self, address: KafkaAddress, group: str, topics: Collection[str], client_id: str) -> None:
        self._address = address
        self._group = group
        self._topics = sorted(topics)
        self._client_id = client_id
        self._client: Any = None
        self._ownership: Ownership | None = None
        self._fetching: Fetching | None = None
        self._rejoining = Rejoining(self._brokers_answer, max(PROBE_EVERY_S, address.session_timeout_s))
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._leaving: frozenset[TopicPartition] = frozenset()
        self._closed = False

    async def start(self, listener: RebalanceListener) -> None:
        """See the port. The partitions come afterwards: a group may wait long for a member that died."""
        self._client = AIOKafkaConsumer(**consumer_options(self._address, self._group, self._client_id))
        hands = Hands(self._hold, self._start_of, self._committed, self._begin, self._stop, self._lose)
        self._ownership = Ownership(self._group, listener, hands)
        try:
            with kafka_errors(f"joining group {self._group}"):
                async with asyncio.timeout(START_TIMEOUT_S):
                    await self._client.start()
        except BaseException:
            await asyncio.shield(abandon_consumer(self._client))
            raise
        self._fetching = Fetching(self._client)
        self._client.subscribe(self._topics, listener=self._ownership)

    async def fetch(self, max_records: int, timeout_s: float) -> list[Record]:
        """See the port. Raises ClientStuck too."""
        deadline = _now_s() + timeout_s
        while True:
            self._owned_by().raise_failure()
            left_s = max(0.0, deadline - _now_s())
            records = self._handed_out(await self._fetched(max_records, left_s))
            if records or left_s == 0:
                return records

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions owned at this moment."""
        return frozenset(self._positions)

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        """See the port."""
        if partition not in self._positions:
            raise NotAssigned(str(partition))
        self._seek(partition, offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See the port."""
        for partition in self._positions.keys() & set(partitions):
            self._paused.add(partition)
            self._client.pause(_theirs(partition))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See the port."""
        for partition in self._paused & set(partitions):
            self._paused.discard(partition)
            self._client.resume(_theirs(partition))

    async def commit(self, next_offsets: Mapping[TopicPartition, int]) -> None:
        """See the port."""
        owned = {_theirs(p): offset for p, offset in next_offsets.items() if p in self._positions}
        if not owned:
            return
        with kafka_errors("committing offsets"):
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                try:
                    await self._client.commit(owned)
                except (CommitFailedError, IllegalStateError) as late:
                    # Another member owns them by now, and goes on from what the database says.
                    log.info("kafka_commit_late", group=self._group, error=repr(late))

    async def lag(self) -> Mapping[TopicPartition, int]:
        """See the port. Each is asked for by itself: one without a leader hides no other."""
        positions = dict(self._positions)
        asked = await asyncio.gather(*map(self._end_of, positions), return_exceptions=True)
        lag: dict[TopicPartition, int] = {}
        for (partition, position), end in zip(positions.items(), asked, strict=True):
            if isinstance(end, int):
                lag[partition] = max(0, end - position)
            elif not isinstance(end, OperationalError):
                raise end
        if positions and not lag:
            raise OperationalError("kafka: reading the log's ends: no partition can be asked")
        return lag

    async def close(self) -> None:
        """See the port."""
        if self._closed:
            return
        self._closed = True
        if self._ownership is not None:
            await self._ownership.end()
        if self._client is not None and not await ends_in_time(self._client.stop(), CLOSE_TIMEOUT_S):
            log.warning("kafka_consumer_abandoned", group=self._group)
            await abandon_consumer(self._client)

    async def abandon(self) -> None:
        """Stop as a process that was killed: nothing is released or told. For fault tests."""
        self._closed = True
        self._owned_by().fall_silent()
        await abandon_consumer(self._client)

    async def _fetched(self, max_records: int, timeout_s: float) -> Mapping[Any, list[Any]]:
        """What the client has of what is ours; if nothing, a wait for more that may end early."""
        assert self._fetching is not None
        try:
            self._fetching.look_alive()
            ours = [_theirs(p) for p in self._positions if p not in self._leaving]
            if ours and self._owned_by().is_member:
                fetched = await self._fetching.take(ours, max_records)
                if fetched:
                    return fetched
            await self._wait(min(timeout_s, LOOK_EVERY_S))
        except OffsetOutOfRangeError as error:
            await self._raise_if_still_there(error.args[0])
        except (KafkaError, OSError) as error:
            raise away("fetching", error) from error
        return {}

    async def _wait(self, timeout_s: float) -> None:
        assert self._fetching is not None
        began = _now_s()
        await self._fetching.wait(timeout_s)
        if self._owned_by().is_member:
            self._rejoining.is_member()
        else:
            await self._rejoining.waited(_now_s() - began)

    async def _brokers_answer(self) -> None:
        with kafka_errors("asking for the brokers"):
            async with asyncio.timeout(ASK_TIMEOUT_S):
                await self._client.topics()

    def _handed_out(self, fetched: Mapping[Any, list[Any]]) -> list[Record]:
        """Move the positions; drop what was lost or sought elsewhere meanwhile."""
        handed: list[Record] = []
        for theirs, found in fetched.items():
            partition = TopicPartition(theirs.topic, theirs.partition)
            expected = self._positions.get(partition)
            if expected is None or partition in self._leaving:
                continue
            records = [_record(one) for one in found if one.offset >= expected]
            if records:
                self._positions[partition] = records[-1].offset + 1
            handed += records
        return handed

    async def _raise_if_still_there(self, positions: Mapping[Any, int]) -> None:
        """An error about a position that was left meanwhile, or a partition that was lost, is none."""
        for theirs, position in positions.items():
            partition = TopicPartition(theirs.topic, theirs.partition)
            if self._positions.get(partition) != position:
                continue
            start, end = await self._start_of(partition), await self._end_of(partition)
            if not start <= position <= end:
                raise OffsetOutOfRange(partition, position, start, end)

    def _hold(self, partitions: Collection[TopicPartition]) -> None:
        """Fetch nothing from what was just assigned until its start is chosen."""
        self._client.pause(*map(_theirs, partitions))

    def _begin(self, partition: TopicPartition, offset: int) -> None:
        self._seek(partition, offset)
        self._client.resume(_theirs(partition))

    def _stop(self, partitions: Collection[TopicPartition]) -> None:
        """Hand out nothing of these any more; they are ours until the listener let go."""
        self._leaving = frozenset(partitions)

    def _lose(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)
            self._paused.discard(partition)
        self._leaving = frozenset()

    def _seek(self, partition: TopicPartition, offset: int) -> None:
        self._client.seek(_theirs(partition), offset)
        self._positions[partition] = offset

    async def _committed(self, partition: TopicPartition) -> int | None:
        with kafka_errors("reading committed offsets"):
            async with asyncio.timeout(ASK_TIMEOUT_S):
                offset: int | None = await self._client.committed(_theirs(partition))
        return offset

    async def _start_of(self, partition: TopicPartition) -> int:
        return await self._ask(self._client.beginning_offsets, partition)

    async def _end_of(self, partition: TopicPartition) -> int:
        return await self._ask(self._client.end_offsets, partition)

    async def _ask(self, question: Any, partition: TopicPartition) -> int:
        theirs = _theirs(partition)
        with kafka_errors(f"reading the bounds of {partition.topic}[{partition.partition}]"):
            async with asyncio.timeout(BOUNDS_TIMEOUT_S):
                offset: int = (await question([theirs]))[theirs]
        return offset

    def _owned_by(self) -> Ownership:
        assert self._ownership is not None, "a consumer is started before it is used"
        return self._ownership


def _record(theirs: Any) -> Record:
    return Record(
        theirs.topic,
        theirs.key or b"",
        theirs.value if theirs.value is not None else b"",
        tuple((name, value if value is not None else b"") for name, value in theirs.headers),
        partition=theirs.partition,
        offset=theirs.offset,
        timestamp_ms=theirs.timestamp,
    )


def _theirs(partition: TopicPartition) -> ClientPartition:
    return ClientPartition(partition.topic, partition.partition)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
