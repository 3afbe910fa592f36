"""Mails in PostgreSQL: written with the news, taken one by one, forgotten after a month."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import asyncpg

from chassis.dead_letters import storable
from payments_api.application.notifying import Kind
from payments_api.application.notifying_sending import DueMail

PAUSE_S = 60.0
"""Longer than handing over one mail may take, so that no two processes send the same."""
PAUSE_MAX_S = 6 * 3600.0
RETAIN_S = 30 * 86_400.0
PRUNE_MAX_ROWS = 5_000
ERROR_MAX_CHARS = 500

_WRITE = """
INSERT INTO mails (kind, payment_id, dedupe_key, recipient, facts)
SELECT $1, payment_id, $3, customer_email, $4 FROM payment_details
WHERE payment_id = $2 AND customer_email IS NOT NULL
ON CONFLICT (dedupe_key) DO NOTHING
"""
_TAKE = """
UPDATE mails SET attempts = attempts + 1,
    next_attempt_at = clock_timestamp() + make_interval(secs => least($1, $2 * 2.0 ^ least(attempts, 20)))
WHERE id = (
    SELECT id FROM mails WHERE sent_at IS NULL AND given_up_at IS NULL AND next_attempt_at <= clock_timestamp()
    ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, kind, payment_id, recipient, facts, attempts
"""
_SENT = "UPDATE mails SET sent_at = clock_timestamp(), last_error = NULL WHERE id = $1 AND given_up_at IS NULL"
_MISSED = "UPDATE mails SET last_error = $2 WHERE id = $1 AND sent_at IS NULL"
_GIVE_UP = "UPDATE mails SET given_up_at = clock_timestamp(), last_error = $2 WHERE id = $1 AND sent_at IS NULL"
_PRUNE = """
WITH gone AS (
    DELETE FROM mails WHERE id IN (
        SELECT id FROM mails WHERE created_at < clock_timestamp() - make_interval(secs => $1)
        ORDER BY created_at LIMIT $2
    ) RETURNING 1
) SELECT count(*) FROM gone
"""


class MailRows:
    """See application.notifying.MailOutbox and application.notifying_sending.MailQueue."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def write(self, conn: Any, kind: Kind, payment_id: str, dedupe_key: str, facts: Mapping[str, str]) -> None:
        """See the port."""
        await conn.execute(_WRITE, kind, payment_id, dedupe_key, json.dumps(dict(facts)))

    async def take_due(self) -> DueMail | None:
        """See the port."""
        row = await self._pool.fetchrow(_TAKE, PAUSE_MAX_S, PAUSE_S)
        if row is None:
            return None
        facts = json.loads(row["facts"])
        return DueMail(str(row["id"]), row["kind"], row["payment_id"], row["recipient"], facts, row["attempts"])

    async def sent(self, mail_id: str) -> None:
        """See the port."""
        await self._pool.execute(_SENT, mail_id)

    async def missed(self, mail_id: str, error: str) -> None:
        """See the port."""
        await self._pool.execute(_MISSED, mail_id, storable(error, ERROR_MAX_CHARS))

    async def give_up(self, mail_id: str, error: str) -> None:
        """See the port."""
        await self._pool.execute(_GIVE_UP, mail_id, storable(error, ERROR_MAX_CHARS))

    async def prune(self, *, retain_s: float = RETAIN_S) -> int:
        """Forget old mails, sent or not: they hold addresses. Answers how many."""
        return int(await self._pool.fetchval(_PRUNE, retain_s, PRUNE_MAX_ROWS))
