"""Driving an unreliable grid: whatever gets lost and whenever the worker dies, the end is true and comes once.

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
from deployments.application.provisioning import TOO_LATE, Pace, Provisioner
from deployments.domain import deployment as life
from deployments.domain.events import DeploymentActivated, DeploymentEvent, DeploymentFailed, GridSpec
from embedded.grid_simulator import grid as simulated
from embedded.grid_simulator.storage import Storage
from hypothesis import given, settings
from hypothesis import strategies as st

T = TypeVar("T")
ID = "d-1"
SPEC: GridSpec = {"kind": "vm", "cpu": 1, "memory_mb": 1, "disk_gb": 1, "public_ip": False}
TOO_BIG: GridSpec = {**SPEC, "cpu": 4096}
PROVISION_S = 10.0
WORKS, LOST, ANSWER_LOST, DIES_BEFORE, DIES_AFTER = "works", "lost", "answer lost", "dies before", "dies after"
LINE = st.lists(st.sampled_from([WORKS, LOST, ANSWER_LOST, DIES_BEFORE, DIES_AFTER]), max_size=14)


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


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    opened = Storage(tmp_path / "grid.sqlite3")
    yield opened
    opened.close()


@settings(max_examples=150, deadline=None)
@given(before=LINE, fits=st.booleans(), overdue=st.booleans())
def test_the_end_is_true_whatever_gets_lost(before: list[str], fits: bool, overdue: bool) -> None:
    with TemporaryDirectory() as folder:
        storage = Storage(Path(folder) / "grid.sqlite3")
        story = Story(storage, SPEC if fits else TOO_BIG, before)
        story.passes(20)
        story.clock.advance(0 if overdue else PROVISION_S)
        story.passes(20, overdue=overdue)
        storage.close()
    assert not story.desk.open
    assert story.desk.state.status == ("active" if fits and not overdue else "failed")


def test_a_lost_answer_to_create_is_found_and_nothing_is_created_twice(storage: Storage) -> None:
    story = Story(storage, SPEC, [WORKS, ANSWER_LOST])
    story.passes(1)
    story.clock.advance(PROVISION_S)
    story.passes(1)
    assert story.grid.asked == ["get", "create", "get"]
    assert story.desk.state.status == "active"


def test_a_worker_that_dies_after_create_leaves_it_to_be_adopted(storage: Storage) -> None:
    story = Story(storage, SPEC, [WORKS, DIES_AFTER])
    story.passes(1)
    assert story.desk.state.status == "provisioning"
    story.clock.advance(PROVISION_S)
    story.passes(1)
    assert story.grid.asked == ["get", "create", "get"]
    assert story.desk.state.status == "active"


def test_silence_makes_it_unknown_after_three_attempts_and_never_failed(storage: Storage) -> None:
    story = Story(storage, TOO_BIG, [WORKS, WORKS, LOST, LOST, LOST, LOST])
    story.passes(1)
    story.clock.advance(PROVISION_S)
    statuses = []
    for _ in range(4):
        story.passes(1)
        statuses.append(story.desk.state.status)
    assert statuses == ["provisioning", "provisioning", "unknown", "unknown"]
    assert story.desk.state.error_message == "the request was lost"

    story.passes(1)
    assert story.desk.state.status == "failed"
    assert story.desk.state.error_message == simulated.NO_CAPACITY


def test_an_answer_ends_the_count_of_silences(storage: Storage) -> None:
    story = Story(storage, SPEC, [WORKS, WORKS, LOST, LOST, WORKS, LOST, LOST])
    story.passes(6)
    assert story.desk.state.status == "provisioning"
    assert "unknown" not in {type(event).__name__ for event in story.desk.log}


def test_what_was_never_asked_for_stays_queued_while_the_grid_is_away(storage: Storage) -> None:
    story = Story(storage, SPEC, [LOST] * 6)
    story.passes(6)
    assert story.desk.state.status == "queued"


def test_a_failure_is_told_only_after_the_destruction_is_confirmed(storage: Storage) -> None:
    story = Story(storage, TOO_BIG, [WORKS, WORKS, WORKS, LOST, WORKS, ANSWER_LOST, WORKS, LOST])
    story.passes(1)
    story.clock.advance(PROVISION_S)
    for _ in range(3):
        story.passes(1)
        assert story.desk.state.status in ("provisioning", "unknown")
    story.passes(1)
    assert story.desk.state.status == "failed"
    assert story.grid.asked[2:] == ["get", "destroy", "destroy", "get", "destroy", "get", "destroy", "get"]


def test_the_reason_survives_a_worker_that_dies_while_destroying(storage: Storage) -> None:
    story = Story(storage, TOO_BIG, [WORKS, WORKS, WORKS, DIES_AFTER])
    story.passes(1)
    story.clock.advance(PROVISION_S)
    story.passes(2)
    assert story.desk.state.status == "failed"
    assert story.desk.state.error_message == simulated.NO_CAPACITY


def test_what_is_not_ready_at_the_deadline_is_destroyed(storage: Storage) -> None:
    story = Story(storage, SPEC, [])
    story.passes(3)
    story.passes(1, overdue=True)
    assert story.desk.state.error_message == TOO_LATE
    assert story.grid.asked[-3:] == ["get", "destroy", "get"]


def test_what_is_ready_at_the_deadline_is_kept(storage: Storage) -> None:
    story = Story(storage, SPEC, [])
    story.passes(1)
    story.clock.advance(PROVISION_S)
    story.passes(1, overdue=True)
    assert story.desk.state.status == "active"


def test_what_was_never_created_is_still_refused_to_the_grid_before_it_fails(storage: Storage) -> None:
    story = Story(storage, SPEC, [LOST])
    story.passes(1)
    story.passes(1, overdue=True)
    assert story.desk.state.status == "failed"
    with pytest.raises(simulated.NameDestroyed):
        story.model.create(ID, SPEC)


def test_what_an_operator_destroyed_on_the_grid_fails(storage: Storage) -> None:
    story = Story(storage, SPEC, [])
    story.passes(1)
    story.model.destroy(ID)
    story.passes(1)
    assert story.desk.state.status == "failed"


def test_a_name_that_was_destroyed_between_look_and_create_fails(storage: Storage) -> None:
    story = Story(storage, SPEC, [])

    async def stale(name: str) -> None:
        story.model.destroy(name)

    story.grid.get = stale  # type: ignore[method-assign,assignment]
    story.passes(1)
    assert story.desk.state.status == "failed"
    assert story.grid.asked == ["create"]


def test_a_refused_create_is_destroyed_all_the_same(storage: Storage) -> None:
    story = Story(storage, SPEC, [])
    story.model.create(ID, TOO_BIG)
    original = story.grid.get
    answers = iter([None])

    async def stale(name: str) -> GridState | None:
        return next(answers, await original(name))

    story.grid.get = stale  # type: ignore[method-assign]
    story.passes(1)
    assert story.desk.state.status == "failed"
    assert "another spec" in str(story.desk.state.error_message)
