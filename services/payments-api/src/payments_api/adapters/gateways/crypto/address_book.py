"""Which address was given to which payment. An index is used once for ever, and a payment keeps its address.

Written in a transaction of its own, before the payment's: an address that was shown must never be shown again, whatever
becomes of the payment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog
from prometheus_client import Gauge

from payments_api.adapters.gateways.crypto.keys import AccountKey

LOOKED_BACK_MAX_ADDRESSES = 1_000
"""How far back the last used address is looked for: bounds the work of a payment's beginning."""

_GIVEN = "SELECT address, address_index FROM crypto_addresses WHERE payment_id = $1 AND key_id = $2"
_ADD_KEY = "INSERT INTO crypto_keys (id, family) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING"
_LOCK_KEY = "SELECT next_index FROM crypto_keys WHERE id = $1 FOR UPDATE"
_MOVE_ON = "UPDATE crypto_keys SET next_index = $2 + 1 WHERE id = $1"
_GIVE = """
INSERT INTO crypto_addresses (key_id, address_index, path, address, payment_id) VALUES ($1, $2, $3, $4, $5)
"""
_LAST_USED = """
SELECT max(address_index) FROM crypto_address_use WHERE key_id = $1 AND address_index > $2 AND is_used
"""

_LAST_GIVEN = "SELECT next_index - 1 FROM crypto_keys WHERE id = $1"

UNUSED_IN_A_ROW = Gauge(
    "gridledger_crypto_unused_addresses", "Addresses given out since the last that anything came to", ["family"]
)
GAP_LIMIT = Gauge("gridledger_crypto_gap_limit", "Unused addresses in a row that the wallet looks ahead")

log = structlog.get_logger("crypto")


@dataclass(frozen=True, slots=True)
class GivenAddress:
    """``index`` of the account's receiving addresses."""

    address: str
    index: int
    is_new: bool


class AddressBook:
    """The table. Wallets look ``gap_limit`` unused addresses ahead: beyond that they would not show what arrives, until
    they are told to look further."""

    def __init__(self, pool: asyncpg.Pool[Any], *, gap_limit: int) -> None:
        self._pool = pool
        self._gap_limit = gap_limit

    async def give(self, payment_id: str, key: AccountKey) -> GivenAddress:
        """The payment's address under ``key``: a new one, or the one that it has."""
        earlier = await self._pool.fetchrow(_GIVEN, payment_id, key.key_id)
        if earlier is not None:
            return GivenAddress(earlier["address"], earlier["address_index"], is_new=False)
        async with self._pool.acquire() as conn, conn.transaction():
            given = await self._give(conn, payment_id, key)
        if given.is_new:
            await self._warn(key, given.index)
        return given

    async def unused_in_a_row(self, key: AccountKey, index: int) -> int:
        """How many addresses up to ``index`` were given out since the last that anything came to; counted no further
        back than LOOKED_BACK_MAX_ADDRESSES."""
        oldest = max(-1, index - LOOKED_BACK_MAX_ADDRESSES)
        used = await self._pool.fetchval(_LAST_USED, key.key_id, oldest)
        return index - int(oldest if used is None else used)

    async def measure(self, keys: Iterable[AccountKey]) -> None:
        """Set the gauges to what stands now: of a key that gave no address yet, nought."""
        GAP_LIMIT.set(self._gap_limit)
        for key in keys:
            last = await self._pool.fetchval(_LAST_GIVEN, key.key_id)
            unused = 0 if last is None else await self.unused_in_a_row(key, last)
            UNUSED_IN_A_ROW.labels(key.family).set(unused)

    async def _give(self, conn: Any, payment_id: str, key: AccountKey) -> GivenAddress:
        index = await conn.fetchval(_LOCK_KEY, key.key_id)
        if index is None:
            await conn.execute(_ADD_KEY, key.key_id, key.family)
            index = await conn.fetchval(_LOCK_KEY, key.key_id)
        # Under the key's lock nobody else gives: the same payment, asked for twice at once, is seen here.
        earlier = await conn.fetchrow(_GIVEN, payment_id, key.key_id)
        if earlier is not None:
            return GivenAddress(earlier["address"], earlier["address_index"], is_new=False)
        address = key.address(index)
        await conn.execute(_GIVE, key.key_id, index, key.path(index), address, payment_id)
        await conn.execute(_MOVE_ON, key.key_id, index)
        return GivenAddress(address, index, is_new=True)

    async def _warn(self, key: AccountKey, index: int) -> None:
        unused = await self.unused_in_a_row(key, index)
        # Once each time that the wallet would have to look another gap further.
        if unused > self._gap_limit and (unused - 1) % self._gap_limit == 0:
            log.warning("addresses_beyond_gap_limit", key=key.key_id, unused=unused, gap_limit=self._gap_limit)
