"""Returns in PostgreSQL. Together they never exceed what came: whoever records one holds the payment's row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from chassis.errors import Conflict, NotFound
from payments_api.application.bank_receipts import NAME, NotABankTransfer
from payments_api.application.bank_returns import Return, SentBack

_PAYMENT = "SELECT gateway FROM payments WHERE id = $1 FOR UPDATE"
_RECEIPTS = """
SELECT r.id, r.asset, r.units - (
    SELECT coalesce(sum(b.units), 0) FROM bank_returns AS b WHERE b.receipt_id = r.id
) AS units_left
FROM bank_receipts AS r
WHERE r.payment_id = $1 AND ($2::text IS NULL OR r.id IN ($2, $3) OR r.again_of = $2) ORDER BY r.created_at
"""
_READ = """
SELECT b.*, r.payment_id, r.asset, r.again_of
FROM bank_returns AS b JOIN bank_receipts AS r ON r.id = b.receipt_id WHERE b.id = $1
"""
_INSERT = """
INSERT INTO bank_returns (id, receipt_id, bank_reference, units, reason) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO NOTHING
"""
_TOLD = "UPDATE bank_returns SET told_at = clock_timestamp() WHERE id = $1 AND told_at IS NULL"
_UNTOLD = """
SELECT b.*, r.payment_id, r.asset FROM bank_returns AS b JOIN bank_receipts AS r ON r.id = b.receipt_id
WHERE b.told_at IS NULL AND b.created_at <= clock_timestamp() - make_interval(secs => $2)
ORDER BY b.created_at LIMIT $1
"""


class PostgresReturnDesk:
    """See application.bank_returns.ReturnDesk."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def keep(self, return_id: str, receipt_id: str | None, sent_back: SentBack) -> Return:
        """See the port."""
        async with self._pool.acquire() as conn, conn.transaction():
            gateway = await conn.fetchval(_PAYMENT, sent_back.payment_id)
            if gateway is None:
                raise NotFound("unknown_payment", "There is no such payment")
            if gateway != NAME:
                raise NotABankTransfer
            known = await conn.fetchrow(_READ, return_id)
            if known is None:
                named = (sent_back.payment_id, receipt_id, sent_back.returned_reference)
                returned = _returned(await conn.fetch(_RECEIPTS, *named), sent_back)
                await conn.execute(
                    _INSERT, return_id, returned, sent_back.bank_reference, sent_back.units, sent_back.reason
                )
            # Read once more: the same reference may just have come for another payment, whose row we do not hold.
            row = await conn.fetchrow(_READ, return_id)
            kept = _return(row, is_repeat=known is not None)
            is_of_another = receipt_id not in (None, kept.receipt_id, row["again_of"])
            _refuse_other_content(kept, sent_back, is_of_another and sent_back.returned_reference != kept.receipt_id)
            return kept

    async def told(self, return_id: str) -> None:
        """See the port."""
        await self._pool.execute(_TOLD, return_id)

    async def take_untold(self, limit: int, *, older_than_s: float) -> Sequence[Return]:
        """See the port."""
        rows = await self._pool.fetch(_UNTOLD, limit, older_than_s)
        return [_return(row, is_repeat=True) for row in rows]


def _returned(receipts: Sequence[Mapping[str, Any]], sent_back: SentBack) -> str:
    """The id of what came and goes back."""
    if not receipts:
        raise Conflict("nothing_came", "No such transfer was confirmed for this payment")
    if len(receipts) > 1:
        raise Conflict("which_transfer", "Several transfers came for this payment; name the returned_reference")
    (receipt,) = receipts
    if receipt["asset"] != sent_back.asset or sent_back.units > receipt["units_left"]:
        raise Conflict("more_than_came", "More than is left of that transfer, or another currency")
    found: str = receipt["id"]
    return found


def _refuse_other_content(kept: Return, sent_back: SentBack, is_of_another: bool) -> None:
    same = (kept.payment_id, kept.asset, kept.units) == (sent_back.payment_id, sent_back.asset, sent_back.units)
    if not same or is_of_another:
        raise Conflict("bank_reference_used", "This transfer back was recorded already, for something else")


def _return(row: Mapping[str, Any], *, is_repeat: bool) -> Return:
    return Return(
        id=row["id"],
        receipt_id=row["receipt_id"],
        payment_id=row["payment_id"],
        asset=row["asset"],
        units=int(row["units"]),
        bank_reference=row["bank_reference"],
        reason=row["reason"],
        is_repeat=is_repeat,
    )
