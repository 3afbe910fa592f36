"""The HTTP adapter of the grid port, against the simulator's application and against answers that make no sense."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from chassis.clock import ManualClock
from deployments.adapters.grid_http import HttpGrid
from deployments.application.ports import GridRefused, GridState, GridUnavailable, NameDestroyed
from embedded.grid_simulator.app import create_simulator

SPEC = {"kind": "vm", "cpu": 1, "memory_mb": 2048, "disk_gb": 25}
URL = "http://grid"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def grid(tmp_path: Path, clock: ManualClock) -> AsyncIterator[HttpGrid]:
    app = create_simulator(tmp_path / "grid.sqlite3", clock=clock, provision_s=1)
    async with app.router.lifespan_context(app), HttpGrid(URL, transport=httpx.ASGITransport(app)) as adapter:
        yield adapter


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> HttpGrid:
    return HttpGrid(URL, transport=httpx.MockTransport(answer))


@pytest.mark.asyncio
async def test_a_life_on_the_grid(grid: HttpGrid, clock: ManualClock) -> None:
    assert await grid.get("d-1") is None
    assert (await grid.create("d-1", SPEC)).state == "provisioning"
    clock.advance(1)
    ready = await grid.get("d-1")
    assert ready is not None
    assert ready.state == "ok"
    assert ready.grid_deployment_id
    assert ready.endpoints is not None
    assert ready.endpoints["ssh_user"] == "root"
    assert await grid.create("d-1", SPEC) == ready
    assert (await grid.destroy("d-1")).state == "deleted"
    with pytest.raises(NameDestroyed):
        await grid.create("d-1", SPEC)


@pytest.mark.asyncio
async def test_what_no_node_can_take_is_a_permanent_error(grid: HttpGrid, clock: ManualClock) -> None:
    await grid.create("d-1", {**SPEC, "cpu": 4096})
    clock.advance(1)
    assert await grid.get("d-1") == GridState("error", "no node has the capacity", True, None, {})


@pytest.mark.asyncio
async def test_refusals_carry_the_grids_reason(grid: HttpGrid) -> None:
    await grid.create("d-1", SPEC)
    with pytest.raises(GridRefused, match="exists with another spec"):
        await grid.create("d-1", {**SPEC, "cpu": 2})
    with pytest.raises(GridRefused, match="not valid"):
        await grid.create("d-2", {"kind": "castle"})


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 302])
async def test_every_other_status_says_nothing_about_the_workload(status: int) -> None:
    async with answering(lambda _request: httpx.Response(status)) as grid:
        with pytest.raises(GridUnavailable, match=str(status)):
            await grid.create("d-1", SPEC)
        with pytest.raises(GridUnavailable, match=str(status)):
            await grid.destroy("d-1")


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"state": "dancing"}', b'{"state": "ok", "endpoints": 7}'])
async def test_an_answer_without_sense_is_none(body: bytes) -> None:
    async with answering(lambda _request: httpx.Response(200, content=body)) as grid:
        with pytest.raises(GridUnavailable, match="makes no sense"):
            await grid.get("d-1")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (httpx.ReadTimeout("late"), "did not answer in time"),
        (httpx.ConnectError("refused"), "cannot be reached: ConnectError"),
        (httpx.RemoteProtocolError("cut"), "cannot be reached: RemoteProtocolError"),
    ],
)
async def test_a_lost_connection_is_a_silence(failure: Exception, text: str) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise failure

    async with answering(fail) as grid:
        with pytest.raises(GridUnavailable, match=text):
            await grid.get("d-1")


@pytest.mark.asyncio
async def test_names_and_reasons_cannot_break_out() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return httpx.Response(200, json={"state": "error", "reason": "nul \x00 " + "x" * 1000})

    async with answering(answer) as grid:
        state = await grid.get("../faults?x=1")
    assert asked == ["/deployments/..%2Ffaults%3Fx%3D1"]
    assert state is not None
    assert state.reason is not None
    assert "\x00" not in state.reason
    assert len(state.reason) == 500
