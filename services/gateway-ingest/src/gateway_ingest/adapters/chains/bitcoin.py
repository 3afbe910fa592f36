"""A node that speaks Bitcoin Core's interface (Core, btcd, bcoin): blocks and waiting transactions, matched by script.

Needs neither a wallet nor an index of transactions; no key of ours ever comes near it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chassis.settings import SettingsError
from contracts.amounts import parse_units
from gateway_ingest.adapters.chains.json_rpc import JsonRpc, NodeRefused, reading
from gateway_ingest.adapters.chains.recipients import ANYBODY
from gateway_ingest.application.watching_ports import ChainMoved, Looked, Pool, Scanned
from gateway_ingest.domain.deposits import Block, Transfer
from gateway_ingest.domain.facts import Amount

COIN, EXPONENT = "BTC", 8
VERBOSE_WITH_TRANSACTIONS = 2
POOL_MAX_NEW = 500
"""Waiting transactions that are looked at in one go; the others have their turn later."""

_HASH = re.compile(r"[0-9a-f]{64}")


class BitcoinChain:
    """The Chain port."""

    network = "bitcoin"

    def __init__(self, rpc: JsonRpc, *, genesis: str | None = None) -> None:
        """``genesis`` is the first block's hash where a certain network is meant."""
        self._rpc = rpc
        self._genesis = genesis
        self._looked_at: set[str] = set()

    async def check(self) -> None:
        """See the port."""
        found = await self._rpc.call("getblockhash", 0)
        if self._genesis is not None and found != self._genesis:
            raise SettingsError("CRYPTO_BITCOIN_RPC_URL: the node is on another network than CRYPTO_BITCOIN_GENESIS")

    async def tip(self) -> Block:
        """See the port."""
        return await self._header(await self._rpc.call("getbestblockhash"))

    async def block(self, number: int) -> Block | None:
        """See the port."""
        try:
            found = await self._rpc.call("getblockhash", number)
        except NodeRefused:
            # Nodes name this error differently; whether it is this one, the chain's length says.
            if await self._rpc.call("getblockcount") < number:
                return None
            raise
        return await self._header(found)

    async def scan(self, first: int, last: int, keys: Collection[str]) -> Sequence[Scanned]:
        """See the port."""
        wanted = frozenset(keys)
        with reading(self.network):
            return [await self._scan(number, wanted) for number in range(first, last + 1)]

    async def pool(self, keys: Collection[str]) -> Pool | None:
        """See the port."""
        with reading(self.network):
            return await self._pool(frozenset(keys))

    async def transaction(self, tx: str, in_block: int | None = None) -> Looked | None:
        """See the port. Where the node keeps no index of transactions, the block must be named."""
        with reading(self.network):
            if in_block is not None:
                return await self._in_block(tx, in_block)
            try:
                found = await self._rpc.call("getrawtransaction", tx, 1)
            except NodeRefused:
                return None
            if not found.get("blockhash"):
                return Looked(None)
            block = await self._header(found["blockhash"])
            if await self._rpc.call("getblockhash", block.number) != block.hash:
                raise ChainMoved(f"{self.network}: a transaction of a block that is none of the chain's")
            return Looked(block, list(_transfers(found, ANYBODY)))

    async def balance(self, key: str, number: int) -> int | None:
        """Nothing moves here but by transactions: nobody needs to ask."""
        return None

    async def close(self) -> None:
        """See the port."""
        await self._rpc.close()

    async def _pool(self, wanted: frozenset[str]) -> Pool:
        waiting = frozenset(await self._rpc.call("getrawmempool"))
        self._looked_at &= waiting
        transfers: list[Transfer] = []
        for tx in sorted(waiting - self._looked_at)[:POOL_MAX_NEW]:
            try:
                found = await self._rpc.call("getrawtransaction", tx, 1)
            except NodeRefused:
                # It left the pool in between; where it went, the next look says.
                continue
            transfers += _transfers(found, wanted)
            self._looked_at.add(tx)
        return Pool(waiting, transfers)

    async def _header(self, block_hash: str) -> Block:
        with reading(self.network):
            return _block(await self._rpc.call("getblockheader", block_hash, True))

    async def _scan(self, number: int, wanted: frozenset[str]) -> Scanned:
        found = await self._full_block(number)
        return Scanned(_block(found), [one for tx in _transactions(found) for one in _transfers(tx, wanted)])

    async def _in_block(self, tx: str, number: int) -> Looked | None:
        if await self.block(number) is None:
            return None
        found = await self._full_block(number)
        for one in _transactions(found):
            if one["txid"] == tx:
                return Looked(_block(found), list(_transfers(one, ANYBODY)))
        return None

    async def _full_block(self, number: int) -> Any:
        block_hash = await self._rpc.call("getblockhash", number)
        return await self._rpc.call("getblock", block_hash, VERBOSE_WITH_TRANSACTIONS)


def _block(found: Any) -> Block:
    time = datetime.fromtimestamp(int(found["time"]), UTC)
    return Block(int(found["height"]), _hash(found["hash"]), found.get("previousblockhash", ""), time)


def _transactions(block: Any) -> Any:
    """btcd calls them rawtx."""
    return block.get("rawtx") or block.get("tx")


def _transfers(tx: Any, wanted: Container[str]) -> Iterator[Transfer]:
    """What the transaction moves to ``wanted``."""
    for output in tx["vout"]:
        script = output["scriptPubKey"]["hex"]
        if script in wanted:
            yield Transfer(_hash(tx["txid"]), str(int(output["n"])), script, _amount(output["value"]), _mints(tx))


def _mints(tx: Any) -> bool:
    return any("coinbase" in spent for spent in tx["vin"])


def _amount(value: Decimal | int) -> Amount:
    """Raises AmountError, a ValueError."""
    return Amount(parse_units(value, f"{COIN}/{EXPONENT}"), COIN, EXPONENT)


def _hash(text: str) -> str:
    if _HASH.fullmatch(text) is None:
        raise ValueError("no hash")
    return text
