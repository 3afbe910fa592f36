"""What the group gives and takes, told to the listener: never twice at once, never of what it did not get.

The client calls from its own task and swallows what a listener raises. So partitions are offered in a task of ours,
again while that fails and may pass, and a bug is kept for the next fetch to raise. Each partition begins by itself:
one that no broker leads, and whose start nobody can tell, keeps no other from going on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import ConsumerRebalanceListener

from chassis.bus.port import EARLIEST, RebalanceListener, TopicPartition
from chassis.bus.retry import Backoff
from chassis.errors import OperationalError
from chassis.metrics import BUS_FAILURES

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Hands:
    """What the consumer does with partitions. ``earliest`` and ``committed`` ask the brokers about one."""

    hold: Callable[[Collection[TopicPartition]], None]
    earliest: Callable[[TopicPartition], Awaitable[int]]
    committed: Callable[[TopicPartition], Awaitable[int | None]]
    begin: Callable[[TopicPartition, int], None]
    stop: Callable[[Collection[TopicPartition]], None]
    lose: Callable[[Collection[TopicPartition]], None]


class Ownership(ConsumerRebalanceListener):  # type: ignore[misc] # the client has no types
    """Between the client's group and our listener, for one consumer's life.

    ``is_member``: the group has said what this consumer's share is, be it nothing, and no rebalance goes on.
    """

    def __init__(self, group: str, listener: RebalanceListener, hands: Hands) -> None:
        self._group = group
        self._listener = listener
        self._hands = hands
        self._told: frozenset[TopicPartition] = frozenset()
        self._telling = asyncio.Lock()
        self._offering: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._over = False
        self.is_member = False

    def raise_failure(self) -> None:
        """Raise the bug that the listener raised, if it did."""
        if self._failure is not None:
            raise self._failure

    async def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        """Called by the client: these are ours from now on."""
        self.is_member = True
        partitions = frozenset(TopicPartition(theirs.topic, theirs.partition) for theirs in assigned)
        if self._over or not partitions:
            return
        # Before anything is waited for: nothing may be fetched from where nobody said.
        self._hands.hold(partitions)
        self._offering = asyncio.create_task(self._offer(partitions))

    async def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        """Called by the client: all that we have goes, every time (the protocol is eager)."""
        # Before anything is waited for: the client hands out nothing until it is back.
        self.is_member = False
        if not self._over:
            await self._take_back()

    async def end(self) -> None:
        """Take everything back; what the client says afterwards is not heard."""
        self._over = True
        await self._take_back()

    def fall_silent(self) -> None:
        """As a killed process: nobody is told anything any more."""
        self._over = True
        if self._offering is not None:
            self._offering.cancel()

    async def _offer(self, partitions: frozenset[TopicPartition]) -> None:
        try:
            unsaid = await self._until_it_passes(lambda: self._tell(partitions))
        except Exception as bug:  # noqa: BLE001 - raised by the next fetch
            self._failure = bug
            return
        await asyncio.gather(*(self._begin_where_it_can(partition, said) for partition, said in unsaid.items()))

    async def _tell(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        """Begin where the listener says an offset; answers the others, with what it said of them."""
        async with self._telling:
            chosen = await self._listener.on_assigned(partitions)
            self._told = partitions
            unsaid: dict[TopicPartition, int | None] = {}
            for partition in partitions:
                said = chosen.get(partition)
                if said is None or said == EARLIEST:
                    unsaid[partition] = said
                else:
                    self._hands.begin(partition, said)
            return unsaid

    async def _begin_where_it_can(self, partition: TopicPartition, said: int | None) -> None:
        """Begin at the group's commit if nothing was said and there is one, else at the earliest."""

        async def begin() -> None:
            try:
                start = await self._hands.committed(partition) if said is None else None
                self._hands.begin(partition, await self._hands.earliest(partition) if start is None else start)
            except OperationalError:
                BUS_FAILURES.labels(self._group, "begin").inc()
                raise

        try:
            await self._until_it_passes(begin)
        except Exception as bug:  # noqa: BLE001 - raised by the next fetch
            self._failure = bug

    async def _until_it_passes(self, work: Callable[[], Awaitable[Any]]) -> Any:
        backoff = Backoff()
        while True:
            try:
                return await work()
            except OperationalError as error:
                log.warning("partitions_not_taken", group=self._group, error=error.reason)
            await asyncio.sleep(backoff.next_s())

    async def _take_back(self) -> None:
        async with self._telling:
            if self._offering is not None:
                self._offering.cancel()
                await asyncio.wait({self._offering})
            lost, self._told = self._told, frozenset()
            if not lost:
                return
            self._hands.stop(lost)
            try:
                await self._listener.on_revoked(lost)
            except OperationalError as error:
                log.warning("partitions_given_up_badly", group=self._group, error=error.reason)
            except Exception as bug:  # noqa: BLE001 - raised by the next fetch
                self._failure = bug
            finally:
                self._hands.lose(lost)
