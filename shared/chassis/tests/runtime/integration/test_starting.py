"""What a service does about its database and its bus when it starts: what is wrong ends it, what is away does not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from chassis import starting
from chassis.bus import Bus
from chassis.bus.port import OutgoingRecord
from chassis.bus.postgres_log import MIGRATIONS as BUS_MIGRATIONS
from chassis.errors import OperationalError
from chassis.postgres import is_reachable
from chassis.settings import ServiceSettings, SettingsError
from chassis.starting import connect_database, service_bus, service_pool
from embedded.provisioning import DatabaseAccess
from testkit.late_door import LateDoor
from testkit.postgres import DatabaseFactory

NOBODY = "127.0.0.1:1"
SECRET = "hush-hush"
BUSES = ["kafka://{}", f"postgresql://bus_app:{SECRET}@{{}}/bus"]
BOUND_S = 9.0
"""Far beyond what a start waits for here, and below what a client of PostgreSQL waits for an answer."""


def settings(**urls: str) -> ServiceSettings:
    given = {"database_url": "postgresql://x", "bus_url": "memory://", "service_token": "t", "port": 1}
    return ServiceSettings.model_validate(given | urls)


@asynccontextmanager
async def pool_at(url: str) -> AsyncIterator[asyncpg.Pool[Any]]:
    async with asyncio.timeout(BOUND_S):
        pool = await service_pool(settings(database_url=url), max_size=2)
    yield pool
    await pool.close()


@asynccontextmanager
async def bus_at(url: str) -> AsyncIterator[Bus]:
    async with asyncio.timeout(BOUND_S):
        bus = await service_bus(settings(bus_url=url))
    yield bus
    await bus.close()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Something that takes connections and never says a word; a start soon has enough of it."""
    monkeypatch.setattr(starting, "FIRST_TRY_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.asyncio
async def test_a_database_that_comes_late_is_used_when_it_is_there(database: DatabaseAccess) -> None:
    async with LateDoor(database.app_dsn) as door, pool_at(door.url) as pool:
        assert not await is_reachable(pool)
        with pytest.raises(OSError):
            await pool.fetchval("SELECT 1")
        await door.open()
        assert await is_reachable(pool)
        assert await pool.fetchval("SELECT current_setting('application_name')") == ServiceSettings.service


@pytest.mark.asyncio
async def test_a_database_that_says_nothing_holds_no_start_up(silent: str) -> None:
    async with pool_at(f"postgresql://app:{SECRET}@{silent}/x") as pool, asyncio.timeout(BOUND_S):
        assert not await is_reachable(pool)


@pytest.mark.asyncio
@pytest.mark.parametrize("url", BUSES)
async def test_a_bus_that_says_nothing_holds_no_start_up(url: str, silent: str) -> None:
    with capture_logs() as said:
        async with bus_at(url.format(silent)) as bus:
            assert bus.producer("test")
    assert [(line["event"], line["error"]) for line in said] == [("bus_away", "no answer in time")]


@pytest.mark.asyncio
async def test_a_database_that_does_not_let_us_in_ends_the_start(database: DatabaseAccess) -> None:
    for wrong, kind in (
        (database.app_dsn.replace(f"/{database.name}", "/no_such_database"), "InvalidCatalogNameError"),
        ("mysql://app:hush-hush@127.0.0.1/x", "ClientConfigurationError"),
        (f"postgresql://app:{SECRET}@127.0.0.1:many/x", "Error"),
    ):
        with pytest.raises(SettingsError, match=f"^DATABASE_URL: the database cannot be used .*{kind}") as refused:
            await service_pool(settings(database_url=wrong), max_size=1)
        assert SECRET not in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.asyncio
async def test_a_command_is_in_vain_without_its_database() -> None:
    with pytest.raises(SettingsError, match=r"^DATABASE_URL: the database cannot be reached"):
        await connect_database(settings(database_url=f"postgresql://app:{SECRET}@{NOBODY}/x"), max_size=1)


@pytest.mark.asyncio
@pytest.mark.parametrize("url", BUSES)
async def test_a_bus_that_is_away_holds_no_start_up(url: str) -> None:
    with capture_logs() as said:
        async with bus_at(url.format(NOBODY)) as bus:
            with pytest.raises(OperationalError):
                await bus.producer("test").start()
    assert [line["event"] for line in said] == ["bus_away"]
    assert SECRET not in said[0]["error"]


@pytest.mark.asyncio
async def test_a_bus_that_comes_late_is_used_when_it_is_there(make_database: DatabaseFactory) -> None:
    database = make_database("bus", migrations=BUS_MIGRATIONS)
    async with LateDoor(database.app_dsn) as door, bus_at(door.url) as bus:
        await door.open()
        await bus.ensure_topics({"late": 1})
        await bus.producer("test").publish([OutgoingRecord("late", b"key", b"")])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"rabbit://app:{SECRET}@{NOBODY}", "must begin with"),
        ("kafka://nowhere:none", "no broker"),
        (f"kafka://{NOBODY}?tls=true&ca_file=nowhere.pem", "ca_file nowhere.pem"),
        (f"postgresql://app:{SECRET}@127.0.0.1:many/x", "BUS_URL"),
        (f"postgresql://app:{SECRET}@[::1/x", "BUS_URL is malformed"),
    ],
)
async def test_a_bus_of_a_wrong_url_ends_the_start(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        await service_bus(settings(bus_url=url))
    assert says in str(refused.value)
    assert "BUS_URL" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.asyncio
async def test_a_bus_that_does_not_let_us_in_ends_the_start(make_database: DatabaseFactory) -> None:
    database = make_database("bus", migrations=BUS_MIGRATIONS)
    wrong = database.app_dsn.replace(f"/{database.name}", "/no_such_bus")
    with pytest.raises(SettingsError, match=r"^BUS_URL: the bus cannot be used .*InvalidCatalogNameError"):
        await service_bus(settings(bus_url=wrong))
