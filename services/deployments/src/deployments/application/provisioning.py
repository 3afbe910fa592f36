"""Carries one deployment forward on the grid: look, create, wait, destroy; each pass is one lease of its job.

What will be asked of the grid is recorded before, what it answered after; between them a crash changes nothing, since
every pass looks first. No grid call happens inside a database transaction. Only a confirmed absence ends in a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import structlog

from deployments.application.ports import (
    Again,
    Desk,
    Finish,
    Grid,
    GridRefused,
    GridState,
    GridUnavailable,
    Keep,
    Lease,
    NameDestroyed,
    TearDown,
)
from deployments.domain.deployment import (
    ENDS,
    Command,
    ReportAbsent,
    ReportActive,
    ReportUnknown,
    StartProvisioning,
)

log = structlog.get_logger("provisioning")
DESTROYED_ELSEWHERE = "it was destroyed on the grid"
TOO_LATE = "it was not ready in time"
FAILED_ON_GRID = "the grid could not run it"


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon a job is taken up again. ``unknown_after_attempts`` without an answer make a deployment unknown."""

    poll_first_s: float = 0.2
    poll_longest_s: float = 5.0
    backoff_first_s: float = 0.5
    backoff_longest_s: float = 60.0
    unknown_after_attempts: int = 3

    def poll_s(self, age_s: float) -> float:
        """The pause while the grid is at work: a quarter of the time that it took so far."""
        return min(self.poll_longest_s, max(self.poll_first_s, age_s / 4))

    def backoff_s(self, attempts: int, random: Random) -> float:
        """The pause after a silence: doubled each time, half of it by chance, so that workers spread."""
        longest = min(self.backoff_longest_s, self.backoff_first_s * 2.0 ** min(attempts - 1, 30))
        return longest / 2 + random.random() * longest / 2


class Provisioner:
    """The process manager of grid work."""

    def __init__(self, grid: Grid, desk: Desk, pace: Pace, random: Random) -> None:
        self._grid = grid
        self._desk = desk
        self._pace = pace
        self._random = random

    async def work(self, lease: Lease) -> None:
        """One pass. Raises LeaseLost when somebody else took over; the grid's silence is recorded, not raised."""
        try:
            await self._pass(lease)
        except GridUnavailable as silence:
            await self._record_silence(lease, silence)

    async def _pass(self, lease: Lease) -> None:
        deployment = await self._desk.read(lease)
        if deployment.status in ENDS:
            await self._desk.record(lease, None, Finish())
            return
        if lease.teardown_reason is not None:
            await self._destroy(lease, lease.teardown_reason)
            return
        # Looked up before anything is created: an earlier pass may have got further than it could tell.
        seen = await self._grid.get(lease.deployment_id)
        if seen is None and not lease.overdue:
            await self._create(lease)
        else:
            await self._conclude(lease, seen)

    async def _create(self, lease: Lease) -> None:
        deployment = await self._desk.record(lease, StartProvisioning(), Keep())
        assert deployment.spec is not None, "a deployment without a spec is never queued"
        try:
            seen = await self._grid.create(lease.deployment_id, deployment.spec)
        except NameDestroyed as refusal:
            await self._end(lease, ReportAbsent(str(refusal)))
        except GridRefused as refusal:
            await self._tear_down(lease, str(refusal))
        else:
            await self._conclude(lease, seen)

    async def _conclude(self, lease: Lease, seen: GridState | None) -> None:
        """Draw the consequence of what the grid shows; None is a name that was never used."""
        if seen is not None and seen.state == "ok":
            await self._end(lease, ReportActive(seen.grid_deployment_id or lease.deployment_id, seen.endpoints or {}))
        elif seen is not None and seen.state == "deleted":
            await self._end(lease, ReportAbsent(seen.reason or DESTROYED_ELSEWHERE))
        elif seen is not None and seen.state == "error" and seen.permanent:
            await self._tear_down(lease, seen.reason or FAILED_ON_GRID)
        elif lease.overdue:
            await self._tear_down(lease, TOO_LATE)
        else:
            await self._desk.record(lease, StartProvisioning(), Again(self._pace.poll_s(lease.age_s)))

    async def _tear_down(self, lease: Lease, reason: str) -> None:
        """Decided once and stored first, so that whoever goes on knows why it is destroyed."""
        await self._desk.record(lease, None, TearDown(reason))
        await self._destroy(lease, reason)

    async def _destroy(self, lease: Lease, reason: str) -> None:
        await self._grid.destroy(lease.deployment_id)
        seen = await self._grid.get(lease.deployment_id)
        if seen is None or seen.state == "deleted":
            await self._end(lease, ReportAbsent(reason))
        else:
            await self._desk.record(lease, None, Again(self._pace.poll_s(lease.age_s)))

    async def _end(self, lease: Lease, command: ReportActive | ReportAbsent) -> None:
        deployment = await self._desk.record(lease, command, Finish())
        log.info("deployment_ended", deployment=lease.deployment_id, status=deployment.status)

    async def _record_silence(self, lease: Lease, silence: GridUnavailable) -> None:
        unknown = lease.attempts >= self._pace.unknown_after_attempts
        command: Command | None = ReportUnknown(silence.reason) if unknown else None
        pause_s = self._pace.backoff_s(lease.attempts, self._random)
        await self._desk.record(lease, command, Again(pause_s, error=silence.reason))
        log.warning("grid_silent", deployment=lease.deployment_id, attempts=lease.attempts, reason=silence.reason)
