"""Reads raw events back, for operators: the list of what was quarantined, and one event with its decrypted body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from gateway_ingest.adapters.encryption import RawEventCipher

_QUARANTINED = """
SELECT position, gateway, event_id, event_type, reason, received_at FROM raw_events
WHERE verdict = 'quarantined' AND position < $1 ORDER BY position DESC LIMIT $2
"""
_EVENT = """
SELECT event_type, verdict, reason, received_at, key_id, body FROM raw_events
WHERE gateway = $1 AND event_id = $2 ORDER BY position
"""
NEWEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class QuarantinedEvent:
    """An event that waits for a person. ``position`` grows with time; pages go by it."""

    position: int
    gateway: str
    event_id: str
    event_type: str
    reason: str
    received_at: datetime


class KeptEvents:
    """Queries over the raw events."""

    def __init__(self, pool: asyncpg.Pool[Any], cipher: RawEventCipher) -> None:
        self._pool = pool
        self._cipher = cipher

    async def quarantined(self, limit: int, before: int = NEWEST) -> Sequence[QuarantinedEvent]:
        """Newest first, those before position ``before``."""
        return [QuarantinedEvent(**row) for row in await self._pool.fetch(_QUARANTINED, before, limit)]

    async def event(self, gateway: str, event_id: str) -> Sequence[Mapping[str, Any]]:
        """All that came under this id, oldest first, each with its raw ``body``; empty when there is nothing.

        Raises UnknownKey, NotAuthentic.
        """
        rows = [dict(row) for row in await self._pool.fetch(_EVENT, gateway, event_id)]
        for row in rows:
            row["body"] = self._cipher.decrypt(gateway, event_id, row.pop("key_id"), row["body"])
        return rows
