"""Keeps one consumer in its group: renews the lease, hands over what it lost, takes what it gained.

Runs as a background task, so that a slow handler does not cost the lease. Owns which partitions are active; knows
nothing of records. A member that cannot renew for a whole session lets go by itself: others own its partitions then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from chassis.bus.log_backend import Evicted, GroupMember, Standing
from chassis.bus.port import TopicPartition
from chassis.errors import OperationalError

log = structlog.get_logger(__name__)
Partitions = frozenset[TopicPartition]
NONE: Partitions = frozenset()
HEARTBEATS_PER_SESSION = 4
HEARTBEAT_MAX_S = 1.0
HANDOVER_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Whom to tell. ``gained`` may raise OperationalError and is called again; ``lost`` drains what is in flight."""

    gained: Callable[[Partitions], Awaitable[None]]
    lost: Callable[[Partitions], Awaitable[None]]


class Membership:
    """One member's life in its group, from ``start`` to ``close`` (or ``abandon``)."""

    def __init__(self, member: GroupMember, session_timeout_s: float, callbacks: Callbacks) -> None:
        self._member = member
        self._session_timeout_s = session_timeout_s
        self._heartbeat_s = min(HEARTBEAT_MAX_S, session_timeout_s / HEARTBEATS_PER_SESSION)
        self._callbacks = callbacks
        self._active: Partitions = NONE
        self._beating: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._last_beat = 0.0

    async def start(self) -> None:
        """Join, take what is free, and keep the place from now on. Raises OperationalError."""
        await self._member.join()
        self._last_beat = _monotonic()
        await self._guarded(self._settle(await self._member.beat()))
        self.raise_failure()
        self._beating = asyncio.create_task(self._beat_forever(), name="bus-heartbeat")

    def raise_failure(self) -> None:
        """Raise what broke the membership, if anything did: a bug in a listener, not a database that is away."""
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Hand everything over and leave; a group that cannot be reached will evict this member."""
        await self.abandon()
        try:
            async with asyncio.timeout(HANDOVER_MAX_S):
                await self._let_go()
                await self._member.leave()
        except (OperationalError, TimeoutError) as error:
            log.warning("bus_leave_failed", error=str(error))

    async def abandon(self) -> None:
        """Stop without a word, as a process that died; the lease runs out by itself."""
        tasks = [task for task in (self._beating, self._settling) if task is not None]
        self._beating = self._settling = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _beat_forever(self) -> None:
        try:
            while self._failure is None:
                seen = self._member.changes.count
                await self._beat()
                await self._member.changes.wait(seen, self._heartbeat_s)
        except Exception as error:  # noqa: BLE001 - kept, and raised by the consumer's next fetch
            self._failure = error

    async def _beat(self) -> None:
        try:
            async with asyncio.timeout(self._session_timeout_s):
                standing = await self._member.beat()
        except Evicted:
            log.warning("bus_member_evicted")
            self._settle_in_background(None)
        except (OperationalError, TimeoutError) as error:
            log.warning("bus_heartbeat_failed", error=str(error))
            self._give_up_when_overdue()
        else:
            self._last_beat = _monotonic()
            self._settle_in_background(standing)

    def _give_up_when_overdue(self) -> None:
        overdue = _monotonic() - self._last_beat > self._session_timeout_s
        if overdue and self._active and not self._is_settling():
            log.warning("bus_member_out_of_touch", partitions=len(self._active))
            self._in_background(self._let_go())

    def _settle_in_background(self, standing: Standing | None) -> None:
        """Callbacks may take long; the lease is renewed meanwhile. One handover at a time."""
        if self._is_settling():
            return
        if standing is None:
            self._in_background(self._rejoin())
        elif standing.free or self._active != standing.held or standing.held != standing.wanted:
            self._in_background(self._settle(standing))

    def _is_settling(self) -> bool:
        return self._settling is not None and not self._settling.done()

    def _in_background(self, work: Awaitable[None]) -> None:
        self._settling = asyncio.ensure_future(self._guarded(work))

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (OperationalError, Evicted) as error:
            log.warning("bus_rebalance_postponed", error=str(error))
        except Exception as error:  # noqa: BLE001 - kept, and raised by the consumer's next fetch
            self._failure = error

    async def _settle(self, standing: Standing) -> None:
        leaving = (self._active | standing.held) - standing.wanted
        if leaving:
            await self._revoke(self._active & leaving)
            await self._member.release(leaving)
        taken = await self._member.take() if standing.free else NONE
        fresh = ((standing.held & standing.wanted) | taken) - self._active
        if fresh:
            await self._callbacks.gained(fresh)
            self._active |= fresh

    async def _rejoin(self) -> None:
        await self._let_go()
        await self._member.join()

    async def _let_go(self) -> None:
        await self._revoke(self._active)

    async def _revoke(self, partitions: Partitions) -> None:
        if partitions:
            await self._callbacks.lost(partitions)
            self._active -= partitions


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
