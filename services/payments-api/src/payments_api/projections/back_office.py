"""Failed payments and disputes as the back office keeps and lists them, also of payments that began elsewhere.

Writers work in the consumer's transaction. A dispute's row does not depend on the order of the news about it: amount
and reason are the gateway's latest words, credits the ledger's, and an end is never taken back by a late opening.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import asyncpg

from contracts.amounts import Asset, to_decimal
from payments_api.application.gateways import AskedPayment
from payments_api.projections.times import bad_cursor, cursor_time, in_utc

DisputeStatus = Literal["needs_response", "won", "lost"]

_KEEP_FAILURE = """
INSERT INTO failed_payments (id, gateway, payment_intent_id, payment_id, reference, user_id, asset, amount, reason_code,
    failure_reason, is_over, attempt_id, created_at)
SELECT $1, $2, $3, p.id, coalesce(p.reference, $5), coalesce(p.user_id, $6), p.asked_asset, p.asked, $7, $8, $9, $10,
    $11
FROM (SELECT $4::text AS id) AS ours LEFT JOIN payments AS p ON p.id = ours.id
ON CONFLICT DO NOTHING
"""
_KEEP_DISPUTE = """
INSERT INTO disputes AS d (gateway, dispute_id, payment_intent_id, asset, amount, status, status_at, payment_id,
    reference, user_id, created_at)
SELECT $1, $2, $3, $4, $5, $6, $7, p.id, coalesce(p.reference, $9), coalesce(p.user_id, $10), $7
FROM (SELECT $8::text AS id) AS ours LEFT JOIN payments AS p ON p.id = ours.id
ON CONFLICT (gateway, dispute_id) DO UPDATE SET
    payment_id = coalesce(d.payment_id, excluded.payment_id),
    reference = coalesce(d.reference, excluded.reference),
    user_id = coalesce(d.user_id, excluded.user_id),
    created_at = least(d.created_at, excluded.created_at)
"""
_REACH = """
UPDATE disputes SET status = $3, status_at = $4
WHERE gateway = $1 AND dispute_id = $2 AND $3 <> 'needs_response' AND (status = 'needs_response' OR status_at <= $4)
"""
_TELL = """
UPDATE disputes SET asset = $4, amount = $5, reason = $6, told_at = $3
WHERE gateway = $1 AND dispute_id = $2 AND coalesce(told_at, '-infinity') <= $3
"""
_BOOK = """
UPDATE disputes SET credit_asset = $4, credits = $5, booked_at = $3
WHERE gateway = $1 AND dispute_id = $2 AND coalesce(booked_at, '-infinity') <= $3
"""
_FAILURES = """
SELECT * FROM failed_payments
WHERE ($1::text IS NULL OR gateway = $1) AND ($2::text IS NULL OR user_id = $2)
  AND ($3::timestamptz IS NULL OR created_at >= $3) AND ($4::timestamptz IS NULL OR created_at < $4)
  AND ($5::timestamptz IS NULL OR (created_at, id) < ($5, $6))
ORDER BY created_at DESC, id DESC LIMIT $7
"""
_DISPUTES = """
SELECT * FROM disputes
WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR gateway = $2)
  AND ($3::timestamptz IS NULL OR (created_at, gateway, dispute_id) < ($3, $4, $5))
ORDER BY created_at DESC, gateway DESC, dispute_id DESC LIMIT $6
"""
_OWNERS = "SELECT id, user_id FROM payments WHERE id = ANY($1::text[])"
_ASKED = """
SELECT id, reference, user_id, gateway, gateway_payment_id, price_asset, price, details FROM payments WHERE id = $1
"""

Rows = tuple[Sequence[Mapping[str, Any]], str | None]


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that failed, named by the message that told of it, and where it has one by the gateway's
    ``attempt_id``. ``payment_id`` is ours, where it began here."""

    message_id: str
    gateway: str
    gateway_payment_id: str
    payment_id: str | None
    reference: str | None
    user_id: str | None
    reason_code: str
    reason: str
    is_over: bool
    at: datetime
    attempt_id: str | None = None


@dataclass(frozen=True, slots=True)
class DisputeNews:
    """News of a dispute: the gateway's words have a reason, the ledger's have credits. ``amount`` and ``credits`` are
    in smallest units of their assets."""

    gateway: str
    dispute_id: str
    gateway_payment_id: str
    payment_id: str | None
    asset: str
    amount: int
    status: DisputeStatus
    at: datetime
    reason: str | None = None
    reference: str | None = None
    user_id: str | None = None
    credit_asset: str | None = None
    credits: int | None = None


