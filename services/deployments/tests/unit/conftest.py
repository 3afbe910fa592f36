"""A deployment's story on an unreliable grid, without a database.

The grid is the simulator's own model behind a line that loses requests and answers; the desk keeps events in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest

from chassis.clock import ManualClock
from chassis.errors import Conflict
from deployments.application.ports import (
    Again,
    Finish,
    GridRefused,
    GridState,
    GridUnavailable,
    JobChange,
    Lease,
    NameDestroyed,
    TearDown,
)
from deployments.application.provisioning import Pace, Provisioner
from deployments.domain import deployment as life
from deployments.domain.events import DeploymentActivated, DeploymentEvent, DeploymentFailed, GridSpec
from embedded.grid_simulator import grid as simulated
from embedded.grid_simulator.storage import Storage

T = TypeVar("T")
ID = "d-1"
PROVISION_S = 10.0
WORKS, LOST, ANSWER_LOST, DIES_BEFORE, DIES_AFTER = "works", "lost", "answer lost", "dies before", "dies after"


class WorkerDied(Exception):
    """The process ended here."""


class UnreliableGrid:
    """The port on the simulator's model; each call meets the next fate of the line, then they all work."""

    def __init__(self, model: simulated.SimulatedGrid, fates: Iterator[str]) -> None:
        self._model = model
        self._fates = fates
        self.asked: list[str] = []

    async def create(self, name: str, spec: GridSpec) -> GridState:
        return _shown(self._call("create", lambda: self._create(name, spec)))

    async def get(self, name: str) -> GridState | None:
        view = self._call("get", lambda: self._model.get(name))
        return None if view is None else _shown(view)

    async def destroy(self, name: str) -> GridState:
        return _shown(self._call("destroy", lambda: self._model.destroy(name)))

    def _create(self, name: str, spec: GridSpec) -> simulated.View:
        try:
            return self._model.create(name, spec)[0]
        except simulated.NameDestroyed as error:
            raise NameDestroyed(error.title) from error
        except Conflict as error:
            raise GridRefused(error.title) from error

    def _call(self, operation: str, work: Callable[[], T]) -> T:
        self.asked.append(operation)
        fate = next(self._fates, WORKS)
        if fate == DIES_BEFORE:
            raise WorkerDied
        if fate == LOST:
            raise GridUnavailable("the request was lost")
        answer = work()
        if fate == DIES_AFTER:
            raise WorkerDied
        if fate == ANSWER_LOST:
            raise GridUnavailable("the answer was lost")
        return answer


def _shown(view: simulated.View) -> GridState:
    assert view.state in ("provisioning", "ok", "error", "deleted")
    return GridState(view.state, view.reason, view.permanent, view.grid_deployment_id, view.endpoints)  # type: ignore[arg-type]


class MemoryDesk:
    """One deployment and its job."""

    def __init__(self, spec: GridSpec) -> None:
        request = life.Request("alice", "small-vm", "Small", "TFC/2", 500)
        self.state = life.Deployment(f"deployment:{ID}")
        self.log: list[DeploymentEvent] = []
        self.lease = Lease(1, ID, 1, 0, False, 0.0)
        self.open = True
        self._apply(life.RequestDeployment(request, spec, Decimal("0.10")))

    async def read(self, lease: Lease) -> life.Deployment:
        return self.state

    async def record(self, lease: Lease, command: life.Command | None, change: JobChange) -> life.Deployment:
        assert self.open, "a finished job is written no more"
        if command is not None:
            self._apply(command)
        if isinstance(change, TearDown):
            self.lease = replace(self.lease, teardown_reason=change.reason)
        if isinstance(change, Again) and change.error is None:
            self.lease = replace(self.lease, attempts=0)
        self.open = not isinstance(change, Finish)
        return self.state

    def claimed(self, *, overdue: bool) -> Lease:
        self.lease = replace(self.lease, attempts=self.lease.attempts + 1, overdue=overdue)
        return self.lease

    def _apply(self, command: life.Command) -> None:
        for event in life.decide(self.state, command):
            self.state = life.evolve(self.state, event)
            self.log.append(event)


class Story:
    """A deployment, its grid, and a worker that is started again whenever it dies."""

    def __init__(self, storage: Storage, spec: GridSpec, fates: Sequence[str]) -> None:
        self.clock = ManualClock()
        self.model = simulated.SimulatedGrid(storage, self.clock, provision_s=PROVISION_S)
        self.grid = UnreliableGrid(self.model, iter(fates))
        self.desk = MemoryDesk(spec)
        self.provisioner = Provisioner(self.grid, self.desk, Pace(unknown_after_attempts=3), Random(1))

    def passes(self, count: int, *, overdue: bool = False) -> None:
        for _ in range(count):
            if not self.desk.open:
                return
            try:
                asyncio.run(self.provisioner.work(self.desk.claimed(overdue=overdue)))
            except WorkerDied:
                continue
            finally:
                self.truth_is_told()

    def truth_is_told(self) -> None:
        """A failure is told only of what is gone for ever, a success only of what runs; each ends the story."""
        ends = [event for event in self.desk.log if isinstance(event, DeploymentActivated | DeploymentFailed)]
        assert len(ends) <= 1
        view = self.model.get(ID)
        if ends and isinstance(ends[0], DeploymentFailed):
            assert view is not None
            assert view.state == "deleted"
        if ends and isinstance(ends[0], DeploymentActivated):
            assert view is not None
            assert (view.state, view.grid_deployment_id) == ("ok", ends[0].grid_deployment_id)


Tell = Callable[[GridSpec, Sequence[str]], Story]


@pytest.fixture(scope="session")
def tell() -> Iterator[Tell]:
    """``tell(spec, fates)``: a new story; the calls to its grid meet these fates in turn, and then they all work."""
    opened: list[Storage] = []
    with TemporaryDirectory() as folder:

        def begin(spec: GridSpec, fates: Sequence[str]) -> Story:
            opened.append(Storage(Path(folder) / f"{len(opened)}.sqlite3"))
            return Story(opened[-1], spec, fates)

        yield begin
        for storage in opened:
            storage.close()
