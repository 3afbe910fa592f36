"""A small ledger of its own for tests: the two reads that reconciling asks, over what a test says is booked.

And a way to serve applications on the loopback. Never used by the product.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Query
from pydantic import SecretStr

from chassis.errors import NotFound
from chassis.http import ExactRouter, create_app, require_service_token, serve_http
from chassis.runtime import StopSignal
from contracts.amounts import format_units
from testkit.waiting_for import eventually

from .conftest import TOKEN


@dataclass
class StandInLedger:
    """``book`` puts a payment on the books; ``payments`` may be changed in place."""

    payments: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    postings: list[dict[str, Any]] = field(default_factory=list)

    def book(
        self,
        payment_id: str,
        at: datetime,
        units: int = 2500,
        *,
        gateway: str = "stripe",
        asset: str = "USD/2",
        returned: int = 0,
        user_id: str | None = "alice",
        reference: str | None = None,
    ) -> None:
        """Postings are kept newest first, as they are read."""
        self.payments[gateway, payment_id] = {
            "gateway": gateway,
            "gateway_payment_id": payment_id,
            "payment_reference": reference,
            "user_id": user_id,
            "asset": asset,
            "received": format_units(units, asset),
            "returned": format_units(returned, asset),
        }
        line = {"reference": f"{gateway}:{payment_id}:credit", "recorded_at": at + timedelta(seconds=1)}
        self.postings = sorted([*self.postings, line], key=lambda row: row["recorded_at"], reverse=True)

    def application(self) -> FastAPI:
        """As the real one answers."""
        router = ExactRouter(prefix="/v1", dependencies=[Depends(require_service_token(SecretStr(TOKEN)))])

        @router.get("/payments/{gateway}/{payment_id}")
        async def payment(gateway: str, payment_id: str) -> dict[str, Any]:
            found = self.payments.get((gateway, payment_id))
            if found is None:
                raise NotFound("payment_unknown", "No payment of that gateway is booked under that id")
            return found

        @router.get("/accounts/{path}/postings")
        async def postings(path: str, limit: Annotated[int, Query(le=200)], cursor: int = 0) -> dict[str, Any]:
            prefix = path.removeprefix("gateway:") + ":"
            rows = [row for row in self.postings if row["reference"].startswith(prefix)]
            page = rows[cursor : cursor + limit]
            following = str(cursor + limit) if len(page) == limit else None
            return {"postings": page, "next_cursor": following, "position": len(rows)}

        app = create_app(title="Books", readiness=_ready)
        app.include_router(router)
        return app


async def _ready() -> dict[str, bool]:
    return {}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """Serve ``app`` on the loopback; its address."""
    stop, port = StopSignal(), free_port()
    task = asyncio.create_task(serve_http(app, "127.0.0.1", port, stop, drain_s=1))
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:

            async def answers() -> bool:
                try:
                    return (await client.get("/healthz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answers)
        yield url
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)
