"""Whatever goes wrong with a call is an httpx error; what is a bug stays one."""

from __future__ import annotations

import httpx
import pytest

from chassis.http.calling import HttpClient


def failing(error: Exception) -> HttpClient:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    return HttpClient(transport=httpx.MockTransport(fail))


@pytest.mark.asyncio
async def test_a_connection_that_was_reset_before_it_was_one_is_an_error_of_the_network() -> None:
    async with failing(AttributeError("no getpeername", name="getpeername", obj=None)) as client:
        with pytest.raises(httpx.ConnectError) as failed:
            await client.get("http://ledger/")
    assert failed.value.request.url == "http://ledger/"


@pytest.mark.asyncio
async def test_other_errors_pass() -> None:
    async with failing(AttributeError("no such thing", name="thing", obj=None)) as client:
        with pytest.raises(AttributeError, match="no such thing"):
            await client.get("http://ledger/")
    async with failing(httpx.ReadTimeout("slow")) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("http://ledger/")
