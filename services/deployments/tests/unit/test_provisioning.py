"""Driving an unreliable grid: whatever gets lost and whenever the worker dies, the end is true and comes once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.application.ports import GridState
from deployments.application.provisioning import TOO_LATE
from deployments.domain.events import GridSpec
from embedded.grid_simulator import grid as simulated

ID = "d-1"
SPEC: GridSpec = {"kind": "vm", "cpu": 1, "memory_mb": 1, "disk_gb": 1, "public_ip": False}
TOO_BIG: GridSpec = {**SPEC, "cpu": 4096}
PROVISION_S = 10.0
WORKS, LOST, ANSWER_LOST, DIES_BEFORE, DIES_AFTER = "works", "lost", "answer lost", "dies before", "dies after"
LINE = st.lists(st.sampled_from([WORKS, LOST, ANSWER_LOST, DIES_BEFORE, DIES_AFTER]), max_size=14)


@settings(max_examples=150, deadline=None)
@given(before=LINE, fits=st.booleans(), overdue=st.booleans())
def test_the_end_is_true_whatever_gets_lost(tell: Any, before: list[str], fits: bool, overdue: bool) -> None:
    story = tell(SPEC if fits else TOO_BIG, before)
    story.passes(20)
    story.clock.advance(0 if overdue else PROVISION_S)
    story.passes(20, overdue=overdue)
    assert not story.desk.open
    assert story.desk.state.status == ("active" if fits and not overdue else "failed")


def test_a_lost_answer_to_create_is_found_and_nothing_is_created_twice(tell: Any) -> None:
    story = tell(SPEC, [WORKS, ANSWER_LOST])
    story.passes(1)
    story.clock.advance(PROVISION_S)
    story.passes(1)
    assert story.grid.asked == ["get", "create", "get"]
    assert story.desk.state.status == "active"


def test_a_worker_that_dies_after_create_leaves_it_to_be_adopted(tell: Any) -> None:
    story = tell(SPEC, [WORKS, DIES_AFTER])
    story.passes(1)
    assert story.desk.state.status == "provisioning"
    story.clock.advance(PROVISION_S)
    story.passes(1)
    assert story.grid.asked == ["get", "create", "get"]
    assert story.desk.state.status == "active"


def test_silence_makes_it_unknown_after_three_attempts_and_never_failed(tell: Any) -> None:
    story = tell(TOO_BIG, [WORKS, WORKS, LOST, LOST, LOST, LOST])
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


def test_an_answer_ends_the_count_of_silences(tell: Any) -> None:
    story = tell(SPEC, [WORKS, WORKS, LOST, LOST, WORKS, LOST, LOST])
    story.passes(6)
    assert story.desk.state.status == "provisioning"
    assert "unknown" not in {type(event).__name__ for event in story.desk.log}


def test_what_was_never_asked_for_stays_queued_while_the_grid_is_away(tell: Any) -> None:
    story = tell(SPEC, [LOST] * 6)
    story.passes(6)
    assert story.desk.state.status == "queued"


def test_a_failure_is_told_only_after_the_destruction_is_confirmed(tell: Any) -> None:
    story = tell(TOO_BIG, [WORKS, WORKS, WORKS, LOST, WORKS, ANSWER_LOST, WORKS, LOST])
    story.passes(1)
    story.clock.advance(PROVISION_S)
    for _ in range(3):
        story.passes(1)
        assert story.desk.state.status in ("provisioning", "unknown")
    story.passes(1)
    assert story.desk.state.status == "failed"
    assert story.grid.asked[2:] == ["get", "destroy", "destroy", "get", "destroy", "get", "destroy", "get"]


def test_the_reason_survives_a_worker_that_dies_while_destroying(tell: Any) -> None:
    story = tell(TOO_BIG, [WORKS, WORKS, WORKS, DIES_AFTER])
    story.passes(1)
    story.clock.advance(PROVISION_S)
    story.passes(2)
    assert story.desk.state.status == "failed"
    assert story.desk.state.error_message == simulated.NO_CAPACITY


def test_what_is_not_ready_at_the_deadline_is_destroyed(tell: Any) -> None:
    story = tell(SPEC, [])
    story.passes(3)
    story.passes(1, overdue=True)
    assert story.desk.state.error_message == TOO_LATE
    assert story.grid.asked[-3:] == ["get", "destroy", "get"]


def test_what_is_ready_at_the_deadline_is_kept(tell: Any) -> None:
    story = tell(SPEC, [])
    story.passes(1)
    story.clock.advance(PROVISION_S)
    story.passes(1, overdue=True)
    assert story.desk.state.status == "active"


def test_what_was_never_created_is_still_refused_to_the_grid_before_it_fails(tell: Any) -> None:
    story = tell(SPEC, [LOST])
    story.passes(1)
    story.passes(1, overdue=True)
    assert story.desk.state.status == "failed"
    with pytest.raises(simulated.NameDestroyed):
        story.model.create(ID, SPEC)


def test_what_an_operator_destroyed_on_the_grid_fails(tell: Any) -> None:
    story = tell(SPEC, [])
    story.passes(1)
    story.model.destroy(ID)
    story.passes(1)
    assert story.desk.state.status == "failed"


def test_a_name_that_was_destroyed_between_look_and_create_fails(tell: Any) -> None:
    story = tell(SPEC, [])

    async def stale(name: str) -> None:
        story.model.destroy(name)

    story.grid.get = stale  # type: ignore[method-assign,assignment]
    story.passes(1)
    assert story.desk.state.status == "failed"
    assert story.grid.asked == ["create"]


def test_a_refused_create_is_destroyed_all_the_same(tell: Any) -> None:
    story = tell(SPEC, [])
    story.model.create(ID, TOO_BIG)
    original = story.grid.get
    answers = iter([None])

    async def stale(name: str) -> GridState | None:
        return next(answers, await original(name))

    story.grid.get = stale  # type: ignore[method-assign]
    story.passes(1)
    assert story.desk.state.status == "failed"
    assert "another spec" in str(story.desk.state.error_message)
