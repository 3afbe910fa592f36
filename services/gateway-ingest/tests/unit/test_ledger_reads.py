"""What the ledger's answers are read into, and which of them say nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from chassis.errors import OperationalError
from gateway_ingest.adapters.ledger_http import PAGE_ROWS, HttpLedger
from gateway_ingest.application.reconciling_ports import Credit
from gateway_ingest.domain.reconciling import BookedPayment, Window

pytestmark = pytest.mark.asyncio
START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = Window(START, START + timedelta(days=1))
PAYMENT = {
    "gateway": "stripe", "gateway_payment_id": "pi_1", "payment_reference": "REF1", "user_id": None, "asset": "USD/2",
    "received": "25.00", "returned": "5.00", "disputed": "0.00", "credits": "0.00", "credits_taken": "0.00",
}  # fmt: skip


def ledger(answer: Callable[[httpx.Request], httpx.Response]) -> HttpLedger:
    return HttpLedger("http://ledger/", SecretStr("token"), transport=httpx.MockTransport(answer))


def saying(status: int, body: Any) -> HttpLedger:
    return ledger(lambda _request: httpx.Response(status, json=body))


def line(reference: str, hours: float) -> dict[str, Any]:
    return {"position": 1, "reference": reference, "recorded_at": (START + timedelta(hours=hours)).isoformat()}


async def test_a_payment_and_one_that_is_not_there() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=PAYMENT)

    async with ledger(answer) as books:
        assert await books.payment("stripe", "pi_1") == BookedPayment("pi_1", "USD/2", 2500, 500, None, "REF1")
    assert asked[0].url.path == "/v1/payments/stripe/pi_1"
    assert asked[0].headers["authorization"] == "Bearer token"
    async with saying(404, {"code": "payment_unknown"}) as books:
        assert await books.payment("stripe", "pi_1") is None


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (404, {"code": "not_found"}, "answered 404"),
        (401, {}, "SERVICE_TOKEN"),
        (500, {}, "answered 500"),
        (200, [], "no sense"),
        (200, {**PAYMENT, "received": "many"}, "no sense"),
        (200, {"asset": "USD/2"}, "no sense"),
    ],
)
async def test_any_other_answer_says_nothing_about_the_payment(status: int, body: Any, says: str) -> None:
    async with saying(status, body) as books:
        with pytest.raises(OperationalError, match=says):
            await books.payment("stripe", "pi_1")


@pytest.mark.parametrize("error", [httpx.ConnectError("x"), httpx.ReadTimeout("x")])
async def test_a_ledger_that_is_away(error: Exception) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise error

    async with ledger(answer) as books:
        with pytest.raises(OperationalError, match="the ledger"):
            await books.payment("stripe", "pi_1")


async def test_credits_of_the_window_by_pages_that_go_back_in_time() -> None:
    pages = {
        None: ([line("stripe:pi_5:credit", 30), line("stripe:pi_4:credit", 23)], "c1"),
        "c1": ([line("stripe:pi_4:refunded:500", 22), line("stripe:ch_3.x:credit", 0)], "c2"),
        "c2": ([line("stripe:pi_2:credit", -1)], "c3"),
    }
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.url.path, request.url.params["limit"]) == (
            "/v1/accounts/gateway:stripe/postings",
            str(PAGE_ROWS),
        )
        cursor = request.url.params.get("cursor")
        asked.append(cursor)
        rows, following = pages[cursor]
        return httpx.Response(200, json={"postings": rows, "next_cursor": following, "position": 1})

    async with ledger(answer) as books:
        found = [credit async for credit in books.credited("stripe", DAY)]
    assert found == [Credit("pi_4", START + timedelta(hours=23)), Credit("ch_3.x", START)]
    # What is older than the window ends it.
    assert asked == [None, "c1", "c2"]


async def test_an_account_without_postings() -> None:
    async with saying(200, {"postings": [], "next_cursor": None, "position": 0}) as books:
        assert [credit async for credit in books.credited("stripe", DAY)] == []


@pytest.mark.parametrize("body", [{"postings": [{}], "next_cursor": None}, {"next_cursor": None}, {"postings": 1}])
async def test_a_page_that_makes_no_sense(body: Any) -> None:
    async with saying(200, body) as books:
        with pytest.raises(OperationalError, match="no sense"):
            [credit async for credit in books.credited("stripe", DAY)]
