"""Live events: any replica serves any person, and nobody misses anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import httpx
import pytest

from chassis.postgres import open_pool
from embedded.provisioning import DatabaseAccess
from payments_api.adapters import live_events
from payments_api.projections.live_feed import LISTENERS_PER_PERSON_MAX
from testkit.waiting_for import eventually

from .conftest import OpenShop, Shop, running, served


class Frame(NamedTuple):
    id: int | None
    event: str | None
    data: Any


class Stream:
    """An open connection, read frame by frame."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self._lines = response.aiter_lines()
        self.comments = 0
        self.last_id = 0

    async def next(self) -> Frame | None:
        """The next frame; None at the end."""
        async with asyncio.timeout(10):
            return await self._next()

    async def _next(self) -> Frame | None:
        fields: dict[str, str] = {}
        async for line in self._lines:
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                return self._frame(fields)
        return None

    def _frame(self, fields: dict[str, str]) -> Frame:
        self.last_id = int(fields.get("id", self.last_id))
        data = json.loads(fields["data"], parse_float=Decimal) if "data" in fields else None
        return Frame(int(fields["id"]) if "id" in fields else None, fields.get("event"), data)


@asynccontextmanager
async def listening(url: str, headers: dict[str, str], last_event_id: int | str | None = None) -> AsyncIterator[Stream]:
    seen = {} if last_event_id is None else {"last-event-id": str(last_event_id)}
    async with (
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client,
        client.stream("GET", "/api/events", headers=headers | seen) as response,
    ):
        stream = Stream(response)
        if stream.status == 200:
            first = await stream.next()
            assert first == Frame(stream.last_id, None, None), "it begins with where it stands"
        yield stream


@asynccontextmanager
async def open_to_people(shop: Shop) -> AsyncIterator[str]:
    async with running(shop.parts.feed.run), served(shop.app) as url:
        yield url


async def happen(shop: Shop, number: int, user_id: str = "alice") -> None:
    async with shop.pool.acquire() as conn, conn.transaction():
        await live_events.append(conn, user_id, "balance", {"balance": Decimal("25.00"), "wallet_version": number})


async def versions(stream: Stream, count: int) -> list[int]:
    frames = [await stream.next() for _ in range(count)]
    return [frame.data["wallet_version"] for frame in frames if frame is not None]


@pytest.mark.asyncio
async def test_what_happens_on_one_replica_is_heard_on_the_other(open_shop: OpenShop) -> None:
    async with open_shop() as here, open_shop() as there, open_to_people(there) as url:
        headers = await here.sign_in("alice")
        async with listening(url, headers) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert stream.headers["cache-control"] == "no-store"
            await happen(here, 1)
            frame = await stream.next()
            assert frame is not None
            assert (frame.event, frame.data) == ("balance", {"balance": Decimal("25.00"), "wallet_version": 1})
            assert isinstance(frame.id, int)


@pytest.mark.asyncio
async def test_whoever_comes_back_misses_nothing_on_any_replica(open_shop: OpenShop) -> None:
    async with open_shop() as one, open_shop() as other:
        headers = await one.sign_in("alice")
        async with open_to_people(one) as first_url, open_to_people(other) as second_url:
            async with listening(first_url, headers) as stream:
                await happen(one, 1)
                assert await versions(stream, 1) == [1]
                seen = stream.last_id
            for number in (2, 3):
                await happen(one, number)
            async with listening(second_url, headers, seen) as stream:
                await happen(one, 4)
                assert await versions(stream, 3) == [2, 3, 4]


@pytest.mark.asyncio
async def test_a_connection_that_breaks_at_once_loses_nothing(open_shop: OpenShop) -> None:
    async with open_shop() as shop, open_to_people(shop) as url:
        headers = await shop.sign_in("alice")
        await happen(shop, 1)
        async with listening(url, headers) as stream:
            start = stream.last_id
        await happen(shop, 2)
        async with listening(url, headers, start) as stream:
            assert await versions(stream, 1) == [2]


@pytest.mark.asyncio
async def test_everybody_hears_their_own_only(open_shop: OpenShop) -> None:
    async with open_shop() as shop, open_to_people(shop) as url:
        bob = await shop.sign_in("bob")
        await happen(shop, 1, "alice")
        async with listening(url, bob, 0) as stream:
            await happen(shop, 2, "alice")
            await happen(shop, 7, "bob")
            assert await versions(stream, 1) == [7]


