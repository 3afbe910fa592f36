"""From a request on the bus to its end on the grid, and what is told of it on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chassis.runtime import StopSignal
from contracts.messages import DeploymentRequested
from deployments.application.worker import WorkerLimits
from testkit.waiting_for import eventually


@pytest.mark.asyncio
async def test_a_deployment_that_works(house: Any) -> None:
    await house.request("d-1", "web-server", 1005)
    await house.consume()
    assert await house.status("d-1") == "queued"
    await house.work()
    assert await house.status("d-1") == "provisioning"
    await house.provisioned()
    await house.work()

    row = await house.row("d-1")
    details = json.loads(row["connection_details"])
    told = await house.messages()
    assert (row["status"], row["version"], row["error_message"]) == ("active", 3, None)
    assert (row["commission"], row["grid_payment"]) == (101, 904)
    assert details.keys() == {"mycelium_ip", "public_ip", "private_ip", "ssh_user"}
    assert [name for name, _ in told] == ["DeploymentQueued", "DeploymentProvisioning", "DeploymentActive"]
    assert told[0][1]["commission"] == {"asset": "TFC/2", "amount": "1.01"}
    assert told[0][1]["grid_payment"] == {"asset": "TFC/2", "amount": "9.04"}
    assert told[2][1]["grid_deployment_id"] == row["grid_deployment_id"]
    assert await house.calls("d-1") == {"create": 1, "get": 2}
    assert await house.fetchval("SELECT status FROM grid_jobs") == "done"


@pytest.mark.asyncio
async def test_a_deployment_that_fails_is_gone_from_the_grid_before_it_is_told(house: Any) -> None:
    await house.request("d-1", "demo-fails", 1000)
    await house.consume()
    await house.work()
    await house.provisioned()
    await house.work()

    row = await house.row("d-1")
    told = await house.messages()
    assert (row["status"], row["error_message"]) == ("failed", "no node has the capacity")
    assert [name for name, _ in told] == ["DeploymentQueued", "DeploymentProvisioning", "DeploymentFailed"]
    assert told[2][1]["error_message"] == "no node has the capacity"
    assert await house.on_grid("d-1") == "deleted"


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["fail_before", "fail_after"])
async def test_a_provisioning_that_fails_leaves_nothing_behind(house: Any, kind: str) -> None:
    await house.script(kind=kind, name_pattern="d-1")
    await house.request("d-1")
    await house.consume()
    await house.work()
    await house.provisioned()
    await house.work()
    assert await house.status("d-1") == "failed"
    assert await house.on_grid("d-1") == "deleted"
    assert (await house.grid.get("/deployments")).json() == {"deployments": []}


@pytest.mark.asyncio
async def test_a_service_that_is_not_sold_fails_at_once_and_asks_no_grid(house: Any) -> None:
    await house.request("d-1", "castle")
    await house.consume()
    told = await house.messages()
    assert await house.status("d-1") == "failed"
    assert [name for name, _ in told] == ["DeploymentFailed"]
    assert told[0][1]["error_message"] == "this service is not in the catalogue"
    assert await house.fetch("SELECT * FROM grid_jobs") == []
    assert await house.calls("d-1") == {}


@pytest.mark.asyncio
async def test_the_same_request_again_changes_nothing(house: Any) -> None:
    message_id = "0190b6a0-0000-7000-8000-000000000001"
    for _ in range(3):
        await house.request("d-1", message_id=message_id)
    await house.request("d-1")
    await house.consume()
    await house.work()
    before = await house.everything()
    await house.request("d-1")
    await house.request("d-1", message_id=message_id)
    await house.consume()

    assert await house.everything() == before
    assert [len(rows) for rows in before] == [2, 1, 1]
    assert await house.fetch("SELECT * FROM dead_letters") == []


@pytest.mark.asyncio
async def test_a_bad_message_is_parked_and_the_next_ones_go_on(house: Any) -> None:
    await house.request("d-1", amount=500)
    await house.request("d-1", amount=900)
    await house.publish(b'{"deployment_id": 7}', DeploymentRequested)
    await house.publish(b"no json", DeploymentRequested)
    await house.request("d/../2")
    await house.request("d-3", amount=0)
    await house.request("d-4", "nul\x00nul")
    await house.request("d-5")
    await house.consume()

    parked = await house.fetch("SELECT reason FROM dead_letters ORDER BY id")
    assert [row["reason"] for row in parked] == [
        "contradicts-request",
        "bad-payload",
        "bad-payload",
        "bad-deployment-id",
        "bad-amount",
        "data-refused",
    ]
    assert await house.dead_letter_reasons() == [row["reason"] for row in parked]
    assert [await house.status(name) for name in ("d-1", "d-3", "d-4", "d-5")] == ["queued", None, None, "queued"]
    assert (await house.row("d-1"))["amount"] == 500


@pytest.mark.asyncio
async def test_silence_is_unknown_then_the_truth(house: Any) -> None:
    await house.request("d-1", "demo-fails")
    await house.consume()
    await house.work()
    await house.script(kind="http_503", count=4)
    await house.provisioned()
    await house.work(4)
    job = (await house.fetch("SELECT * FROM grid_jobs"))[0]
    assert await house.status("d-1") == "unknown"
    assert (job["attempts"], job["last_error"], job["status"]) == (4, "the grid answered 503", "open")

    await house.work()
    told = await house.messages()
    assert [name for name, _ in told][2:] == ["DeploymentUnknown", "DeploymentFailed"]
    assert told[2][1]["error_message"] == "the grid answered 503"


@pytest.mark.asyncio
async def test_what_waits_for_a_grid_that_is_away_stays_queued(house: Any) -> None:
    await house.script(kind="http_503", count=5)
    await house.request("d-1")
    await house.consume()
    await house.work(5)
    assert await house.status("d-1") == "queued"
    await house.work()
    assert await house.status("d-1") == "provisioning"


@pytest.mark.asyncio
async def test_after_the_deadline_it_is_destroyed(house: Any) -> None:
    await house.request("late")
    await house.request("ready")
    await house.consume()
    await house.work()
    await house.fetch("UPDATE grid_jobs SET deadline_at = now() WHERE deployment_id = 'late'")
    await house.work()
    await house.provisioned()
    await house.fetch("UPDATE grid_jobs SET deadline_at = now() WHERE deployment_id = 'ready'")
    await house.work()

    assert (await house.row("late"))["error_message"] == "it was not ready in time"
    assert await house.on_grid("late") == "deleted"
    assert await house.status("ready") == "active"


@pytest.mark.asyncio
async def test_many_at_once_with_everything_running(house: Any) -> None:
    names = [f"d-{number}" for number in range(25)]
    await house.script(kind="http_503", count=20)
    worker = house.worker(limits=WorkerLimits(concurrency=4, poll_s=0.01))

    async def clockwork(stop: StopSignal) -> None:
        while not await stop.wait_for(0.05):
            house.clock.advance(1)

    async with house.running(worker.run, clockwork):
        for number, name in enumerate(names):
            await house.request(name, "demo-fails" if number % 5 == 0 else "small-vm")
        await house.consume()
        await eventually(lambda: all_ended(house, len(names)), timeout_s=30)

    told = await house.messages()
    ends = {
        content["deployment_id"]: name for name, content in told if name in ("DeploymentActive", "DeploymentFailed")
    }
    counts = [name for name, _ in told]
    assert ends == {name: "DeploymentFailed" if n % 5 == 0 else "DeploymentActive" for n, name in enumerate(names)}
    assert counts.count("DeploymentQueued") == len(names)
    assert counts.count("DeploymentActive") + counts.count("DeploymentFailed") == len(names)


async def all_ended(house: Any, count: int) -> bool:
    return bool(await house.fetchval("SELECT count(*) FROM deployments WHERE status IN ('active', 'failed')") == count)
