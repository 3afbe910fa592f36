"""Request ids, limits, health and the service token."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from chassis import metrics
from chassis.http import require_service_token

TIMEOUT_S = 0.02


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/raise/crash", "/raise/missing"])
async def test_the_callers_request_id_comes_back_whatever_happens(client: Any, path: str) -> None:
    async with client() as http:
        response = await http.get(path, headers={"x-request-id": "abc-1"})
    assert response.headers.get_list("x-request-id") == ["abc-1"]


@pytest.mark.asyncio
@pytest.mark.parametrize("given", [None, "a b", "x" * 65, "a\tb", '"}'])
async def test_a_harmful_or_missing_request_id_is_replaced_by_an_own_one(client: Any, given: str | None) -> None:
    headers = {"x-request-id": given} if given else {}
    async with client() as http:
        first, second = [(await http.get("/healthz", headers=headers)).headers["x-request-id"] for _ in range(2)]
    assert first != given
    assert first != second


@pytest.mark.asyncio
async def test_a_crash_is_logged_with_its_request_and_counted_by_route(client: Any) -> None:
    labels = ("GET", "/raise/{kind}", 500)
    before = metrics.HTTP_REQUESTS.labels(*labels)._value.get()
    with structlog.testing.capture_logs() as logged:
        async with client() as http:
            await http.get("/raise/crash")
    assert [(entry["event"], entry["log_level"]) for entry in logged] == [("request_crashed", "error")]
    assert metrics.HTTP_REQUESTS.labels(*labels)._value.get() == before + 1


@pytest.mark.asyncio
async def test_a_declared_length_above_the_limit_is_refused_unread(client: Any) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"x" * 11)
        yield read[0]

    async with client(body_max_bytes=10) as http:
        response = await http.post("/raw", content=body(), headers={"content-length": "11"})
    assert read == []
    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"
    assert response.headers["connection"] == "close"


@pytest.mark.asyncio
async def test_a_body_is_counted_while_it_streams(client: Any) -> None:
    sent: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        for number in range(1000):
            sent.append(number)
            yield b"x" * 4

    async with client(body_max_bytes=10) as http:
        for path in ("/raw", "/v1/charges"):
            sent.clear()
            response = await http.post(path, content=endless(), headers={"content-type": "application/json"})
            assert response.status_code == 413
            assert response.json()["code"] == "body_too_large"
            assert len(sent) == 3


@pytest.mark.asyncio
async def test_a_body_at_the_limit_passes(client: Any) -> None:
    async with client(body_max_bytes=10) as http:
        assert (await http.post("/raw", content=b"x" * 10)).json() == {"bytes": 10}


@pytest.mark.asyncio
async def test_a_request_that_takes_too_long_is_503(client: Any) -> None:
    async with client(request_timeout_s=TIMEOUT_S) as http:
        response = await http.get("/slow")
    assert response.status_code == 503
    assert response.json()["code"] == "unavailable"
    assert response.headers["retry-after"] == "1"


@pytest.mark.asyncio
async def test_a_stream_that_has_begun_is_not_timed(client: Any) -> None:
    async with client(request_timeout_s=TIMEOUT_S) as http:
        assert (await http.get(f"/stream?pause_s={2 * TIMEOUT_S}")).text == "one\ntwo\n"


@pytest.mark.asyncio
async def test_an_error_in_the_middle_of_a_response_is_not_hidden(client: Any) -> None:
    async with client() as http:
        with pytest.raises(Exception, match="in the middle"):
            await http.get("/half")


@pytest.mark.asyncio
async def test_health_readiness_and_metrics(client: Any) -> None:
    async with client(checks={"database": True, "bus": False}) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        not_ready = await http.get("/readyz")
        assert (not_ready.status_code, not_ready.json()["checks"]) == (503, {"database": True, "bus": False})
        assert (await http.get("/metrics")).headers["content-type"].startswith("text/plain")
        assert (await http.post("/healthz")).status_code == 405
    async with client() as http:
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Bearer ", 401),
        ("Basic s3cret", 401),
        ("s3cret", 401),
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
    ],
)
async def test_the_service_token_opens(client: Any, shown: str | None, status: int) -> None:
    headers = {"authorization": shown} if shown else {}
    async with client() as http:
        assert (await http.get("/guarded", headers=headers)).status_code == status


@pytest.mark.asyncio
async def test_a_token_with_odd_bytes_is_refused_and_not_a_crash(client: Any) -> None:
    async with client() as http:
        response = await http.get("/guarded", headers=[(b"authorization", b"Bearer \xff\xfe")])
    assert response.status_code == 401


def test_an_empty_token_guards_nothing_and_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        require_service_token(SecretStr(""))
