"""Writes what people's browsers hear, in the transaction of the change.

Appending takes a lane and holds it to the commit, so that id order is commit order and who reads forward misses
nothing. It is the last lock of every transaction of this service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from chassis.http import encode_exact

LIVE_LANE = 0x6C697665_6C616E65
"""Number of the advisory lock, per database."""
RETAIN_S = 7 * 86_400
PRUNE_MAX_ROWS = 5_000

Kind = Literal["balance", "payment", "deployment", "purchase_refused"]

_LANE = "SELECT pg_advisory_xact_lock($1)"
_APPEND = "INSERT INTO live_events (user_id, kind, data) VALUES ($1, $2, $3)"
_PRUNE = """
WITH gone AS (
    DELETE FROM live_events WHERE id IN (
        SELECT id FROM live_events WHERE created_at < clock_timestamp() - make_interval(secs => $1) ORDER BY id LIMIT $2
    ) RETURNING id
), horizon AS (
    UPDATE live_events_horizon SET pruned = greatest(pruned, (SELECT max(id) FROM gone)) WHERE EXISTS (TABLE gone)
)
SELECT count(*) FROM gone
"""


async def append(conn: Any, user_id: str, kind: Kind, data: Mapping[str, Any]) -> None:
    """Tell ``user_id``, once ``conn``'s transaction commits. Call it last."""
    await conn.execute(_LANE, LIVE_LANE)
    await conn.execute(_APPEND, user_id, kind, encode_exact(data).decode())


async def prune(conn: Any, *, retain_s: float = RETAIN_S) -> int:
    """Forget old events, and note up to where; answers how many."""
    return int(await conn.fetchval(_PRUNE, float(retain_s), PRUNE_MAX_ROWS))
