"""What is watched now is found without a look at all that ever was."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from embedded.provisioning import DatabaseAccess
from gateway_ingest.adapters import deposit_rows

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OVER_LONG_AGO = 20_000
LOOKED_AT_MAX = 100
_ADDRESSES = """
INSERT INTO watched_addresses (network, match_key, address, reference, payment_id, user_id, is_quoted, asset, price,
                               confirmations, told_at, expires_at, watch_until, caught_up)
SELECT 'bitcoin', n::text, n::text, 'GL' || n, n::text, 'alice', true, 'BTC/8', 5000, 3, at, at, at, $2 FROM (
    SELECT n, $3::timestamptz AS at FROM generate_series(1, $1::integer) AS n) AS made
"""
_DEPOSITS = """
INSERT INTO deposits (network, tx, place, match_key, reference, currency, exponent, units, required, state,
                      block_number, block_hash, forks, told_confirmations, news, untold)
SELECT 'bitcoin', 't' || n, '0', n::text, 'GL' || n, 'BTC', 8, 5000, 3, 'confirmed', 1, 'b', 0, 3, 1, false
FROM generate_series(1, $1::integer) AS n
"""


@pytest_asyncio.fixture
async def history(ingest_database: DatabaseAccess) -> AsyncIterator[asyncpg.Connection]:
    """Twenty thousand payments that are over; of one the coins are in no block any more."""
    owner = await asyncpg.connect(ingest_database.owner_dsn)
    try:
        await owner.execute(_ADDRESSES, OVER_LONG_AGO, True, datetime(2026, 1, 1, tzinfo=UTC))
        await owner.execute(_DEPOSITS, OVER_LONG_AGO)
        await owner.execute("UPDATE deposits SET state = 'withdrawn' WHERE match_key = '7'")
        await owner.execute(
            "UPDATE watched_addresses SET watch_until = $1 WHERE match_key = '9'", NOW + timedelta(days=1)
        )
        await owner.execute("VACUUM ANALYZE watched_addresses, deposits")
        yield owner
    finally:
        await owner.close()


@pytest.mark.asyncio
async def test_what_is_watched_is_found_by_what_is_watched(history: asyncpg.Connection) -> None:
    found = await history.fetch(deposit_rows._WATCHED, "bitcoin", NOW)
    assert {row["match_key"] for row in found} == {"7", "9"}
    assert await looked_at(history, deposit_rows._WATCHED, "bitcoin", NOW) < LOOKED_AT_MAX


async def looked_at(connection: asyncpg.Connection, sql: str, *arguments: Any) -> int:
    """Rows that were read for it, wanted or not."""
    plan = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *arguments))
    return sum(
        node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
        for node in nodes_of(plan[0]["Plan"])
    )


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from nodes_of(below)
