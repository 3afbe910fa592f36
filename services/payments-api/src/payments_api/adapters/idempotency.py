"""Which requests were made under which Idempotency-Key, and what they made.

``claim`` runs in the transaction of the request's effect: a second request with the same key waits for the first one's
commit and then finds what it made; if the first fails, the key is free again.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from chassis.errors import OperationalError
from payments_api.application.ports import IdempotencyKey
from payments_api.application.refusals import KeyReused

RETAIN_DAYS = 30
PRUNE_MAX_ROWS = 5_000

_CLAIM = """
INSERT INTO idempotency_keys (user_id, key, request_hash, subject_id) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING key
"""
_FIND = "SELECT request_hash, subject_id, answer, answer_status FROM idempotency_keys WHERE user_id = $1 AND key = $2"
_KEEP = "UPDATE idempotency_keys SET answer = $3, answer_status = $4 WHERE user_id = $1 AND key = $2"
_PRUNE = """
DELETE FROM idempotency_keys WHERE ctid IN (
    SELECT ctid FROM idempotency_keys WHERE created_at < now() - make_interval(days => $1) LIMIT $2
)
"""


class Earlier(NamedTuple):
    """What an earlier request with the same key made. ``answer`` is the stored body, if one was stored, and ``status``
    the one that it came under."""

    subject_id: str
    answer: bytes | None
    status: int = 200


def request_hash(operation: str, *parts: str) -> bytes:
    """What was asked, as read: two spellings of one amount are the same request."""
    return hashlib.sha256("\x1f".join((operation, *parts)).encode()).digest()


async def claim(conn: Any, user_id: str, key: IdempotencyKey, subject_id: str) -> Earlier | None:
    """Take the key for ``subject_id``; what the earlier request made when it is taken. Raises KeyReused."""
    if await conn.fetchval(_CLAIM, user_id, key.key, key.request_hash, subject_id) is not None:
        return None
    earlier = await find(conn, user_id, key)
    if earlier is None:
        raise OperationalError("the key was forgotten at this very moment")
    return earlier


async def find(conn: Any, user_id: str, key: IdempotencyKey) -> Earlier | None:
    """What an earlier request with this key made, None when there was none. Raises KeyReused."""
    row = await conn.fetchrow(_FIND, user_id, key.key)
    if row is None:
        return None
    if row["request_hash"] != key.request_hash:
        raise KeyReused
    return Earlier(row["subject_id"], row["answer"], row["answer_status"])


async def keep_answer(conn: Any, user_id: str, key: IdempotencyKey, answer: bytes, status: int = 200) -> None:
    """Store the body that a repeat will get, and its status."""
    await conn.execute(_KEEP, user_id, key.key, answer, status)


async def prune(conn: Any) -> int:
    """Forget keys older than RETAIN_DAYS; answers how many."""
    status = await conn.execute(_PRUNE, RETAIN_DAYS, PRUNE_MAX_ROWS)
    return int(status.rpartition(" ")[2])
