"""What the group gives and takes, told to the listener: never twice at once, never of what it did not get.

The client calls from its own task and swallows what a listener raises. So partitions are offered in a task of ours,
again while that fails and may pass, and a bug is kept for the next fetch to raise.
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

log = structlog.get_logger(__name__)
Offsets = Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Hands:
    """What the consumer does with partitions. ``look_up`` asks the brokers: the earliest offsets, and the committed."""

    hold: Callable[[Collection[TopicPartition]], None]
    look_up: Callable[[Collection[TopicPartition]], Awaitable[tuple[Offsets, Offsets]]]
    begin: Callable[[Offsets], None]
    stop: Callable[[Collection[TopicPartition]], None]
    lose: Callable[[Collection[TopicPartition]], None]


class Ownership(ConsumerRebalanceListener):  # type: ignore[misc] # the client has no types
    """Between the client's group and our listener, for one consumer's life.

    ``is_member``: the group has said what this consumer's share is, be it nothing, and no rebalance goes on.
    """

    def __init__(self, listener: RebalanceListener, hands: Hands) -> None:
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
        backoff = Backoff()
        while True:
            try:
                earliest, committed = await self._hands.look_up(partitions)
                async with self._telling:
                    chosen = await self._listener.on_assigned(partitions)
                    self._told = partitions
                    self._hands.begin({p: _start(chosen.get(p), earliest[p], committed.get(p)) for p in partitions})
                return
            except OperationalError as error:
                log.warning("partitions_not_taken", error=error.reason)
                await asyncio.sleep(backoff.next_s())
            except Exception as bug:  # noqa: BLE001 - raised by the next fetch
                self._failure = bug
                return

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
                log.warning("partitions_given_up_badly", error=error.reason)
            except Exception as bug:  # noqa: BLE001 - raised by the next fetch
                self._failure = bug
            finally:
                self._hands.lose(lost)


def _start(said: int | None, earliest: int, committed: int | None) -> int:
    """Where a partition starts: where the listener says, else at the group's commit, else at the earliest."""
    chosen = committed if said is None else said
    return earliest if chosen in (None, EARLIEST) else chosen
