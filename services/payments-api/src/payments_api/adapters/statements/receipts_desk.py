"""Receipts in PostgreSQL. Who confirms for a payment waits for the other who does: its row is locked, and after it the
bank's reference.

Takes no lane of the log, so it must not be called within a payment's own saving.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from chassis.errors import Conflict, NotFound
from payments_api.adapters.statements.confirmed_rows import confirmed_under, settle_lines
from payments_api.application.bank_receipts import NAME, Arrival, BankPayment, NotABankTransfer, Receipt
from payments_api.application.bank_sameness import (
    SAME_WITHIN_DAYS,
    Confirmed,
    id_of_another,
    looks_confirmed,
    reference_used,
    repeated,
)

REFERENCE_LANE = 0x62616E6B
"""Class of the advisory locks, one for each of the bank's references."""

# Not for update: an import that settles lines of the payment refers to its row, and we wait for those lines.
_PAYMENT = "SELECT reference, gateway FROM payments WHERE id = $1 FOR NO KEY UPDATE"
_LANE = "SELECT pg_advisory_xact_lock($1, hashtext($2))"
_INSERT = """
INSERT INTO bank_receipts (id, payment_id, bank_reference, asset, units, value_date, again_of)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_READ = """
SELECT r.*, p.reference FROM bank_receipts AS r JOIN payments AS p ON p.id = r.payment_id WHERE r.id = $1
"""
_LINE = "SELECT state, coalesce(settled_by, receipt_id) AS settled_by FROM bank_entries WHERE id = $1"
_SIMILAR = """
SELECT bank_reference FROM bank_receipts
WHERE payment_id = $1 AND asset = $2 AND units = $3
  AND (value_date IS NULL OR $4::date IS NULL OR abs(value_date - $4::date) <= $5)
ORDER BY created_at LIMIT 1
"""
# A line that another receipt settled is explained.
_SAID_BY_STATEMENTS = """
SELECT asset, units FROM bank_entries
WHERE receipt_id = $1 AND state <> 'accepted'
  AND ($2::date IS NULL OR abs(coalesce(value_date, booked_on) - $2::date) <= $3)
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
            await conn.execute(_LANE, REFERENCE_LANE, receipt_id)
            confirmed = (await confirmed_under(conn, [receipt_id])).get(receipt_id, ())
            found = await _said_before(conn, confirmed, arrival)
            kept_id = found.id if found else await _insert(conn, receipt_id, arrival, is_first=not confirmed)
            await _settle(conn, receipt_id, kept_id, arrival)
            return _receipt(await conn.fetchrow(_READ, kept_id), is_repeat=found is not None)

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


async def _said_before(conn: Any, confirmed: Sequence[Confirmed], arrival: Arrival) -> Confirmed | None:
    """The receipt that says it already: of a line that is accepted, the one that it was accepted with."""
    line = None if arrival.entry_id is None else await conn.fetchrow(_LINE, arrival.entry_id)
    if line is None or line["state"] != "accepted":
        return repeated(confirmed, arrival)
    found = next(one for one in confirmed if one.id == line["settled_by"])
    if found.payment_id != arrival.payment_id:
        raise reference_used(found)
    return found


async def _insert(conn: Any, receipt_id: str, arrival: Arrival, *, is_first: bool) -> str:
    """A new receipt; answers its id."""
    await _refuse_contradictions(conn, receipt_id, arrival)
    kept_id = receipt_id if is_first else id_of_another(receipt_id, arrival)
    await conn.execute(
        _INSERT,
        kept_id,
        arrival.payment_id,
        arrival.bank_reference,
        arrival.asset,
        arrival.units,
        arrival.value_date,
        None if is_first else receipt_id,
    )
    return kept_id


async def _settle(conn: Any, receipt_id: str, kept_id: str, arrival: Arrival) -> None:
    """Accept the line that was asked about, and those that say the same."""
    confirmed = (await confirmed_under(conn, [receipt_id]))[receipt_id]
    kept = next(one for one in confirmed if one.id == kept_id)
    if arrival.booked_on is not None:
        kept = replace(kept, booked_on=kept.booked_on | {arrival.booked_on})
    await settle_lines(conn, receipt_id, kept, own=arrival.entry_id)


async def _refuse_contradictions(conn: Any, receipt_id: str, arrival: Arrival) -> None:
    day = arrival.value_date
    rows = await conn.fetch(_SAID_BY_STATEMENTS, receipt_id, day, SAME_WITHIN_DAYS)
    said = [(row["asset"], int(row["units"])) for row in rows]
    if said and (arrival.asset, arrival.units) not in said:
        raise Conflict("statement_says_otherwise", "A statement has this transfer with another amount or currency")
    if arrival.is_another:
        return
    similar = await conn.fetchval(_SIMILAR, arrival.payment_id, arrival.asset, arrival.units, day, SAME_WITHIN_DAYS)
    if similar is not None:
        raise looks_confirmed(similar)


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
