"""A database with the canonical tables of the event store, as its owner made them, and pools of its app's role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest_asyncio

import eventstore
from chassis.postgres import open_pool
from embedded.provisioning import DatabaseAccess
from testkit.postgres import DatabaseFactory

SCHEMA = Path(eventstore.__file__).parent / "schema.sql"


@pytest_asyncio.fixture
async def events_database(make_database: DatabaseFactory) -> DatabaseAccess:
    database = make_database("events")
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute(SCHEMA.read_text().replace("{app}", database.app_role))
    await owner.close()
    return database


@pytest_asyncio.fixture
async def pool(events_database: DatabaseAccess) -> AsyncIterator[asyncpg.Pool[Any]]:
    opened = await open_pool(events_database.app_dsn, max_size=12, application_name="test")
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def owner(events_database: DatabaseAccess) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(events_database.owner_dsn)
    yield connection
    await connection.close()
