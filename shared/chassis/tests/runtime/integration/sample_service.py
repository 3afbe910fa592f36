"""A program that the tests beside it start as a process: ``sample_service.py <port> <mode>``."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI

from chassis.http import create_app, serve_http
from chassis.logging import configure_logging
from chassis.runtime import StopSignal, main, run
from chassis.settings import SettingsError

port, mode = int(sys.argv[1]), sys.argv[2]
state = {"begun": False}
stopping = asyncio.Event()


async def ready() -> Mapping[str, bool]:
    return {}


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    if mode == "bad-lifespan":
        raise RuntimeError("no database at start")
    yield


app = create_app(title="sample", readiness=ready, lifespan=lifespan)


@app.get("/until-stopped")
async def until_stopped() -> dict[str, bool]:
    state["begun"] = True
    await stopping.wait()
    return {"finished": True}


@app.get("/begun")
async def begun() -> dict[str, bool]:
    return state


async def worker(stop: StopSignal) -> None:
    await stop.wait()
    stopping.set()
    print("worker drained", flush=True)


async def unlucky(_stop: StopSignal) -> None:
    if mode == "crash":
        raise ValueError("boom")
    await _stop.wait()


async def service() -> int:
    if mode == "unset":
        raise SettingsError("sample: DATABASE_URL is not set")
    return await run(
        "sample",
        {"http": lambda stop: serve_http(app, "127.0.0.1", port, stop), "worker": worker, "unlucky": unlucky},
        drain_s=10,
    )


configure_logging("sample", "json")
raise SystemExit(main(service()))
