"""What the simulated grid promises of names, states, capacity and time."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import httpx
import pytest

from chassis.clock import ManualClock
from embedded.grid_simulator.app import create_simulator
from embedded.grid_simulator.nodes import NODES

SMALL = {"kind": "vm", "cpu": 1, "memory_mb": 2048, "disk_gb": 25}
PUBLIC = {**SMALL, "public_ip": True}
LATER_S = 5.0


async def put(grid: httpx.AsyncClient, name: str, spec: dict[str, Any] = SMALL) -> httpx.Response:
    return await grid.put(f"/deployments/{name}", json=spec)


async def state(grid: httpx.AsyncClient, name: str) -> dict[str, Any]:
    answer = (await grid.get(f"/deployments/{name}")).json()
    assert isinstance(answer, dict)
    return answer


@pytest.mark.asyncio
async def test_it_becomes_ready_by_its_clock_with_ids_and_addresses(
    grid: httpx.AsyncClient, clock: ManualClock
) -> None:
    created = await put(grid, "one", PUBLIC)
    assert created.status_code == 202
    assert created.json()["state"] == "provisioning"
    assert created.json()["endpoints"] == {}

    clock.advance(LATER_S - 0.1)
    assert (await state(grid, "one"))["state"] == "provisioning"
    clock.advance(0.1)
    ready = await state(grid, "one")

    assert ready["state"] == "ok"
    assert ready["grid_deployment_id"] == str(ready["contract_ids"][0])
    assert IPv6Address(ready["endpoints"]["mycelium_ip"]) in IPv6Network("400::/7")
    assert ready["endpoints"]["public_ip"].count(".") == 3
    assert ready["endpoints"]["ssh_user"] == "root"


@pytest.mark.asyncio
async def test_no_public_address_where_none_was_asked_for(grid: httpx.AsyncClient, clock: ManualClock) -> None:
    await put(grid, "inner")
    clock.advance(LATER_S)
    assert "public_ip" not in (await state(grid, "inner"))["endpoints"]


@pytest.mark.asyncio
async def test_a_name_is_created_once_and_another_spec_is_refused(grid: httpx.AsyncClient) -> None:
    first = await put(grid, "one")
    again = await put(grid, "one")
    other = await put(grid, "one", {**SMALL, "cpu": 2})

    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 409)
    assert again.json()["contract_ids"] == first.json()["contract_ids"]
    assert other.json()["code"] == "other_spec"


@pytest.mark.asyncio
async def test_a_destroyed_name_is_refused_for_ever(grid: httpx.AsyncClient) -> None:
    await put(grid, "one")
    assert (await grid.delete("/deployments/one")).json()["state"] == "deleted"
    assert (await grid.delete("/deployments/one")).status_code == 200
    refused = await put(grid, "one")

    assert refused.status_code == 410
    assert refused.json()["code"] == "name_destroyed"
    assert (await state(grid, "one"))["state"] == "deleted"


@pytest.mark.asyncio
async def test_destroying_an_unused_name_keeps_a_late_create_out(grid: httpx.AsyncClient) -> None:
    assert (await grid.get("/deployments/never")).status_code == 404
    assert (await grid.delete("/deployments/never")).json()["state"] == "deleted"
    assert (await put(grid, "never")).status_code == 410


@pytest.mark.asyncio
async def test_what_no_node_can_take_fails_for_good(grid: httpx.AsyncClient, clock: ManualClock) -> None:
    await put(grid, "huge", {**SMALL, "cpu": 4096})
    clock.advance(LATER_S)
    failed = await state(grid, "huge")

    assert (failed["state"], failed["reason"], failed["permanent"]) == ("error", "no node has the capacity", True)
    assert failed["contract_ids"] == []


@pytest.mark.asyncio
async def test_capacity_is_finite_and_comes_back(grid: httpx.AsyncClient, clock: ManualClock) -> None:
    node = next(iter(NODES.values()))
    whole_node = {"kind": "vm", "cpu": node.cpu, "memory_mb": 1024, "disk_gb": 1}
    for number in range(len(NODES)):
        await put(grid, f"fill-{number}", whole_node)
    await put(grid, "too-many")
    clock.advance(LATER_S)
    assert (await state(grid, "fill-0"))["state"] == "ok"
    assert (await state(grid, "too-many"))["state"] == "error"

    await grid.delete("/deployments/fill-0")
    await put(grid, "fits-again")
    clock.advance(LATER_S)
    assert (await state(grid, "fits-again"))["state"] == "ok"


@pytest.mark.asyncio
async def test_a_new_process_on_the_same_storage_knows_everything(
    grid: httpx.AsyncClient, clock: ManualClock, storage: Path
) -> None:
    await put(grid, "one")
    await put(grid, "gone")
    await grid.delete("/deployments/gone")
    clock.advance(LATER_S)

    reborn = create_simulator(storage, clock=clock, provision_s=LATER_S)
    async with (
        reborn.router.lifespan_context(reborn),
        httpx.AsyncClient(transport=httpx.ASGITransport(reborn), base_url="http://grid") as second,
    ):
        assert (await state(second, "one")) == (await state(grid, "one"))
        assert (await put(second, "gone")).status_code == 410
        listed = (await second.get("/deployments")).json()["deployments"]
    assert [shown["name"] for shown in listed] == ["one"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "wrong",
    [
        {**SMALL, "cpu": 0},
        {**SMALL, "kind": "castle"},
        {**SMALL, "extra": 1},
        {**SMALL, "cpu": "1"},
        {"kind": "vm"},
    ],
)
async def test_a_spec_that_is_none_is_refused(grid: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    assert (await put(grid, "one", wrong)).status_code == 422
    assert (await grid.get("/deployments/one")).status_code == 404
