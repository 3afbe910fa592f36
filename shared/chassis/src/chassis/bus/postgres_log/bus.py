"""The bus on PostgreSQL: one pool and one listening connection, from which producers and consumers are made."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import structlog

from chassis.bus.log_consumer import LogConsumer
from chassis.bus.port import BusRefused, PartitionCountMismatch
from chassis.bus.postgres_log.errors import operational_errors
from chassis.bus.postgres_log.member import PostgresGroupMember
from chassis.bus.postgres_log.producer import PostgresProducer
from chassis.bus.postgres_log.record_log import PostgresRecordLog
from chassis.bus.postgres_log.retention import RETENTION_DAYS, prune
from chassis.bus.postgres_log.wakeup import Wakeup
from chassis.errors import OperationalError
from chassis.postgres import open_pool
from chassis.runtime import StopSignal

log = structlog.get_logger(__name__)
SESSION_TIMEOUT_S = 10.0
POOL_MAX_CONNECTIONS = 8
PRUNE_EVERY_S = 3600.0

_CREATE_TOPIC = "INSERT INTO topics (name, partitions) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_CREATE_PARTITIONS = """
INSERT INTO partitions (topic, partition) SELECT $1, generate_series(0, $2::int - 1) ON CONFLICT DO NOTHING
"""
_PARTITIONS_OF = "SELECT partitions FROM topics WHERE name = $1"


class PostgresLogBus:
    """A ``Bus`` whose log is a PostgreSQL database. Made by ``connect``, or by ``at`` while it may be away."""

    def __init__(self, pool: asyncpg.Pool[Any], wakeup: Wakeup, session_timeout_s: float) -> None:
        self._pool = pool
        self._wakeup = wakeup
        self._session_timeout_s = session_timeout_s

    @staticmethod
    async def at(dsn: str, *, session_timeout_s: float = SESSION_TIMEOUT_S) -> PostgresLogBus:
        """The bus in that database, as ``bus_app``. ``session_timeout_s``: how long a dead consumer keeps its
        partitions."""
        pool = await open_pool(dsn, min_size=0, max_size=POOL_MAX_CONNECTIONS, application_name="gridledger-bus")
        return PostgresLogBus(pool, Wakeup(dsn), session_timeout_s)

    @staticmethod
    async def connect(dsn: str, *, session_timeout_s: float = SESSION_TIMEOUT_S) -> PostgresLogBus:
        """``at``, once the database answered. Raises OperationalError."""
        bus = await PostgresLogBus.at(dsn, session_timeout_s=session_timeout_s)
        try:
            await bus.reach()
        except BaseException:
            await bus.close()
            raise
        return bus

    async def reach(self) -> None:
        """See the port."""
        try:
            with operational_errors("connecting"):
                await self._pool.fetchval("SELECT true")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            # Only the kind of the error: its text may hold the address with the password.
            raise BusRefused(f"bus: connecting: {type(error).__name__}") from error

    async def ensure_topics(self, topics: Mapping[str, int]) -> None:
        """See the port."""
        with operational_errors("creating topics"):
            for topic, partitions in sorted(topics.items()):
                await self._ensure_topic(topic, partitions)

    def producer(self, client_id: str) -> PostgresProducer:
        """See the port."""
        return PostgresProducer(self._pool)

    def consumer(self, group: str, topics: Collection[str], client_id: str) -> LogConsumer:
        """See the port. Listens from now on: who only publishes need not."""
        self._wakeup.start()
        changes = self._wakeup.groups[group]
        name = f"{client_id}-{uuid4().hex}"
        member = PostgresGroupMember(self._pool, group, name, topics, self._session_timeout_s, changes)
        return LogConsumer(PostgresRecordLog(self._pool, self._wakeup.records), member, self._session_timeout_s)

    async def prune(self, older_than: timedelta = timedelta(days=RETENTION_DAYS)) -> int:
        """Forget records older than that; answers how many. Raises OperationalError."""
        return await prune(self._pool, older_than)

    async def run_retention(self, stop: StopSignal, *, every_s: float = PRUNE_EVERY_S) -> None:
        """Prune now and then until stopped; a database that is away only delays it."""
        while not stop.is_set():
            try:
                log.info("bus_pruned", records=await self.prune())
            except OperationalError as error:
                log.warning("bus_prune_failed", error=str(error))
            await stop.wait_for(every_s)

    async def close(self) -> None:
        """See the port."""
        await self._wakeup.close()
        await self._pool.close()

    async def _ensure_topic(self, topic: str, partitions: int) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_CREATE_TOPIC, topic, partitions)
            existing = await connection.fetchval(_PARTITIONS_OF, topic)
            if existing != partitions:
                raise PartitionCountMismatch(f"{topic} has {existing} partitions, not {partitions}")
            await connection.execute(_CREATE_PARTITIONS, topic, partitions)
