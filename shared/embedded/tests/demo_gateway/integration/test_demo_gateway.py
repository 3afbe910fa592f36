"""The demo gateway against somebody who hears its webhooks: pages, signatures, and trying again."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request
from starlette.responses import Response

from chassis.clock import ManualClock
from chassis.http import serve_http
from chassis.ids import SequenceIds
from chassis.runtime import StopSignal
from embedded.demo_gateway.app import create_demo_gateway
from embedded.demo_gateway.delivery import Delivery
from embedded.demo_gateway.signing import address_signature
from testkit.waiting_for import eventually

SECRET = b"demo-secret"
PAYMENT = {"payment_id": "p1", "reference": "GL123", "user_id": "alice", "amount": "2500", "currency": "usd"}
ADDRESS = f"/pay?{urlencode(PAYMENT | {'signature': address_signature(PAYMENT, SECRET)})}"
PAGE = {"accept": "text/html"}
LATER_S = 0.01
NOW_S = int(ManualClock().now().timestamp())


class Ingest:
    """Hears webhooks and answers with ``statuses``, in turn, then 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.heard: list[tuple[str, bytes]] = []
        self.app = FastAPI()

        @self.app.post("/api/webhooks/demo")
        async def hear(request: Request) -> Response:
            self.heard.append((request.headers["demo-signature"], await request.body()))
            return Response(status_code=self.statuses.pop(0) if self.statuses else 200)

    @property
    def events(self) -> list[Any]:
        return [json.loads(body) for _, body in self.heard]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    stop, port = StopSignal(), free_port()
    task = asyncio.create_task(serve_http(app, "127.0.0.1", port, stop, drain_s=1))

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        await eventually(listens)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


@pytest_asyncio.fixture
async def ingest() -> Ingest:
    return Ingest()


@pytest_asyncio.fixture
async def gateway(ingest: Ingest) -> AsyncIterator[httpx.AsyncClient]:
    clock = ManualClock()
    async with served(ingest.app) as url:
        delivery = Delivery(url, SECRET, clock, attempts=3, pause_s=0.01)
        app = create_demo_gateway(SECRET, delivery, clock, SequenceIds(), later_s=LATER_S)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://demo") as client:
            yield client
        await delivery.close()


@pytest.mark.asyncio
async def test_a_person_confirms_on_the_page(gateway: httpx.AsyncClient, ingest: Ingest) -> None:
    page = await gateway.get(ADDRESS, headers=PAGE)
    assert page.status_code == 200
    assert "25.00 USD" in page.text
    assert "GL123" in page.text
    found = re.search(r'action="([^"]+)"', page.text)
    assert found is not None
    done = await gateway.post(unescape(found[1]), data={"outcome": "confirmed"}, headers=PAGE)
    assert (done.status_code, "Payment confirmed" in done.text) == (200, True)
    (event,) = ingest.events
    assert re.fullmatch(r"demo_evt_[0-9a-f]{32}", event.pop("id"))
    assert event == {
        "type": "payment.confirmed",
        "created": NOW_S,
        "data": {"payment_id": "p1", "reference": "GL123", "user_id": "alice", "amount": 2500, "currency": "usd"},
    }


@pytest.mark.asyncio
async def test_the_webhook_is_signed_over_its_time_and_body(gateway: httpx.AsyncClient, ingest: Ingest) -> None:
    assert (await gateway.post(ADDRESS, data={"outcome": "confirmed"})).status_code == 200
    ((signature, body),) = ingest.heard
    expected = hmac.digest(SECRET, b"%d." % NOW_S + body, "sha256").hex()
    assert signature == f"t={NOW_S},v1={expected}"


@pytest.mark.asyncio
async def test_a_person_lets_it_fail(gateway: httpx.AsyncClient, ingest: Ingest) -> None:
    answer = await gateway.post(ADDRESS + "&outcome=failed")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "failed")
    (event,) = ingest.events
    assert (event["type"], bool(event["data"]["reason"])) == ("payment.failed", True)
    assert answer.json()["event_id"] == event["id"]


@pytest.mark.asyncio
async def test_it_tries_again_with_the_same_event(gateway: httpx.AsyncClient, ingest: Ingest) -> None:
    ingest.statuses = [503, 500]
    assert (await gateway.post(ADDRESS, data={"outcome": "confirmed"})).status_code == 200
    assert len(ingest.heard) == 3
    assert len({body for _, body in ingest.heard}) == 1