@dataclass(frozen=True, slots=True)
class FailureFilter:
    """Which failed payments; None takes all. ``since`` is inclusive, ``until`` is not."""

    gateway: str | None = None
    user_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def keep_failure(conn: Any, failure: Failure) -> None:
    """Keep it, once per message, and once per attempt where that has a name."""
    await conn.execute(
        _KEEP_FAILURE,
        failure.message_id,
        failure.gateway,
        failure.gateway_payment_id,
        failure.payment_id,
        failure.reference,
        failure.user_id,
        failure.reason_code,
        failure.reason,
        failure.is_over,
        failure.attempt_id,
        failure.at,
    )


async def keep_dispute(conn: Any, news: DisputeNews) -> None:
    """Bring the dispute's row up to date; a repeat changes nothing."""
    named = (news.gateway, news.dispute_id)
    about = (news.payment_id, news.reference, news.user_id)
    await conn.execute(
        _KEEP_DISPUTE, *named, news.gateway_payment_id, news.asset, news.amount, news.status, news.at, *about
    )
    await conn.execute(_REACH, *named, news.status, news.at)
    if news.reason is not None:
        await conn.execute(_TELL, *named, news.at, news.asset, news.amount, news.reason)
    if news.credits is not None:
        await conn.execute(_BOOK, *named, news.at, news.credit_asset, news.credits)


class BackOffice:
    """What the back office reads beside the payments themselves."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def failures(self, wanted: FailureFilter, *, limit: int, cursor: str | None) -> Rows:
        """A page of failed payments, newest first, and the cursor of the next. Raises InvalidField."""
        before, last_id = (None, ("",)) if cursor is None else _place(cursor, 1)
        about = (wanted.gateway, wanted.user_id, in_utc("from", wanted.since), in_utc("to", wanted.until))
        rows = await self._pool.fetch(_FAILURES, *about, before, *last_id, limit)
        return [_failure(row) for row in rows], _following(rows, limit, "id")

    async def disputes(self, status: str | None, gateway: str | None, *, limit: int, cursor: str | None) -> Rows:
        """A page of disputes, newest first, and the next one's cursor. Raises InvalidField (``cursor``)."""
        before, last = (None, ("", "")) if cursor is None else _place(cursor, 2)
        rows = await self._pool.fetch(_DISPUTES, status, gateway, before, *last, limit)
        return [_dispute(row) for row in rows], _following(rows, limit, "gateway", "dispute_id")

    async def owners(self, payment_ids: Sequence[str]) -> Mapping[str, str]:
        """Payment → whose it is."""
        rows = await self._pool.fetch(_OWNERS, payment_ids) if payment_ids else []
        return {row["id"]: row["user_id"] for row in rows}

    async def asked(self, payment_id: str) -> tuple[str, AskedPayment] | None:
        """The payment as its gateway (the first of the pair) is asked about it."""
        row = await self._pool.fetchrow(_ASKED, payment_id)
        if row is None:
            return None
        return row["gateway"], AskedPayment(
            payment_id=row["id"],
            reference=row["reference"],
            user_id=row["user_id"],
            gateway_payment_id=row["gateway_payment_id"],
            asset=row["price_asset"],
            price=int(row["price"]),
            details=json.loads(row["details"], parse_float=Decimal),
        )


def _failure(row: Mapping[str, Any]) -> Mapping[str, Any]:
    asset = row["asset"]
    return {
        "user_id": row["user_id"],
        "payment_intent_id": row["payment_intent_id"],
        "status": "failed",
        "created_at": row["created_at"],
        "failure_reason": row["failure_reason"],
        "reason_code": row["reason_code"],
        "is_over": row["is_over"],
        "gateway": row["gateway"],
        "reference": row["reference"],
        "payment_id": row["payment_id"],
        "amount": None if asset is None else to_decimal(int(row["amount"]), asset),
        "currency": None if asset is None else Asset.parse(asset).code,
    }


def _dispute(row: Mapping[str, Any]) -> Mapping[str, Any]:
    asset, credit_asset = row["asset"], row["credit_asset"]
    return {
        "payment_intent_id": row["payment_intent_id"],
        "dispute_id": row["dispute_id"],
        "amount": int(row["amount"]),
        "asset": asset,
        "reason": row["reason"],
        "status": row["status"],
        "created_at": row["created_at"],
        "gateway": row["gateway"],
        "user_id": row["user_id"],
        "payment_id": row["payment_id"],
        "reference": row["reference"],
        "credits": None if credit_asset is None else to_decimal(row["credits"], credit_asset),
    }


def _following(rows: Sequence[Mapping[str, Any]], limit: int, *names: str) -> str | None:
    if len(rows) < limit:
        return None
    last = rows[-1]
    return "~".join([last["created_at"].isoformat(), *(last[name] for name in names)])


def _place(cursor: str, names: int) -> tuple[datetime, tuple[str, ...]]:
    time, *last = cursor.split("~", names)
    if len(last) != names or not all(last):
        raise bad_cursor()
    return cursor_time(time), tuple(last)
