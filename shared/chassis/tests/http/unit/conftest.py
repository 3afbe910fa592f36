"""A small application with every kind of endpoint, and a client that talks to it without a network."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, SecretStr, field_validator

from chassis.errors import Conflict, NotFound, OperationalError, Unauthorized
from chassis.http import DecimalInput, ExactRouter, create_app, require_service_token
from contracts.amounts import parse_positive_units

Client = Callable[..., Any]


class Charge(BaseModel):
    amount: DecimalInput
    note: str = ""

    @field_validator("amount")
    @classmethod
    def _in_cents(cls, amount: Decimal) -> Decimal:
        parse_positive_units(amount, "TFC/2")
        return amount


class Basket(BaseModel):
    items: list[Charge]
    order: UUID


class Crash(Exception):
    pass


router = ExactRouter(prefix="/v1")


@router.post("/charges", status_code=201)
async def charge(body: Charge) -> dict[str, Decimal]:
    return {"amount": body.amount}


@router.post("/baskets")
async def basket(body: Basket) -> dict[str, int]:
    return {"items": len(body.items)}


@router.get("/from-thread")
def from_thread(limit: int = 50) -> dict[str, Decimal]:
    return {"limit": Decimal(limit), "rate": Decimal("0.10")}


@router.delete("/things/{thing_id}", status_code=204)
async def delete(thing_id: UUID) -> None: ...


async def raw(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


async def fail(kind: str) -> None:
    raise {
        "conflict": Conflict("already_there", "It is there already", extra={"existing": "x1"}),
        "missing": NotFound("no_such_thing", "There is no such thing"),
        "unauthorized": Unauthorized("unauthorized", "Who are you?"),
        "operational": OperationalError("database away", retry_after_s=7),
        "connection": ConnectionRefusedError("postgres://secret"),
        "crash": Crash("secret detail"),
    }[kind]


async def slow() -> None:
    await asyncio.Event().wait()


async def stream(pause_s: float) -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        yield b"one\n"
        later = asyncio.Event()
        asyncio.get_running_loop().call_later(pause_s, later.set)
        await later.wait()
        yield b"two\n"

    return StreamingResponse(lines(), media_type="text/plain")


async def half() -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        yield b"one\n"
        raise Crash("in the middle")

    return StreamingResponse(lines(), media_type="text/plain")


async def guarded() -> dict[str, bool]:
    return {"in": True}


def build(checks: Mapping[str, bool] | None = None, **options: Any) -> FastAPI:
    async def readiness() -> Mapping[str, bool]:
        return checks if checks is not None else {"database": True}

    app = create_app(title="sample", readiness=readiness, metrics_registry=CollectorRegistry(), **options)
    app.include_router(router)
    app.post("/raw")(raw)
    app.get("/raise/{kind}")(fail)
    app.get("/slow")(slow)
    app.get("/stream")(stream)
    app.get("/half")(half)
    app.get("/guarded", dependencies=[Depends(require_service_token(SecretStr("s3cret")))])(guarded)
    return app


@pytest.fixture
def client() -> Client:
    """``async with client(options of build) as http`` – an httpx client of a fresh application."""

    @asynccontextmanager
    async def connect(**options: Any) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(build(**options))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            yield http

    return connect
