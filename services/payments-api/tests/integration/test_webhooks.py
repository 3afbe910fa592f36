"""Webhook addresses on this port: passed on byte for byte, with their headers, and the answer back."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI, Request
from starlette.responses import Response

from .conftest import OpenShop, Shop, served

BODY = b'{"id": "evt_1",  "amount":2500}\r\n\xff'


class Ingest:
    """What stands in for gateway-ingest: keeps what it heard, answers what it is told to."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes, list[tuple[bytes, bytes]]]] = []
        self.answer = Response(b'{"success":true,"received":true}', 200, media_type="application/json")
        self.app = FastAPI()

        @self.app.post("/{path:path}")
        async def hear(request: Request) -> Response:
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            self.heard.append((target, await request.body(), request.headers.raw))
            return self.answer

        @self.app.get("/healthz")
        async def healthz() -> dict[str, Any]:
            return {}


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()


@pytest_asyncio.fixture
async def shop_before(ingest: Ingest, open_shop: OpenShop) -> AsyncIterator[Shop]:
    async with served(ingest.app) as url, open_shop(gateway_ingest_url=url) as shop:
        yield shop


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path",
    ["/api/webhooks/stripe", "/api/webhooks/demo", "/api/credits/webhook", "/stripe/webhook", "/api/webhooks/x?a=%20b"],
)
async def test_bytes_and_headers_arrive_as_they_came(shop_before: Shop, ingest: Ingest, path: str) -> None:
    headers = [
        (b"Stripe-Signature", b"t=1,v1=ab"),
        (b"Content-Type", b"text/weird"),
        (b"X-Twice", b"1"),
        (b"X-Twice", b"2"),
    ]
    answer = await shop_before.http.post(path, content=BODY, headers=headers)
    assert (answer.status_code, answer.content) == (200, b'{"success":true,"received":true}')
    ((target, body, heard),) = ingest.heard
    assert (target, body) == (path, BODY)
    assert [(name, value) for name, value in heard if name == b"x-twice"] == [(b"x-twice", b"1"), (b"x-twice", b"2")]
    assert (b"stripe-signature", b"t=1,v1=ab") in heard
    assert (b"content-type", b"text/weird") in heard


@pytest.mark.asyncio
async def test_headers_of_the_connection_stay_behind(shop_before: Shop, ingest: Ingest) -> None:
    headers = {"connection": "close, x-hop", "x-hop": "1", "x-kept": "1", "te": "trailers"}
    await shop_before.http.post("/stripe/webhook", content=b"{}", headers=headers)
    names = [name for name, _ in ingest.heard[0][2]]
    assert b"x-kept" in names
    assert not {b"x-hop", b"te"} & set(names)
    assert names.count(b"host") == names.count(b"content-length") == 1


@pytest.mark.asyncio
async def test_the_answer_comes_back_as_it_is(shop_before: Shop, ingest: Ingest) -> None:
    packed = gzip.compress(b"no such signature")
    ingest.answer = Response(packed, 400, {"content-encoding": "gzip", "x-reason": "signature"}, "text/plain")
    answer = await shop_before.http.post("/stripe/webhook", content=BODY)
    assert (answer.status_code, answer.text) == (400, "no such signature")
    assert answer.headers["x-reason"] == "signature"
    assert answer.headers.get_list("x-request-id") == [answer.headers["x-request-id"]]


@pytest.mark.asyncio
async def test_256_kib_pass_and_no_more(shop_before: Shop, ingest: Ingest) -> None:
    limit = 256 * 1024
    assert (await shop_before.http.post("/stripe/webhook", content=b"x" * limit)).status_code == 200
    refused = await shop_before.http.post("/stripe/webhook", content=b"x" * (limit + 1))
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert [len(body) for _, body, _ in ingest.heard] == [limit]


@pytest.mark.asyncio
async def test_while_it_is_away_the_gateway_is_asked_to_try_again(shop: Shop) -> None:
    answer = await shop.http.post("/api/webhooks/stripe", content=BODY)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"


@pytest.mark.asyncio
async def test_only_posts_are_passed_on(shop_before: Shop, ingest: Ingest) -> None:
    assert (await shop_before.http.get("/stripe/webhook")).status_code == 405
    assert (await shop_before.http.post("/api/webhooks/a/b")).status_code == 404
    assert ingest.heard == []
