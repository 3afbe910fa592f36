"""The worker: claims jobs, works on several at once, keeps their leases while it does.

A lost lease cancels its work; whatever the work still sends is fenced. Knows nothing of grids or deployments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from chassis.bus.retry import Backoff, passes
from chassis.runtime import StopSignal
from deployments.application.ports import JobQueue, Lease, LeaseLost

log = structlog.get_logger("worker")
RENEWALS_PER_LEASE = 3


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How much at once, how often to look, and how long a job stays with a worker that says nothing."""

    concurrency: int = 8
    poll_s: float = 0.1
    lease_s: float = 30.0


class Worker:
    """``work(lease)`` is one pass over one job; it may raise LeaseLost and what passes later."""

    def __init__(
        self,
        queue: JobQueue,
        work: Callable[[Lease], Awaitable[None]],
        *,
        owner: str,
        limits: WorkerLimits | None = None,
        after_work: Callable[[], None] | None = None,
    ) -> None:
        self._queue = queue
        self._work = work
        self._owner = owner
        self._limits = limits or WorkerLimits()
        self._after_work = after_work

    async def run(self, stop: StopSignal) -> None:
        """Work until stopped, then finish the passes in hand. Raises bugs."""
        backoff = Backoff()
        running: set[asyncio.Task[None]] = set()
        try:
            while not stop.is_set():
                try:
                    leases = await self._claim(len(running))
                except Exception as error:
                    if not passes(error):
                        raise
                    log.warning("claim_failed", error=str(error))
                    await stop.wait_for(backoff.next_s())
                    continue
                backoff.reset()
                running |= {asyncio.create_task(self._keep_working(lease, stop)) for lease in leases}
                running = await self._settle(running)
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def run_once(self) -> int:
        """Work on what is due now, one pass each; answers how many that were. Raises also what passes."""
        leases = await self._claim(0)
        await asyncio.gather(*(self._guarded(lease) for lease in leases))
        return len(leases)

    async def _claim(self, in_hand: int) -> list[Lease]:
        free = self._limits.concurrency - in_hand
        if free <= 0:
            return []
        return list(await self._queue.claim(self._owner, limit=free, lease_s=self._limits.lease_s))

    async def _settle(self, running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
        """Wait until half of the hands are free, or for the next look; raise what a pass raised. Answers those still at
        work. Jobs are claimed several at once: a claim costs as much as a tenth of a pass."""
        if not running:
            await asyncio.sleep(self._limits.poll_s)
            return running
        look_at = asyncio.get_running_loop().time() + self._limits.poll_s
        while True:
            pause_s = max(0.0, look_at - asyncio.get_running_loop().time())
            done, running = await asyncio.wait(running, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if not done or 2 * len(running) <= self._limits.concurrency:
                return running

    async def _keep_working(self, lease: Lease, stop: StopSignal) -> None:
        """The pass, repeated in place while its database is away and the lease is ours."""
        backoff = Backoff()
        while not stop.is_set():
            try:
                await self._guarded(lease)
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("pass_failed", deployment=lease.deployment_id, error=str(error))
                await stop.wait_for(backoff.next_s())
                continue
            return

    async def _guarded(self, lease: Lease) -> None:
        """One pass with its lease renewed meanwhile; ends early, in silence, when the lease is lost."""
        renewing = asyncio.create_task(self._renew(lease))
        working = asyncio.ensure_future(self._work(lease))
        try:
            await asyncio.wait({renewing, working}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                renewing.result()
                log.warning("lease_lost", deployment=lease.deployment_id, epoch=lease.epoch)
                return
            await working
        except LeaseLost:
            log.warning("lease_lost", deployment=lease.deployment_id, epoch=lease.epoch)
        finally:
            renewing.cancel()
            working.cancel()
            await asyncio.gather(renewing, working, return_exceptions=True)
            if self._after_work is not None:
                self._after_work()

    async def _renew(self, lease: Lease) -> None:
        """Renew until the lease is lost."""
        while True:
            await asyncio.sleep(self._limits.lease_s / RENEWALS_PER_LEASE)
            try:
                if not await self._queue.renew(lease, lease_s=self._limits.lease_s):
                    return
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("renewal_failed", deployment=lease.deployment_id, error=str(error))
