"""Scripted faults: each does what it says, to the calls that it names, as often as it was asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from chassis.clock import ManualClock
from testkit.waiting_for import eventually

SPEC = {"kind": "vm", "cpu": 1, "memory_mb": 2048, "disk_gb": 25}
LATER_S = 5.0


async def script(grid: httpx.AsyncClient, **fault: Any) -> None:
    assert (await grid.post("/faults", json=fault)).status_code == 201


async def calls(grid: httpx.AsyncClient, name: str) -> dict[str, int]:
    counts = (await grid.get(f"/calls/{name}")).json()
    assert isinstance(counts, dict)
    return counts


@pytest.mark.asyncio
async def test_503_does_nothing_and_is_used_up(grid: httpx.AsyncClient) -> None:
    await script(grid, kind="http_503", name_pattern="one", count=2)
    answers = [await grid.put("/deployments/one", json=SPEC) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 202]
    assert answers[0].headers["retry-after"] == "1"
    assert await calls(grid, "one") == {"create": 3}


@pytest.mark.asyncio
async def test_a_fault_hits_only_the_names_and_calls_it_names(grid: httpx.AsyncClient) -> None:
    await script(grid, kind="http_503", name_pattern="bad-*", operation="get", count=9)
    assert (await grid.put("/deployments/bad-1", json=SPEC)).status_code == 202
    assert (await grid.get("/deployments/bad-1")).status_code == 503
    assert (await grid.get("/deployments/good")).status_code == 404
    await grid.delete("/faults")
    assert (await grid.get("/deployments/bad-1")).status_code == 200


@pytest.mark.asyncio
async def test_next_is_any_name_once(grid: httpx.AsyncClient) -> None:
    await script(grid, kind="http_503", next=True, count=5)
    assert (await grid.get("/deployments/a")).status_code == 503
    assert (await grid.get("/deployments/a")).status_code == 404


@pytest.mark.asyncio
async def test_timeout_then_success_works_before_it_is_silent(grid: httpx.AsyncClient) -> None:
    await script(grid, kind="timeout_then_success", operation="create", seconds=200)
    silent = asyncio.create_task(grid.put("/deployments/one", json=SPEC))

    async def exists() -> bool:
        return (await grid.get("/deployments/one")).status_code == 200

    assert await eventually(exists)
    assert not silent.done()
    silent.cancel()
    await asyncio.gather(silent, return_exceptions=True)


@pytest.mark.asyncio
async def test_latency_waits_before_the_work(grid: httpx.AsyncClient) -> None:
    await script(grid, kind="latency_s", operation="create", seconds=200)
    slow = asyncio.create_task(grid.put("/deployments/one", json=SPEC))

    async def counted() -> bool:
        return await calls(grid, "one") == {"create": 1}

    assert await eventually(counted)
    assert (await grid.get("/deployments")).json() == {"deployments": []}
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


@pytest.mark.asyncio
async def test_a_short_delay_ends_in_an_answer(grid: httpx.AsyncClient) -> None:
    await script(grid, kind="latency_s", seconds=0.01)
    assert (await grid.put("/deployments/one", json=SPEC)).status_code == 202


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "has_contract"), [("fail_before", False), ("fail_after", True)])
async def test_provisioning_that_ends_in_an_error(
    grid: httpx.AsyncClient, clock: ManualClock, kind: str, has_contract: bool
) -> None:
    await script(grid, kind=kind, name_pattern="one")
    assert (await grid.put("/deployments/one", json=SPEC)).json()["state"] == "provisioning"
    clock.advance(LATER_S)
    failed = (await grid.get("/deployments/one")).json()

    assert (failed["state"], failed["permanent"]) == ("error", True)
    assert bool(failed["contract_ids"]) is has_contract
    assert failed["grid_deployment_id"] is None


@pytest.mark.asyncio
async def test_a_fault_that_makes_no_sense_is_refused(grid: httpx.AsyncClient) -> None:
    assert (await grid.post("/faults", json={"kind": "fail_after", "operation": "get"})).status_code == 422
    assert (await grid.post("/faults", json={"kind": "meteor"})).status_code == 422
