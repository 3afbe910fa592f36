from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chassis.bus.log_consumer import LogConsumer
from chassis.bus.port import Consumer
from chassis.bus.postgres_log import MIGRATIONS, PostgresLogBus
from chassis.migrate import migrate
from testkit.conformance.bus import BusConformance
from testkit.postgres import DatabaseFactory


class PostgresHarness:
    """Every client has connections of its own."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._open: list[PostgresLogBus] = []

    async def open(self) -> PostgresLogBus:
        self._open.append(await PostgresLogBus.connect(self._dsn, session_timeout_s=0.8))
        return self._open[-1]

    async def kill(self, consumer: Consumer) -> None:
        assert isinstance(consumer, LogConsumer)
        await consumer.abandon()

    async def close(self) -> None:
        for bus in self._open:
            await bus.close()


@pytest_asyncio.fixture
async def harness(make_database: DatabaseFactory) -> AsyncIterator[PostgresHarness]:
    database = make_database("bus")
    await migrate(database.owner_dsn, MIGRATIONS)
    opened = PostgresHarness(database.app_dsn)
    yield opened
    await opened.close()


@pytest.mark.asyncio
class TestPostgresLog(BusConformance):
    pass
