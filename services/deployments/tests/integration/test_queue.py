"""Leases: who has a job, who lost it, and that a worker that lost it changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

from deployments import bootstrap
from deployments.adapters.job_queue import PostgresJobQueue
from deployments.adapters.records import FencedDesk
from deployments.adapters.repository import DeploymentRepository
from deployments.application.ports import Again, Finish, GridState, Keep, Lease, LeaseLost, TearDown
from deployments.application.provisioning import Pace, Provisioner
from deployments.application.worker import Worker, WorkerLimits
from deployments.domain import deployment as life
from testkit.waiting_for import eventually

LEASE_S = 30.0
EXPIRE = "UPDATE grid_jobs SET lease_until = clock_timestamp()"


def queue(house: Any, deadline_s: float = 1800) -> PostgresJobQueue:
    return PostgresJobQueue(house.pool, deadline_s=deadline_s)


def desk(house: Any) -> FencedDesk:
    return FencedDesk(house.pool, DeploymentRepository(house.parts.store), queue(house))


async def requested(house: Any, *names: str) -> None:
    for name in names:
        await house.request(name)
    await house.consume()


async def claim(house: Any, owner: str, limit: int = 10, lease_s: float = LEASE_S) -> list[Lease]:
    return list(await queue(house).claim(owner, limit=limit, lease_s=lease_s))


@pytest.mark.asyncio
async def test_two_workers_at_once_never_get_the_same_job(house: Any) -> None:
    await requested(house, *(f"d-{number}" for number in range(20)))
    claims = await asyncio.gather(*(claim(house, f"worker-{number}", limit=3) for number in range(10)))
    taken = [lease.deployment_id for leases in claims for lease in leases]
    assert len(taken) == 20
    assert len(set(taken)) == 20
    assert await claim(house, "late") == []


@pytest.mark.asyncio
async def test_an_expired_lease_is_taken_over_under_a_higher_epoch(house: Any) -> None:
    await requested(house, "d-1")
    (first,) = await claim(house, "one")
    assert await claim(house, "two") == []
    await house.fetch(EXPIRE)
    (second,) = await claim(house, "two")
    assert (first.epoch, second.epoch) == (1, 2)
    assert second.attempts == 2
    assert not await queue(house).renew(first, lease_s=LEASE_S)
    assert await queue(house).renew(second, lease_s=LEASE_S)


STALE_WRITES = [
    (life.StartProvisioning(), Keep()),
    (life.ReportActive("7", {}), Finish()),
    (life.ReportAbsent("gone"), Finish()),
    (life.ReportUnknown("silent"), Again(0, error="silent")),
    (None, Again(0)),
    (None, TearDown("why")),
    (None, Finish()),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("command", "change"), STALE_WRITES)
@pytest.mark.parametrize("ended", [False, True], ids=["taken over", "finished by another"])
async def test_nothing_that_a_stale_worker_writes_stays(house: Any, command: Any, change: Any, ended: bool) -> None:
    await requested(house, "d-1")
    (stale,) = await claim(house, "stalled")
    await house.fetch(EXPIRE)
    (current,) = await claim(house, "current")
    if ended:
        await desk(house).record(current, life.ReportAbsent("not possible"), Finish())
    before = await house.everything()

    with pytest.raises(LeaseLost):
        await desk(house).record(stale, command, change)
    assert await house.everything() == before
    if not ended:
        await desk(house).record(current, life.StartProvisioning(), Again(0))
        assert await house.status("d-1") == "provisioning"


@pytest.mark.asyncio
async def test_a_lease_given_back_is_no_lease(house: Any) -> None:
    await requested(house, "d-1")
    (lease,) = await claim(house, "one")
    await desk(house).record(lease, None, Again(60))
    with pytest.raises(LeaseLost):
        await desk(house).record(lease, None, Finish())
    assert not await queue(house).renew(lease, lease_s=LEASE_S)
    assert await claim(house, "two") == []


@pytest.mark.asyncio
async def test_a_job_and_its_events_are_written_together_or_not_at_all(house: Any) -> None:
    await requested(house, "d-1")
    (lease,) = await claim(house, "one")
    before = await house.everything()
    with pytest.raises(asyncpg.DataError):
        await desk(house).record(lease, life.ReportAbsent("nul \x00"), Finish())
    assert await house.everything() == before


@pytest.mark.asyncio
async def test_a_deployment_has_at_most_one_open_job(house: Any) -> None:
    await requested(house, "d-1")
    async with house.pool.acquire() as conn:
        with pytest.raises(asyncpg.UniqueViolationError):
            await queue(house).add(conn, "d-1")
    (lease,) = await claim(house, "one")
    await desk(house).record(lease, life.ReportAbsent("no"), Finish())
    async with house.pool.acquire() as conn:
        await queue(house).add(conn, "d-1")


@pytest.mark.asyncio
async def test_silences_are_counted_and_an_answer_ends_the_count(house: Any) -> None:
    await requested(house, "d-1")
    attempts = []
    for change in (Again(0, error="silent"), Again(0, error="silent"), Again(0), Again(0)):
        (lease,) = await claim(house, "one")
        attempts.append(lease.attempts)
        await desk(house).record(lease, None, change)
    assert attempts == [1, 2, 3, 1]


@pytest.mark.asyncio
async def test_the_deadline_is_seen_in_the_lease(house: Any) -> None:
    await requested(house, "d-1")
    (lease,) = await claim(house, "one")
    assert (lease.overdue, lease.teardown_reason) == (False, None)
    await desk(house).record(lease, None, TearDown("because"))
    await house.fetch("UPDATE grid_jobs SET deadline_at = clock_timestamp()")
    await house.fetch(EXPIRE)
    (lease,) = await claim(house, "two")
    assert (lease.overdue, lease.teardown_reason) == (True, "because")


@pytest.mark.asyncio
async def test_age_counts_from_the_first_work_not_from_the_queue(house: Any) -> None:
    await requested(house, "d-1")
    await house.fetch("UPDATE grid_jobs SET created_at = created_at - interval '1 hour'")
    (lease,) = await claim(house, "one")
    assert 0 <= lease.age_s < 60
    await desk(house).record(lease, None, Again(0))
    await house.fetch("UPDATE grid_jobs SET begun_at = begun_at - interval '1 hour'")
    (lease,) = await claim(house, "one")
    assert 3600 <= lease.age_s < 3660


class StuckGrid:
    """A grid whose create waits until it is let go, with its caller's cancellation seen."""

    def __init__(self) -> None:
        self.entered, self.go_on, self.cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def create(self, name: str, spec: Mapping[str, Any]) -> GridState:
        self.entered.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return GridState("ok", grid_deployment_id="stale", endpoints={})

    async def get(self, name: str) -> GridState | None:
        return None

    async def destroy(self, name: str) -> GridState:
        return GridState("deleted")


