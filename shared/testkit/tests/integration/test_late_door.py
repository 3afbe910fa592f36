"""A server that comes up late: refused before, as if it were there after."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from embedded.provisioning import DatabaseAccess
from testkit.late_door import LateDoor


@pytest.mark.asyncio
async def test_nobody_answers_until_it_is_opened(database: DatabaseAccess) -> None:
    async with LateDoor(database.app_dsn) as door:
        with pytest.raises(ConnectionRefusedError):
            await asyncpg.connect(door.url)
        await door.open()
        first, second = await asyncio.gather(asyncpg.connect(door.url), asyncpg.connect(door.url))
        assert await first.fetchval("SELECT current_database()") == database.name
        assert len(await second.fetchval("SELECT repeat('x', 1000000)")) == 1_000_000
        await first.close()
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await second.fetchval("SELECT 1")
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(door.url)
