"""Receipts of the bank's references, and the lines that they settle, in PostgreSQL: what both desks look at.

Called within the transaction of a desk. Decides nothing: see ``application.bank_sameness``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from payments_api.application.bank_sameness import Confirmed, Line, lines_of

# A line from before settled_by was settled by the receipt of its reference: there was no other.
_CONFIRMED = """
SELECT r.id, coalesce(r.again_of, r.id) AS first_id, r.payment_id, p.reference, r.asset, r.units, r.value_date,
       (r.created_at AT TIME ZONE 'UTC')::date AS kept_on,
       ARRAY(SELECT e.booked_on FROM bank_entries AS e
             WHERE e.receipt_id = coalesce(r.again_of, r.id) AND e.state = 'accepted'
               AND coalesce(e.settled_by, e.receipt_id) = r.id) AS booked_on
FROM bank_receipts AS r JOIN payments AS p ON p.id = r.payment_id
WHERE r.id = ANY($1::text[]) OR r.again_of = ANY($1::text[])
ORDER BY r.created_at, r.id
"""
_LINES = """
SELECT id, booked_on, value_date, asset, units, remittance FROM bank_entries
WHERE receipt_id = $1 AND state <> 'accepted'
"""
_SETTLE = """
UPDATE bank_entries SET state = 'accepted', payment_id = $2, settled_by = $3, note = NULL,
                        settled_at = clock_timestamp()
WHERE id = ANY($1::text[]) AND state <> 'accepted'
"""


async def confirmed_under(conn: Any, first_ids: Sequence[str]) -> Mapping[str, Sequence[Confirmed]]:
    """The receipts of some references, oldest first, by the id that the reference makes."""
    found: dict[str, list[Confirmed]] = {}
    for row in await conn.fetch(_CONFIRMED, first_ids):
        found.setdefault(row["first_id"], []).append(_confirmed(row))
    return found


async def settle_lines(conn: Any, first_id: str, receipt: Confirmed, *, own: str | None = None) -> None:
    """Accept with ``receipt`` the lines that tell of it, and its ``own``."""
    lines = [_line(row) for row in await conn.fetch(_LINES, first_id)]
    settled = {*lines_of(receipt, lines)} | ({own} if own is not None else set())
    if settled:
        await conn.execute(_SETTLE, sorted(settled), receipt.payment_id, receipt.id)


def _confirmed(row: Mapping[str, Any]) -> Confirmed:
    return Confirmed(
        id=row["id"],
        payment_id=row["payment_id"],
        reference=row["reference"],
        asset=row["asset"],
        units=int(row["units"]),
        value_date=row["value_date"],
        kept_on=row["kept_on"],
        booked_on=frozenset(row["booked_on"]),
    )


def _line(row: Mapping[str, Any]) -> Line:
    return Line(
        id=row["id"],
        booked_on=row["booked_on"],
        value_date=row["value_date"],
        asset=row["asset"],
        units=int(row["units"]),
        remittance=row["remittance"],
    )
