"""One relay alone: how fast what waits in a database comes onto the bus while nobody writes into either.

What it publishes is what its service really wrote in the stage before: the relay's place is set back to the beginning,
as an operator does whose bus lost its data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fleet import Fleet
from stages import WARMING_PART, until


@dataclass(frozen=True)
class Source:
    """What a service's relay reads: the relay's name, the table, and the column of its positions."""

    service: str
    relay: str
    table: str
    position: str


INTAKE = Source("gateway-ingest", "outbox", "outbox", "position")
LOG = Source("ledger", "log", "stored_events", "notification_id")


async def relay_rate(fleet: Fleet, connection: Any, source: Source) -> float:
    """Rows a second, from when a quarter of them is published to the last one."""
    end = await connection.fetchval(f"SELECT max({source.position}) FROM {source.table}")
    await connection.execute("UPDATE relay_positions SET position = 0 WHERE name = $1", source.relay)
    async with fleet.working(source.service):
        first, began_s = await _reached(connection, source, end // WARMING_PART)
        last, ended_s = await _reached(connection, source, end)
    between = f"SELECT count(*) FROM {source.table} WHERE {source.position} > $1 AND {source.position} <= $2"
    return float(await connection.fetchval(between, first, last) / (ended_s - began_s))


async def _reached(connection: Any, source: Source, position: int) -> tuple[int, float]:
    """Wait until the relay is there or farther; answers how far it is, and since when by the database's clock."""
    is_there = f"SELECT position >= {position} FROM relay_positions WHERE name = '{source.relay}'"
    await until(connection, is_there, True)
    row = await connection.fetchrow(
        "SELECT position, extract(epoch FROM moved_at)::float8 AS at FROM relay_positions WHERE name = $1", source.relay
    )
    return row["position"], row["at"]
