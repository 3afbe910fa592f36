"""A simulated grid in this process, its clock turned by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from chassis.clock import ManualClock
from embedded.grid_simulator.app import create_simulator

PROVISION_S = 5.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "grid.sqlite3"


@pytest_asyncio.fixture
async def grid(storage: Path, clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    app = create_simulator(storage, clock=clock, provision_s=PROVISION_S)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://grid") as client,
    ):
        yield client
