"""What readers get over HTTP, and who may ask."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.asyncio
async def test_a_deployment_as_others_see_it(house: Any) -> None:
    await house.request("d-1", "web-server", 1005)
    await house.request("d-2", "castle", 500)
    await house.consume()
    await house.work()
    await house.provisioned()
    await house.work()
    async with house.http() as client:
        shown = (await client.get("/v1/deployments/d-1")).json()
        rejected = (await client.get("/v1/deployments/d-2")).json()

    assert shown.pop("created_at") <= shown.pop("updated_at")
    assert shown.pop("connection_details")["ssh_user"] == "root"
    assert int(shown.pop("grid_deployment_id")) > 1_250_000
    assert shown == {
        "id": "d-1",
        "user_id": "alice",
        "service_id": "web-server",
        "service_name": "Web-Server",
        "asset": "TFC/2",
        "tfc_amount": "10.05",
        "commission_amount": "1.01",
        "grid_payment_amount": "9.04",
        "tft_amount": None,
        "status": "active",
        "error_message": None,
        "version": 3,
    }
    assert (rejected["status"], rejected["commission_amount"]) == ("failed", None)


@pytest.mark.asyncio
async def test_the_queue_in_pages(house: Any) -> None:
    for number in range(3):
        await house.request(f"d-{number}")
    await house.consume()
    await house.fetch("UPDATE grid_jobs SET run_after = now() + interval '1 hour' WHERE deployment_id = 'd-2'")
    async with house.http() as client:
        first = (await client.get("/v1/jobs?limit=2")).json()
        second = (await client.get(f"/v1/jobs?limit=2&after={first['jobs'][-1]['id']}")).json()
        done = (await client.get("/v1/jobs?status=done")).json()

    assert [job["deployment_id"] for job in first["jobs"] + second["jobs"]] == ["d-0", "d-1", "d-2"]
    assert first["open"] == {"due": 2, "later": 1, "leased": 0}
    assert first["jobs"][0]["attempts"] == 0
    assert done["jobs"] == []


@pytest.mark.asyncio
async def test_nothing_without_the_token(house: Any) -> None:
    async with house.http(token="wrong") as client:
        answers = [await client.get(path) for path in ("/v1/deployments/d-1", "/v1/jobs")]
        health = [await client.get(path) for path in ("/healthz", "/readyz")]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert [answer.status_code for answer in health] == [200, 200]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/deployments/none", 404, "unknown_deployment"),
        ("/v1/deployments/a%00b", 422, "string_pattern_mismatch"),
        ("/v1/jobs?limit=0", 422, "greater_than_equal"),
        ("/v1/jobs?status=lost", 422, "literal_error"),
    ],
)
async def test_wrong_questions(house: Any, path: str, status: int, code: str) -> None:
    async with house.http() as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
