"""``GET /v1/quarantine``: guarded, paged, and silent about content."""

from __future__ import annotations

from typing import Any

import pytest

GUARDED = {"authorization": "Bearer service-token"}


@pytest.mark.asyncio
async def test_only_the_service_token_opens_the_list(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        assert (await gateway.http.get("/v1/quarantine")).status_code == 401
        wrong = {"authorization": "Bearer other"}
        assert (await gateway.http.get("/v1/quarantine", headers=wrong)).status_code == 401
        empty = await gateway.http.get("/v1/quarantine", headers=GUARDED)
        assert (empty.status_code, empty.json()) == (200, {"events": [], "next_cursor": None})


@pytest.mark.asyncio
async def test_what_is_quarantined_is_listed_newest_first_in_pages(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        for number in range(1, 6):
            await gateway.post(gateway.event(number, amount_received=0))
        await gateway.post(gateway.event(6))
        seen: list[str] = []
        cursor = ""
        while cursor is not None:
            page = (await gateway.http.get(f"/v1/quarantine?limit=2{cursor}", headers=GUARDED)).json()
            seen += [event["event_id"] for event in page["events"]]
            cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
        assert seen == ["evt_5", "evt_4", "evt_3", "evt_2", "evt_1"]
        first = (await gateway.http.get("/v1/quarantine?limit=1", headers=GUARDED)).json()["events"][0]
        assert first == {
            "gateway": "stripe",
            "event_id": "evt_5",
            "event_type": "payment_intent.succeeded",
            "reason": "amount_not_positive",
            "received_at": "2026-01-01T00:00:00Z",
        }


@pytest.mark.asyncio
@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=0", "cursor=99999999999999999999"])
async def test_a_bad_page_is_422(open_gateway: Any, query: str) -> None:
    async with open_gateway() as gateway:
        assert (await gateway.http.get(f"/v1/quarantine?{query}", headers=GUARDED)).status_code == 422
