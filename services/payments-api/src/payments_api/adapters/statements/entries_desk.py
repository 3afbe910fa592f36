"""Lines of statements in PostgreSQL, and the payments that they may be for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import asyncpg

from chassis.errors import InvalidField
from payments_api.adapters.statements.confirmed_rows import confirmed_under, settle_lines
from payments_api.application.bank_matching import Candidate
from payments_api.application.bank_receipts import NAME
from payments_api.application.bank_statements import Entry, EntryState

OPEN_MAX_PAYMENTS = 2_000
CURSOR_SEPARATOR = "~"

_INSERT = """
INSERT INTO bank_entries (id, receipt_id, account, bank_reference, booked_on, value_date, asset, units, remittance,
                          payer, state)
SELECT e.*, 'open'
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::date[], $6::date[], $7::text[], $8::numeric[],
            $9::text[], $10::text[])
    AS e (id, receipt_id, account, bank_reference, booked_on, value_date, asset, units, remittance, payer)
ORDER BY e.id
ON CONFLICT (id) DO NOTHING RETURNING id
"""
_READ = "SELECT * FROM bank_entries WHERE id = ANY($1::text[])"
_PAGE = """
SELECT * FROM bank_entries
WHERE ($1::text IS NULL OR state = $1) AND ($2::date IS NULL OR (booked_on, id) < ($2, $3))
ORDER BY booked_on DESC, id DESC LIMIT $4
"""
# What came by receipts may not have reached the payment's row yet.
_CANDIDATES = """
SELECT p.id, p.reference, p.price_asset, p.price, p.credited IS NULL AND p.look_at IS NOT NULL AS is_open,
       greatest(p.received, (
           SELECT coalesce(sum(r.units), 0) FROM bank_receipts AS r
           WHERE r.payment_id = p.id AND r.asset = p.price_asset
       )) AS came
FROM payments AS p
WHERE p.gateway = $1 AND (p.reference = ANY($2::text[]) OR p.id IN (
    SELECT id FROM payments WHERE gateway = $1 AND credited IS NULL AND look_at IS NOT NULL
    ORDER BY created_at DESC LIMIT $3))
"""
_DISMISS = """
UPDATE bank_entries SET state = 'dismissed', note = $2, settled_at = clock_timestamp() WHERE id = $1 AND state = 'open'
"""


class PostgresEntryDesk:
    """See application.bank_statements.EntryDesk."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def keep(self, entries: Sequence[Entry]) -> int:
        """See the port. A line whose transfer was confirmed before the statement came is settled as it comes."""
        columns = (
            [entry.id for entry in entries],
            [entry.receipt_id for entry in entries],
            [entry.account for entry in entries],
            [entry.bank_reference for entry in entries],
            [entry.booked_on for entry in entries],
            [entry.value_date for entry in entries],
            [entry.asset for entry in entries],
            [entry.units for entry in entries],
            [entry.remittance for entry in entries],
            [entry.payer for entry in entries],
        )
        async with self._pool.acquire() as conn, conn.transaction():
            new = {row["id"] for row in await conn.fetch(_INSERT, *columns)}
            came = sorted({entry.receipt_id for entry in entries if entry.id in new})
            for first_id, receipts in (await confirmed_under(conn, came)).items():
                for receipt in receipts:
                    await settle_lines(conn, first_id, receipt)
        return len(new)

    async def read(self, entry_ids: Sequence[str]) -> Sequence[Entry]:
        """See the port."""
        rows = {row["id"]: row for row in await self._pool.fetch(_READ, entry_ids)}
        return [_entry(rows[entry_id]) for entry_id in entry_ids if entry_id in rows]

    async def page(
        self, state: EntryState | None, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Entry], str | None]:
        """See the port."""
        before, before_id = (None, "") if cursor is None else _place(cursor)
        rows = await self._pool.fetch(_PAGE, state, before, before_id, limit)
        following = None
        if len(rows) == limit:
            following = f"{rows[-1]['booked_on'].isoformat()}{CURSOR_SEPARATOR}{rows[-1]['id']}"
        return [_entry(row) for row in rows], following

    async def candidates(self, references: Sequence[str]) -> Sequence[Candidate]:
        """See the port; of the open ones the newest OPEN_MAX_PAYMENTS."""
        rows = await self._pool.fetch(_CANDIDATES, NAME, references, OPEN_MAX_PAYMENTS)
        return [
            Candidate(
                payment_id=row["id"],
                reference=row["reference"],
                asset=row["price_asset"],
                due=int(row["price"] - row["came"]),
                is_open=row["is_open"] and row["came"] == 0,
            )
            for row in rows
        ]

    async def dismiss(self, entry_id: str, note: str) -> bool:
        """See the port."""
        status: str = await self._pool.execute(_DISMISS, entry_id, note)
        return status.endswith(" 1")


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(
        id=row["id"],
        receipt_id=row["receipt_id"],
        account=row["account"],
        bank_reference=row["bank_reference"],
        booked_on=row["booked_on"],
        value_date=row["value_date"],
        asset=row["asset"],
        units=int(row["units"]),
        remittance=row["remittance"],
        payer=row["payer"],
        state=row["state"],
        payment_id=row["payment_id"],
        note=row["note"],
    )


def _place(cursor: str) -> tuple[date, str]:
    day, _, entry_id = cursor.partition(CURSOR_SEPARATOR)
    try:
        return date.fromisoformat(day), entry_id
    except ValueError as error:
        raise InvalidField("cursor", "bad_cursor", "This is not a cursor that we gave") from error
