"""The life of a deployment in commands and events."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain import deployment as life
from deployments.domain import events
from testkit.scenario import Scenario

STREAM = "deployment:d-1"
REQUEST = life.Request("alice", "web-server", "Web server", "TFC/2", 1005)
SPEC = {"kind": "vm", "cpu": 2}
REQUESTING = life.RequestDeployment(REQUEST, SPEC, Decimal("0.10"))
QUEUED = events.DeploymentQueued(STREAM, 1, "alice", "web-server", "Web server", "TFC/2", 1005, "0.10", 101, 904, SPEC)
RUNNING = life.ReportActive("1250001", {"mycelium_ip": "400::1"})
ABSENT = life.ReportAbsent("no node has the capacity")
SILENT = life.ReportUnknown("the grid did not answer in time")


def started(version: int, attempt: int) -> events.ProvisioningStarted:
    return events.ProvisioningStarted(STREAM, version, "alice", attempt)


def activated(version: int) -> events.DeploymentActivated:
    return events.DeploymentActivated(STREAM, version, "alice", "1250001", {"mycelium_ip": "400::1"})


def failed(version: int) -> events.DeploymentFailed:
    return events.DeploymentFailed(STREAM, version, "alice", "no node has the capacity")


def became_unknown(version: int) -> events.DeploymentBecameUnknown:
    return events.DeploymentBecameUnknown(STREAM, version, "alice", "the grid did not answer in time")


def scenario() -> Scenario[Any, Any, Any]:
    return Scenario(life.decide, life.evolve, life.Deployment(STREAM))


def test_a_request_is_queued_with_its_price_split() -> None:
    scenario().when(REQUESTING).then(QUEUED).then_state(lambda state: state.status == "queued")


def test_a_service_that_is_not_sold_is_rejected_and_nothing_is_taken() -> None:
    rejected = events.DeploymentRejected(
        STREAM, 1, "alice", "web-server", "Web server", "TFC/2", 1005, "this service is not in the catalogue"
    )
    story = scenario().when(life.RequestDeployment(REQUEST, None, Decimal("0.10"))).then(rejected)
    story.then_state(lambda state: state.status == "failed" and state.commission is None)
    # Also when the catalogue has it by now: its credits went back.
    story.when(REQUESTING).then()


def test_a_repeated_request_is_no_event_and_a_different_one_is_refused() -> None:
    story = scenario().given(QUEUED).when(REQUESTING).then()
    dearer = life.Request("alice", "web-server", "Web server", "TFC/2", 2000)
    story.when(life.RequestDeployment(dearer, SPEC, Decimal("0.10"))).then_refused(life.ContradictsRequest)


def test_a_new_rate_or_spec_does_not_touch_what_was_requested() -> None:
    changed = life.RequestDeployment(REQUEST, {"kind": "vm", "cpu": 9}, Decimal("0.50"))
    scenario().given(QUEUED).when(changed).then().then_state(lambda state: state.spec == SPEC)


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_deployed_for_nothing(amount: int) -> None:
    request = life.Request("alice", "web-server", "Web server", "TFC/2", amount)
    scenario().when(life.RequestDeployment(request, SPEC, Decimal("0.10"))).then_refused(ValueError)


def test_the_good_way() -> None:
    story = scenario().given(QUEUED).when(life.StartProvisioning()).then(started(2, 1))
    story.when(life.StartProvisioning()).then()
    story.when(RUNNING).then(activated(3))
    story.when(RUNNING).then()
    story.then_state(lambda state: state.status == "active" and state.connection_details == {"mycelium_ip": "400::1"})


def test_the_bad_way() -> None:
    story = scenario().given(QUEUED, started(2, 1)).when(ABSENT).then(failed(3))
    story.when(ABSENT).then()
    story.then_state(lambda state: state.status == "failed" and state.error_message == "no node has the capacity")


def test_a_silence_makes_unknown_once_and_an_answer_ends_it() -> None:
    story = scenario().given(QUEUED, started(2, 1)).when(SILENT).then(became_unknown(3))
    story.when(SILENT).then()
    story.when(life.StartProvisioning()).then(started(4, 2))
    story.then_state(lambda state: state.status == "provisioning" and state.error_message is None)


def test_unknown_ends_directly_either_way() -> None:
    unknown = (QUEUED, started(2, 1), became_unknown(3))
    scenario().given(*unknown).when(RUNNING).then(activated(4))
    scenario().given(*unknown).when(ABSENT).then(failed(4))


def test_what_the_grid_was_never_asked_for_does_not_become_unknown() -> None:
    scenario().given(QUEUED).when(SILENT).then()


@pytest.mark.parametrize("late", [life.StartProvisioning(), SILENT, ABSENT, life.ReportActive("other", {})])
def test_active_is_for_ever(late: Any) -> None:
    scenario().given(QUEUED, started(2, 1), activated(3)).when(late).then_refused(life.AlreadyEnded)


@pytest.mark.parametrize("late", [life.StartProvisioning(), SILENT, RUNNING])
def test_failed_is_for_ever(late: Any) -> None:
    scenario().given(QUEUED, started(2, 1), failed(3)).when(late).then_refused(life.AlreadyEnded)


@pytest.mark.parametrize("command", [life.StartProvisioning(), RUNNING, ABSENT])
def test_nothing_happens_to_what_was_never_requested(command: Any) -> None:
    scenario().when(command).then_refused(life.NotRequested)


COMMANDS = st.lists(
    st.sampled_from([REQUESTING, life.StartProvisioning(), RUNNING, SILENT, ABSENT, life.ReportActive("2", {})]),
    max_size=12,
)


@given(commands=COMMANDS)
def test_any_order_of_commands_keeps_versions_whole_and_ends_once(commands: list[Any]) -> None:
    state = life.evolve(life.Deployment(STREAM), QUEUED)
    recorded: list[events.DeploymentEvent] = [QUEUED]
    for command in commands:
        try:
            decided = life.decide(state, command)
        except life.AlreadyEnded:
            assert state.ended
            continue
        for event in decided:
            state = life.evolve(state, event)
            recorded.append(event)
    ends = [event for event in recorded if isinstance(event, events.DeploymentActivated | events.DeploymentFailed)]
    assert [event.originator_version for event in recorded] == list(range(1, len(recorded) + 1))
    assert len(ends) <= 1
    assert not ends or recorded[-1] is ends[0]
