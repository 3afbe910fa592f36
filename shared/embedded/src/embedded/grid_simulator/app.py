"""The simulated grid over HTTP, and the door through which tests and demos script its faults.

PUT, GET and DELETE ``/deployments/{name}``; ``POST /faults``. A fault decides what becomes of one call before, instead
of or after its work. Listens on the loopback only and asks nobody who they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from chassis.clock import Clock, SystemClock
from chassis.errors import NotFound, OperationalError
from chassis.http import ExactJSONResponse, ExactRouter, create_app
from embedded.grid_simulator.grid import FAILS_AFTER_CONTRACT, FAILS_BEFORE_CONTRACT, SimulatedGrid, View
from embedded.grid_simulator.storage import LIST_MAX, Fault, Storage

PROVISION_S = 0.3
# Longer than any scripted delay, or the limit would answer in the fault's place.
REQUEST_TIMEOUT_S = 300.0
DELAY_MAX_S = 240
_FAILURES = {"fail_before": FAILS_BEFORE_CONTRACT, "fail_after": FAILS_AFTER_CONTRACT}
_NO_FAULT = Fault("none", 0.0)

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]


class Spec(BaseModel):
    """What shall run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["vm"]
    cpu: int = Field(ge=1, le=1_000_000)
    memory_mb: int = Field(ge=1, le=2**40)
    disk_gb: int = Field(ge=1, le=2**40)
    public_ip: bool = False


class FaultScript(BaseModel):
    """What shall go wrong, with the next ``count`` calls that match; ``next`` is short for any name, once.

    ``latency_s`` waits before the work, ``timeout_then_success`` after it, ``http_503`` does none; ``fail_before`` and
    ``fail_after`` let the provisioning that a create starts end in an error, before or after a contract was made.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["latency_s", "timeout_then_success", "http_503", "fail_before", "fail_after"]
    name_pattern: str = Field(default="*", max_length=200)
    next: bool = False
    operation: Literal["create", "get", "destroy", "any"] = "any"
    seconds: Decimal = Field(default=Decimal(30), ge=0, le=DELAY_MAX_S)
    count: int = Field(default=1, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _failures_begin_with_a_create(self) -> FaultScript:
        if self.kind in _FAILURES and self.operation not in ("create", "any"):
            raise ValueError(f"{self.kind} is a fault of create")
        return self


def create_simulator(
    storage_path: FilePath, *, clock: Clock | None = None, provision_s: float = PROVISION_S
) -> FastAPI:
    """The application. Its storage is opened now and closed with the application."""
    storage = Storage(storage_path)
    grid = SimulatedGrid(storage, clock or SystemClock(), provision_s=provision_s)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        storage.close()

    app = create_app(title="Grid simulator", readiness=_ready, request_timeout_s=REQUEST_TIMEOUT_S, lifespan=lifespan)
    app.include_router(_workloads(grid, storage))
    app.include_router(_administration(storage))
    return app


async def _ready() -> Mapping[str, bool]:
    return {}


def _workloads(grid: SimulatedGrid, storage: Storage) -> ExactRouter:
    router = ExactRouter(prefix="/deployments")

    @router.put("/{name}")
    async def create(name: Name, spec: Spec) -> ExactJSONResponse:
        fault = await _before(storage, name, "create")
        view, is_new = grid.create(name, spec.model_dump(), failure=_FAILURES.get(fault.kind))
        await _after(fault)
        return ExactJSONResponse(_shown(view), 202 if is_new else 200)

    @router.get("/{name}")
    async def get(name: Name) -> dict[str, Any]:
        fault = await _before(storage, name, "get")
        view = grid.get(name)
        await _after(fault)
        if view is None:
            raise NotFound("unknown_name", "No workload ever had this name")
        return _shown(view)

    @router.delete("/{name}")
    async def destroy(name: Name) -> dict[str, Any]:
        fault = await _before(storage, name, "destroy")
        view = grid.destroy(name)
        await _after(fault)
        return _shown(view)

    @router.get("")
    async def list_owned(after: str = "", limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = LIST_MAX) -> dict[str, Any]:
        return {"deployments": [_shown(view) for view in grid.existing(after=after, limit=limit)]}

    return router


def _administration(storage: Storage) -> ExactRouter:
    router = ExactRouter()

    @router.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @router.post("/faults", status_code=201)
    async def script(fault: FaultScript) -> dict[str, int]:
        pattern, count = ("*", 1) if fault.next else (fault.name_pattern, fault.count)
        operation = "create" if fault.kind in _FAILURES else fault.operation
        return {"id": storage.add_fault(fault.kind, pattern, operation, float(fault.seconds), count)}

    @router.delete("/faults", status_code=204)
    async def clear() -> None:
        storage.clear_faults()

    @router.get("/calls/{name}")
    async def calls(name: Name) -> dict[str, int]:
        return storage.calls(name)

    return router


async def _before(storage: Storage, name: str, operation: str) -> Fault:
    """Count the call, find its fault, and suffer what comes before the work."""
    storage.count_call(name, operation)
    fault = storage.take_fault(name, operation) or _NO_FAULT
    if fault.kind == "http_503":
        raise OperationalError("a scripted fault")
    if fault.kind == "latency_s":
        await asyncio.sleep(fault.seconds)
    return fault


async def _after(fault: Fault) -> None:
    if fault.kind == "timeout_then_success":
        await asyncio.sleep(fault.seconds)


def _shown(view: View) -> dict[str, Any]:
    return {
        "name": view.name,
        "state": view.state,
        "reason": view.reason,
        "permanent": view.permanent,
        "grid_deployment_id": view.grid_deployment_id,
        "endpoints": dict(view.endpoints),
        "contract_ids": list(view.contract_ids),
    }