def stuck_worker(house: Any, grid: StuckGrid, lease_s: float) -> Worker:
    provisioner = Provisioner(grid, desk(house), Pace(), bootstrap.random.Random(1))
    # One at a time: it must not take over from itself.
    limits = WorkerLimits(concurrency=1, lease_s=lease_s, poll_s=0.01)
    return Worker(queue(house), provisioner.work, owner="stuck", limits=limits)


@pytest.mark.asyncio
async def test_a_worker_that_was_overtaken_while_it_asked_the_grid_writes_nothing(house: Any) -> None:
    await requested(house, "d-1")
    grid = StuckGrid()
    async with house.running(stuck_worker(house, grid, LEASE_S).run):
        await asyncio.wait_for(grid.entered.wait(), 10)
        await house.fetch(EXPIRE)
        await house.work()
        await house.provisioned()
        await house.work()
        before = await house.everything()
        grid.go_on.set()

    assert await house.everything() == before
    row = await house.row("d-1")
    assert row["status"] == "active"
    assert row["grid_deployment_id"] != "stale"


@pytest.mark.asyncio
async def test_a_long_call_keeps_its_lease(house: Any) -> None:
    await requested(house, "d-1")
    grid = StuckGrid()
    async with house.running(stuck_worker(house, grid, lease_s=1.5).run):
        await asyncio.wait_for(grid.entered.wait(), 10)
        first = await house.fetchval("SELECT lease_until FROM grid_jobs")
        stolen: list[Lease] = []

        async def outlived() -> bool:
            stolen.extend(await claim(house, "thief"))
            return bool(await house.fetchval("SELECT clock_timestamp() > $1", first))

        assert await eventually(outlived)
        grid.go_on.set()
    assert stolen == []
    assert await house.status("d-1") == "active"


@pytest.mark.asyncio
async def test_a_lost_lease_ends_the_call(house: Any) -> None:
    await requested(house, "d-1")
    grid = StuckGrid()
    async with house.running(stuck_worker(house, grid, lease_s=1).run):
        await asyncio.wait_for(grid.entered.wait(), 10)
        await house.fetch("UPDATE grid_jobs SET lease_epoch = lease_epoch + 1, lease_owner = 'other'")
        await asyncio.wait_for(grid.cancelled.wait(), 10)
        before = await house.everything()
    assert await house.everything() == before


@pytest.mark.asyncio
async def test_a_bug_ends_the_worker_loudly(house: Any) -> None:
    await requested(house, "d-1")

    async def broken(_lease: Lease) -> None:
        raise ZeroDivisionError

    worker = Worker(queue(house), broken, owner="broken")
    with pytest.raises(ZeroDivisionError):
        async with house.running(worker.run):
            await eventually(lambda: leased(house))


async def leased(house: Any) -> bool:
    return bool(await house.fetchval("SELECT lease_epoch = 1 FROM grid_jobs"))


@pytest.mark.asyncio
async def test_a_database_that_is_away_for_a_moment_is_tried_again_under_the_same_lease(house: Any) -> None:
    await requested(house, "d-1")
    tries: list[int] = []

    async def unlucky(lease: Lease) -> None:
        tries.append(lease.epoch)
        if len(tries) < 3:
            raise ConnectionResetError
        await desk(house).record(lease, life.ReportAbsent("in the end"), Finish())

    async with house.running(Worker(queue(house), unlucky, owner="patient").run):
        await eventually(lambda: failed(house))
    assert tries == [1, 1, 1]


async def failed(house: Any) -> bool:
    return bool(await house.status("d-1") == "failed")
