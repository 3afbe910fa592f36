"""Who is signed in: opaque tokens of 256 bits, kept as their SHA-256 only.

How a person proves who they are is not decided here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from chassis.clock import Clock

TOKEN_MAX_CHARS = 256
PRUNE_MAX_ROWS = 5_000

_ISSUE = "INSERT INTO sessions (token_hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)"
_FIND = "SELECT user_id FROM sessions WHERE token_hash = $1 AND expires_at > $2"
_PRUNE = """
DELETE FROM sessions WHERE token_hash IN (SELECT token_hash FROM sessions WHERE expires_at <= $1 LIMIT $2)
"""


class Session(NamedTuple):
    """A fresh sign-in. The token is told once, here."""

    token: str
    user_id: str
    expires_at: datetime


class Sessions:
    """``new_token`` answers an unguessable text."""

    def __init__(
        self, pool: asyncpg.Pool[Any], clock: Clock, new_token: Callable[[], str], *, lifetime_s: float
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._new_token = new_token
        self._lifetime = timedelta(seconds=lifetime_s)

    async def issue(self, user_id: str) -> Session:
        """Sign ``user_id`` in."""
        now = self._clock.now()
        session = Session(self._new_token(), user_id, now + self._lifetime)
        await self._pool.execute(_ISSUE, _hash(session.token), user_id, now, session.expires_at)
        return session

    async def find(self, token: str) -> str | None:
        """Whose token this is; None when nobody's, or no longer."""
        if not token or len(token) > TOKEN_MAX_CHARS:
            return None
        user_id: str | None = await self._pool.fetchval(_FIND, _hash(token), self._clock.now())
        return user_id

    async def prune(self) -> int:
        """Forget sessions whose time is over; answers how many."""
        status = await self._pool.execute(_PRUNE, self._clock.now(), PRUNE_MAX_ROWS)
        return int(status.rpartition(" ")[2])


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
