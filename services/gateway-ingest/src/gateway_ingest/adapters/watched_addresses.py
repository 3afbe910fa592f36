"""The table of addresses that coins are awaited at: written when a payment begins, read by the watchers.

One address of a payer's may be reached on every network of its family, so it is watched on each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class NewAddress:
    """``is_quoted`` on the network that was agreed with the payer; ``told_at`` is when they could first pay."""

    network: str
    match_key: str
    address: str
    reference: str
    payment_id: str
    user_id: str
    is_quoted: bool
    token: str | None
    asset: str
    price: int
    confirmations: int
    told_at: datetime
    expires_at: datetime
    watch_until: datetime


_INSERT = """
INSERT INTO watched_addresses (network, match_key, address, reference, payment_id, user_id, is_quoted, token, asset,
                               price, confirmations, told_at, expires_at, watch_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (network, match_key) DO NOTHING
"""
_OTHERS = """
SELECT EXISTS (SELECT FROM watched_addresses
               WHERE network = ANY($1::text[]) AND match_key = $2 AND payment_id <> $3)
"""


async def watch(connection: Any, addresses: Sequence[NewAddress]) -> bool:
    """Watch these, all of one payment, in the caller's transaction; what is watched already stays as it is.

    Answers False, and writes nothing, when another payment has the address: its coins would be taken for this one's.
    """
    first = addresses[0]
    networks = [address.network for address in addresses]
    if await connection.fetchval(_OTHERS, networks, first.match_key, first.payment_id):
        return False
    await connection.executemany(_INSERT, [_row(address) for address in addresses])
    return True


def _row(new: NewAddress) -> tuple[Any, ...]:
    return (
        new.network,
        new.match_key,
        new.address,
        new.reference,
        new.payment_id,
        new.user_id,
        new.is_quoted,
        new.token,
        new.asset,
        Decimal(new.price),
        new.confirmations,
        new.told_at,
        new.expires_at,
        new.watch_until,
    )
