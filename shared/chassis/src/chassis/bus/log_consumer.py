"""The consumer of the log adapters: positions, pauses and fetching over a ``RecordLog``, membership in a group.

Written once for memory and PostgreSQL, so that both behave alike. Never moves a position by itself other than past
the records it hands out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from chassis.bus.log_backend import Bounds, GroupMember, RecordLog, Share
from chassis.bus.membership import Callbacks, Membership
from chassis.bus.port import EARLIEST, NotAssigned, OffsetOutOfRange, RebalanceListener, Record, TopicPartition

POLL_S = 0.1
FETCH_MAX_BYTES = 5 * 1024 * 1024


class LogConsumer:
    """A ``Consumer`` on a log that is polled."""

    def __init__(self, records: RecordLog, member: GroupMember, session_timeout_s: float) -> None:
        self._records = records
        self._member = member
        self._membership = Membership(member, session_timeout_s, Callbacks(self._gained, self._lost))
        self._listener: RebalanceListener | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._revoking: frozenset[TopicPartition] = frozenset()
        self._turn = 0
        self._closed = False

    async def start(self, listener: RebalanceListener) -> None:
        """Join the group and take what is free."""
        self._listener = listener
        await self._membership.start()

    async def fetch(self, max_records: int, timeout_s: float) -> list[Record]:
        """See the port."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            self._membership.raise_failure()
            seen = self._records.news.count
            records = await self._read(max_records)
            left_s = deadline - asyncio.get_running_loop().time()
            if records or left_s <= 0:
                return records
            await self._records.news.wait(seen, min(left_s, POLL_S))

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions owned at this moment."""
        return frozenset(self._positions)

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        """See the port."""
        if partition not in self._positions:
            raise NotAssigned(str(partition))
        self._positions[partition] = offset

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See the port."""
        self._paused.update(partition for partition in partitions if partition in self._positions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See the port."""
        self._paused.difference_update(partitions)
        self._records.news.ring()

    async def commit(self, next_offsets: Mapping[TopicPartition, int]) -> None:
        """See the port."""
        owned = {partition: offset for partition, offset in next_offsets.items() if partition in self._positions}
        if owned:
            await self._member.commit(owned)

    async def lag(self) -> Mapping[TopicPartition, int]:
        """See the port."""
        positions = dict(self._positions)
        bounds = await self._records.bounds(positions)
        return {partition: max(0, bounds[partition].end - at) for partition, at in positions.items()}

    async def close(self) -> None:
        """See the port."""
        if not self._closed:
            self._closed = True
            await self._membership.close()

    async def abandon(self) -> None:
        """Stop as a process that was killed: nothing is released or told. For fault tests."""
        self._closed = True
        await self._membership.abandon()

    async def _read(self, max_records: int) -> list[Record]:
        positions = {p: at for p, at in self._positions.items() if p not in self._paused and p not in self._revoking}
        if not positions:
            return []
        bounds = await self._records.bounds(positions)
        ready = [partition for partition, at in positions.items() if _is_ready(partition, at, bounds[partition])]
        if not ready:
            return []
        chosen = self._chosen(ready, max_records)
        share = Share(max_records // len(chosen), FETCH_MAX_BYTES // len(chosen))
        return self._handed_out(await self._records.read({p: positions[p] for p in chosen}, share), positions)

    def _chosen(self, ready: list[TopicPartition], max_records: int) -> list[TopicPartition]:
        """All that have something get an equal share; who stands first changes each time, so that none starves."""
        self._turn += 1
        shift = self._turn % len(ready)
        return (ready[shift:] + ready[:shift])[:max_records]

    def _handed_out(self, records: list[Record], asked: Mapping[TopicPartition, int]) -> list[Record]:
        """Move the positions; drop what was lost, paused or sought elsewhere while the log was being read."""
        expected = {p: at for p, at in asked.items() if self._positions.get(p) == at and p not in self._paused}
        handed: list[Record] = []
        for record in records:
            partition = record.topic_partition
            if partition not in expected or partition in self._revoking:
                continue
            if record.offset != expected[partition]:
                raise OffsetOutOfRange(partition, expected[partition], record.offset, record.offset)
            expected[partition] = record.offset + 1
            handed.append(record)
        # Only now: what an error keeps from being handed out is to be read again.
        self._positions.update({record.topic_partition: record.offset + 1 for record in handed})
        return handed

    async def _gained(self, partitions: frozenset[TopicPartition]) -> None:
        assert self._listener is not None
        committed = await self._member.committed(partitions)
        bounds = await self._records.bounds(partitions)
        # Last of all, so that nothing can fail between the listener's consent and the first fetch.
        chosen = await self._listener.on_assigned(partitions)
        for partition in partitions:
            given, earliest = chosen.get(partition), bounds[partition].start
            if given is None:
                given = committed.get(partition, earliest)
            self._positions[partition] = earliest if given == EARLIEST else given
            self._paused.discard(partition)

    async def _lost(self, partitions: frozenset[TopicPartition]) -> None:
        assert self._listener is not None
        self._revoking |= partitions
        try:
            await self._listener.on_revoked(partitions)
        finally:
            for partition in partitions:
                self._positions.pop(partition, None)
                self._paused.discard(partition)
            self._revoking -= partitions


def _is_ready(partition: TopicPartition, position: int, bounds: Bounds) -> bool:
    if not bounds.start <= position <= bounds.end:
        raise OffsetOutOfRange(partition, position, bounds.start, bounds.end)
    return position < bounds.end
