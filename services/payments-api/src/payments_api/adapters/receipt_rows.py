"""Receipts in PostgreSQL: the counter of the year is locked from the number's taking to the commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from payments_api.application.receipts import Receipt, ReceiptLine, Seller, numbered

_LOCK = "SELECT 1 FROM payments WHERE id = $1 FOR UPDATE"
_KNOWN = "SELECT year, number FROM receipts WHERE payment_id = $1"
# The row of the year stays locked to the end of the transaction, as by FOR UPDATE.
_NUMBER = """
INSERT INTO receipt_years AS y (year, last_number) VALUES ($1, 1)
ON CONFLICT (year) DO UPDATE SET last_number = y.last_number + 1
RETURNING last_number
"""
_RECEIPT = """
INSERT INTO receipts (year, number, payment_id, issued_at, seller_name, seller_address, seller_tax_id, tax_rate)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_LINE = """
INSERT INTO receipt_lines (
    payment_id, gateway_payment_id, credited_at, received_asset, received, credit_asset, credits
) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (payment_id, gateway_payment_id) DO NOTHING
"""
_READ = """
SELECT r.*, p.user_id, p.reference, p.gateway, d.customer_email
FROM receipts AS r JOIN payments AS p ON p.id = r.payment_id LEFT JOIN payment_details AS d ON d.payment_id = p.id
WHERE r.payment_id = $1 AND ($2::text IS NULL OR p.user_id = $2)
"""
_LINES = "SELECT * FROM receipt_lines WHERE payment_id = $1 ORDER BY credited_at, gateway_payment_id"
_IS_THEIRS = "SELECT EXISTS (SELECT 1 FROM payments WHERE id = $1 AND user_id = $2)"


class PostgresReceiptRows:
    """See application.receipts.ReceiptDesk."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def issue(self, conn: Any, payment_id: str, seller: Seller, line: ReceiptLine) -> str:
        """See the port. Locks the payment first, so that it gets one number however many pieces come at once."""
        await conn.execute(_LOCK, payment_id)
        known = await conn.fetchrow(_KNOWN, payment_id)
        year, number = (known["year"], known["number"]) if known else await self._new(conn, payment_id, seller, line)
        await conn.execute(
            _LINE,
            payment_id,
            line.gateway_payment_id,
            line.credited_at,
            line.received_asset,
            line.received,
            line.credit_asset,
            line.credits,
        )
        return numbered(year, number)

    async def read(self, payment_id: str, user_id: str | None) -> Receipt | None:
        """See the port."""
        row = await self._pool.fetchrow(_READ, payment_id, user_id)
        return None if row is None else _receipt(row, await self._pool.fetch(_LINES, payment_id))

    async def is_theirs(self, payment_id: str, user_id: str) -> bool:
        """See the port."""
        return bool(await self._pool.fetchval(_IS_THEIRS, payment_id, user_id))

    async def _new(self, conn: Any, payment_id: str, seller: Seller, line: ReceiptLine) -> tuple[int, int]:
        year = line.credited_at.year
        number = int(await conn.fetchval(_NUMBER, year))
        about = (seller.name, seller.address, seller.tax_id, seller.tax_rate)
        await conn.execute(_RECEIPT, year, number, payment_id, line.credited_at, *about)
        return year, number


def _receipt(row: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Receipt:
    return Receipt(
        number=numbered(row["year"], row["number"]),
        issued_at=row["issued_at"],
        seller=Seller(row["seller_name"], row["seller_address"], row["seller_tax_id"], row["tax_rate"]),
        buyer_id=row["user_id"],
        buyer_email=row["customer_email"],
        payment_id=row["payment_id"],
        payment_reference=row["reference"],
        gateway=row["gateway"],
        lines=[_line(line) for line in lines],
    )


def _line(row: Mapping[str, Any]) -> ReceiptLine:
    return ReceiptLine(
        row["gateway_payment_id"],
        row["credited_at"],
        row["received_asset"],
        int(row["received"]),
        row["credit_asset"],
        row["credits"],
    )