@pytest.mark.asyncio
async def test_it_does_not_try_for_ever(gateway: httpx.AsyncClient, ingest: Ingest) -> None:
    ingest.statuses = [503] * 6
    page = await gateway.post(ADDRESS, data={"outcome": "confirmed"}, headers=PAGE)
    assert (page.status_code, "Not delivered" in page.text) == (502, True)
    assert (await gateway.post(ADDRESS, data={"outcome": "confirmed"})).status_code == 503
    assert len(ingest.heard) == 6


@pytest.mark.asyncio
async def test_nobody_invents_payments(gateway: httpx.AsyncClient, ingest: Ingest) -> None:
    forged = ADDRESS.replace("amount=2500", "amount=250000")
    assert (await gateway.get(forged, headers=PAGE)).status_code == 403
    assert (await gateway.post(forged, data={"outcome": "confirmed"}, headers=PAGE)).status_code == 403
    refused = await gateway.post(ADDRESS.split("?")[0], data=PAYMENT | {"outcome": "confirmed"})
    assert (refused.status_code, refused.json()["code"]) == (403, "bad_signature")
    smuggled = await gateway.post(ADDRESS, data={"amount": "9900000", "outcome": "confirmed"})
    assert smuggled.status_code == 200
    assert [event["data"]["amount"] for event in ingest.events] == [2500]


@pytest.mark.asyncio
async def test_less_may_be_paid(gateway: httpx.AsyncClient, ingest: Ingest) -> None:
    assert (await gateway.post(ADDRESS, data={"outcome": "less"})).status_code == 200
    (event,) = ingest.events
    assert (event["type"], event["data"]["amount"]) == ("payment.confirmed", 2000)


@pytest.mark.asyncio
async def test_it_may_be_paid_later(gateway: httpx.AsyncClient, ingest: Ingest) -> None:
    ingest.statuses = [503]
    page = await gateway.post(ADDRESS, data={"outcome": "later"}, headers=PAGE)
    assert (page.status_code, "on its way" in page.text) == (200, True)
    await eventually(lambda: len(ingest.heard) == 2)
    assert {event["data"]["amount"] for event in ingest.events} == {2500}


@pytest.mark.asyncio
async def test_an_outcome_is_needed(gateway: httpx.AsyncClient, ingest: Ingest) -> None:
    for data in ({}, {"outcome": "maybe"}):
        answer = await gateway.post(ADDRESS, data=data)
        assert (answer.status_code, answer.json()["field"]) == (422, "outcome")
    assert ingest.heard == []


@pytest.mark.asyncio
async def test_what_stands_in_the_address_cannot_script_the_page(gateway: httpx.AsyncClient) -> None:
    payment = PAYMENT | {"user_id": '"><script>alert(1)</script>'}
    address = f"/pay?{urlencode(payment | {'signature': address_signature(payment, SECRET)})}"
    page = await gateway.get(address, headers=PAGE)
    assert (page.status_code, "<script" in page.text) == (200, False)
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def ended(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "embedded.demo_gateway", *arguments]
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.asyncio
async def test_the_process_serves_and_stops(ingest: Ingest) -> None:
    port = free_port()
    async with served(ingest.app) as url:
        environment = {"PATH": os.environ["PATH"], "DEMO_WEBHOOK_SECRET": SECRET.decode(), "GATEWAY_INGEST_URL": url}
        command = [sys.executable, "-m", "embedded.demo_gateway"]
        process = await asyncio.create_subprocess_exec(
            *command, env=environment | {"DEMO_GATEWAY_PORT": str(port)}, stdout=subprocess.DEVNULL
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

                async def ready() -> bool:
                    assert process.returncode is None, "it ended"
                    try:
                        return (await client.get("/readyz")).status_code == 200
                    except httpx.TransportError:
                        return False

                await eventually(ready, 30)
                answer = await client.post(ADDRESS, data={"outcome": "confirmed"})
                assert (answer.status_code, len(ingest.heard)) == (200, 1)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("missing", "arguments", "says"),
    [
        ("DEMO_WEBHOOK_SECRET", (), "DEMO_WEBHOOK_SECRET is not set"),
        ("GATEWAY_INGEST_URL", (), "GATEWAY_INGEST_URL is not set"),
        ("", ("--host", "0.0.0.0"), "DEMO_PAYMENT_ALLOW_PUBLIC"),  # noqa: S104
    ],
)
async def test_what_is_wrong_is_one_line(missing: str, arguments: tuple[str, ...], says: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "DEMO_WEBHOOK_SECRET": "s",
        "GATEWAY_INGEST_URL": "http://127.0.0.1:9",
    }
    environment.pop(missing, None)
    answer = await ended(environment, *arguments)
    (line,) = answer.stderr.strip().splitlines()
    assert (answer.returncode, says in line) == (1, True)
