"""Receipts in PostgreSQL. Who confirms for a payment waits for the other who does: its row is locked.

Takes no lane of the log, so it must not be called within a payment's own saving.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from chassis.errors import Conflict, NotFound
from payments_api.application.bank_receipts import NAME, Arrival, BankPayment, NotABankTransfer, Receipt

SIMILAR_WITHIN_DAYS = 5
"""Value dates of one transfer, as an operator and a statement say them, are no further apart."""

_PAYMENT = "SELECT id, reference, gateway FROM payments WHERE id = $1 FOR UPDATE"
_INSERT = """
INSERT INTO bank_receipts (id, payment_id, bank_reference, asset, units, value_date)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING RETURNING id
"""
_READ = """
SELECT r.*, p.reference FROM bank_receipts AS r JOIN payments AS p ON p.id = r.payment_id WHERE r.id = $1
"""
_SIMILAR = """
SELECT bank_reference FROM bank_receipts
WHERE payment_id = $1 AND asset = $2 AND units = $3 AND id <> $4
  AND (value_date IS NULL OR $5::date IS NULL OR abs(value_date - $5::date) <= $6)
ORDER BY created_at LIMIT 1
"""
_SAID_BY_STATEMENTS = "SELECT asset, units FROM bank_entries WHERE receipt_id = $1"
_ACCEPT_ENTRIES = """
UPDATE bank_entries SET state = 'accepted', payment_id = $2, note = NULL, settled_at = clock_timestamp()
WHERE receipt_id = $1 AND asset = $3 AND units = $4 AND state <> 'accepted'
"""
_TOLD = "UPDATE bank_receipts SET told_at = clock_timestamp() WHERE id = $1 AND told_at IS NULL"
_UNTOLD = """
SELECT r.*, p.reference FROM bank_receipts AS r JOIN payments AS p ON p.id = r.payment_id
WHERE r.told_at IS NULL AND r.created_at <= clock_timestamp() - make_interval(secs => $2)
ORDER BY r.created_at LIMIT $1
"""
_OF_PAYMENT = """
SELECT p.id, p.reference, p.gateway, p.credited IS NOT NULL AS is_credited,
       EXISTS (SELECT FROM bank_receipts AS r WHERE r.payment_id = p.id) AS has_receipts
FROM payments AS p WHERE p.id = $1
"""


class PostgresReceiptDesk:
    """See application.bank_receipts.ReceiptDesk."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def keep(self, receipt_id: str, arrival: Arrival) -> Receipt:
        """See the port."""
        async with self._pool.acquire() as conn, conn.transaction():
            payment = await conn.fetchrow(_PAYMENT, arrival.payment_id)
            if payment is None:
                raise NotFound("unknown_payment", "There is no such payment")
            if payment["gateway"] != NAME:
                raise NotABankTransfer
            inserted = await conn.fetchval(
                _INSERT,
                receipt_id,
                arrival.payment_id,
                arrival.bank_reference,
                arrival.asset,
                arrival.units,
                arrival.value_date,
            )
            kept = _receipt(await conn.fetchrow(_READ, receipt_id), is_repeat=inserted is None)
            if kept.is_repeat:
                _refuse_other_content(kept, arrival)
            else:
                await _refuse_contradictions(conn, kept, is_another=arrival.is_another)
            await conn.execute(_ACCEPT_ENTRIES, receipt_id, kept.payment_id, kept.asset, kept.units)
            return kept

    async def told(self, receipt_id: str) -> None:
        """See the port."""
        await self._pool.execute(_TOLD, receipt_id)

    async def take_untold(self, limit: int, *, older_than_s: float) -> Sequence[Receipt]:
        """See the port."""
        rows = await self._pool.fetch(_UNTOLD, limit, older_than_s)
        return [_receipt(row, is_repeat=True) for row in rows]

    async def payment(self, payment_id: str) -> BankPayment | None:
        """See the port."""
        row = await self._pool.fetchrow(_OF_PAYMENT, payment_id)
        if row is None:
            return None
        return BankPayment(row["id"], row["reference"], row["gateway"], row["has_receipts"], row["is_credited"])


def _refuse_other_content(kept: Receipt, arrival: Arrival) -> None:
    same = (kept.payment_id, kept.asset, kept.units) == (arrival.payment_id, arrival.asset, arrival.units)
    if not same:
        raise Conflict(
            "bank_reference_used",
            "This transfer was confirmed already, for another payment or amount. If the bank used its reference twice, "
            "add the value date to it",
            extra={"payment_id": kept.payment_id},
        )


async def _refuse_contradictions(conn: Any, receipt: Receipt, *, is_another: bool) -> None:
    said = [(row["asset"], int(row["units"])) for row in await conn.fetch(_SAID_BY_STATEMENTS, receipt.id)]
    if said and (receipt.asset, receipt.units) not in said:
        raise Conflict("statement_says_otherwise", "A statement has this transfer with another amount or currency")
    if is_another:
        return
    similar = await conn.fetchval(
        _SIMILAR,
        receipt.payment_id,
        receipt.asset,
        receipt.units,
        receipt.id,
        receipt.value_date,
        SIMILAR_WITHIN_DAYS,
    )
    if similar is not None:
        raise Conflict(
            "looks_confirmed_already",
            "The same amount was confirmed for this payment under another bank reference; say is_another if it came "
            "twice",
            extra={"bank_reference": similar},
        )


def _receipt(row: Mapping[str, Any], *, is_repeat: bool) -> Receipt:
    return Receipt(
        id=row["id"],
        payment_id=row["payment_id"],
        reference=row["reference"],
        asset=row["asset"],
        units=int(row["units"]),
        bank_reference=row["bank_reference"],
        value_date=row["value_date"],
        is_repeat=is_repeat,
    )