@pytest.mark.asyncio
async def test_many_writers_at_once_are_heard_in_order_and_once(open_shop: OpenShop, database: DatabaseAccess) -> None:
    async with open_shop() as shop, open_to_people(shop) as url:
        headers = await shop.sign_in("alice")
        pool = await open_pool(database.app_dsn, max_size=8, application_name="writers")

        async def write(writer: int) -> None:
            for number in range(25):
                async with pool.acquire() as conn, conn.transaction():
                    await live_events.append(conn, "alice", "balance", {"wallet_version": writer * 100 + number})

        async with listening(url, headers) as stream:
            writing = asyncio.gather(*(write(writer) for writer in range(8)))
            frames = [await stream.next() for _ in range(200)]
            await writing
        await pool.close()
        ids = [frame.id for frame in frames if frame is not None and frame.id is not None]
        assert ids == sorted(set(ids))
        assert len(ids) == 200
        told = sorted(frame.data["wallet_version"] for frame in frames if frame is not None)
        assert told == sorted(writer * 100 + number for writer in range(8) for number in range(25))


@pytest.mark.asyncio
async def test_no_event_is_committed_before_one_with_a_smaller_id(shop: Shop) -> None:
    """The follower would go past the smaller one and never see it."""
    waits = "SELECT true FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    assert await shop.parts.feed.run_once() == 0
    async with shop.pool.acquire() as conn:
        async with conn.transaction():
            await live_events.append(conn, "alice", "balance", {"wallet_version": 1})
            second = asyncio.create_task(happen(shop, 2))
            await eventually(lambda: shop.pool.fetchval(waits))
            assert await shop.parts.feed.run_once() == 0
        await second
    assert await shop.parts.feed.run_once() == 2
    assert [data["wallet_version"] for _, data in await shop.live("alice")] == [1, 2]


@pytest.mark.asyncio
async def test_silence_is_filled_with_comments(open_shop: OpenShop) -> None:
    async with open_shop() as shop, open_to_people(shop) as url:
        headers = await shop.sign_in("alice")
        async with listening(url, headers) as stream:
            reading = asyncio.create_task(stream.next())
            await eventually(lambda: stream.comments >= 2)
            await happen(shop, 1)
            assert (await reading) is not None


@pytest.mark.asyncio
async def test_the_stream_ends_when_the_process_is_told_to(open_shop: OpenShop) -> None:
    async with open_shop() as shop, served(shop.app) as url:
        headers = await shop.sign_in("alice")
        async with running(shop.parts.feed.run) as stop, listening(url, headers) as stream:
            stop.set()
            assert await stream.next() is None
        async with listening(url, headers) as stream:
            assert await stream.next() is None, "nor does a new one hang"


@pytest.mark.asyncio
async def test_what_was_forgotten_is_said_to_be(open_shop: OpenShop) -> None:
    async with open_shop() as shop, open_to_people(shop) as url:
        headers = await shop.sign_in("alice")
        async with listening(url, headers) as stream:
            await happen(shop, 1)
            await versions(stream, 1)
            first = stream.last_id
        await happen(shop, 2)
        assert await live_events.prune(shop.pool, retain_s=0) == 2
        assert await live_events.prune(shop.pool, retain_s=0) == 0
        for seen in (first, 10**12):
            async with listening(url, headers, seen) as stream:
                assert (await stream.next()) == Frame(None, "reset", {})
                await happen(shop, 3)
                assert await versions(stream, 1) == [3]


@pytest.mark.asyncio
@pytest.mark.parametrize("last_event_id", ["abc", "-1", "9" * 19, "9" * 40])
async def test_a_wrong_last_event_id_is_refused(shop: Shop, last_event_id: str) -> None:
    headers = await shop.sign_in() | {"last-event-id": last_event_id}
    answer = await shop.http.get("/api/events", headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (422, "Last-Event-ID")


@pytest.mark.asyncio
async def test_one_person_cannot_keep_any_number_of_connections(shop: Shop) -> None:
    headers = await shop.sign_in("alice")
    listeners = [shop.parts.feed.subscribe("alice") for _ in range(LISTENERS_PER_PERSON_MAX)]
    answer = await shop.http.get("/api/events", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_listeners")
    for listener in listeners:
        shop.parts.feed.unsubscribe(listener)
    shop.parts.feed.unsubscribe(shop.parts.feed.subscribe("alice"))


@pytest.mark.asyncio
async def test_connections_that_end_are_forgotten(open_shop: OpenShop) -> None:
    async with open_shop() as shop, open_to_people(shop) as url:
        headers = await shop.sign_in("alice")
        for _ in range(LISTENERS_PER_PERSON_MAX + 5):
            async with listening(url, headers) as stream:
                assert stream.status == 200
            await eventually(lambda: not shop.parts.feed._listeners)
