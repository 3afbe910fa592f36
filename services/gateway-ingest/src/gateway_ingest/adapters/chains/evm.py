"""A node that speaks Ethereum's interface: the network's own coin by transactions, tokens by their Transfer logs.

A transaction that may concern us is believed by its receipt alone: it succeeded, in this very block. Coins that a
contract sends from within (no transaction of its own) are seen only where somebody names the transaction, and the node
can trace it.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chassis.settings import SettingsError
from gateway_ingest.adapters.chains.evm_logs import TransferLogs, recipient_of
from gateway_ingest.adapters.chains.json_rpc import JsonRpc, NodeRefused, reading
from gateway_ingest.adapters.chains.recipients import ANYBODY
from gateway_ingest.application.watching_ports import ChainMoved, Looked, Pool, Scanned
from gateway_ingest.domain.deposits import Block, Transfer, place_within
from gateway_ingest.domain.facts import Amount
from gateway_ingest.domain.networks import Network, Token

DECIMALS_CALL = "0x313ce567"
CALLS_AT_ONCE = 4
OWN_COIN_PLACE = "0"
MOVING_CALLS = frozenset({"CALL", "CREATE", "CREATE2", "SELFDESTRUCT"})
"""Others show a value, too, and move none."""

_HASH = re.compile(r"0x[0-9a-f]{64}")


class EvmChain:
    """The Chain port."""

    def __init__(self, network: Network, rpc: JsonRpc, tokens: Sequence[Token], *, chain_id: int) -> None:
        self.network = network.key
        self._coin = network
        self._rpc = rpc
        self._tokens = {token.contract: token for token in tokens}
        self._logs = TransferLogs(network.key, rpc, self._tokens)
        self._chain_id = chain_id
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)

    async def check(self) -> None:
        """See the port."""
        with reading(self.network):
            found = _number(await self._rpc.call("eth_chainId"))
        if found != self._chain_id:
            variable = f"CRYPTO_{self.network.upper()}_RPC_URL"
            raise SettingsError(f"{variable}: the node is on chain {found}, not on {self._chain_id}")
        for token in self._tokens.values():
            await self._check_decimals(token)

    async def tip(self) -> Block:
        """See the port."""
        with reading(self.network):
            return _block(await self._rpc.call("eth_getBlockByNumber", "latest", False))

    async def block(self, number: int) -> Block | None:
        """See the port."""
        found = await self._rpc.call("eth_getBlockByNumber", hex(number), False)
        with reading(self.network):
            return None if found is None else _block(found)

    async def scan(self, first: int, last: int, keys: Collection[str]) -> Sequence[Scanned]:
        """See the port."""
        with reading(self.network):
            return await self._span(first, last, frozenset(keys))

    async def pool(self, keys: Collection[str]) -> Pool | None:
        """Blocks come quickly; what waits for one is not looked at."""
        return None

    async def transaction(self, tx: str, in_block: int | None = None) -> Looked | None:
        """See the port. The node finds the block by itself."""
        with reading(self.network):
            receipt = await self._rpc.call("eth_getTransactionReceipt", tx)
            sent = await self._rpc.call("eth_getTransactionByHash", tx)
            if receipt is None:
                return None if sent is None else Looked(None)
            return await self._looked(tx, sent, receipt)

    async def balance(self, key: str, number: int) -> int | None:
        """See the port."""
        with reading(self.network):
            try:
                return _number(await self._rpc.call("eth_getBalance", key, hex(number)))
            except NodeRefused:
                # Few nodes remember what every account held long ago.
                return None

    async def close(self) -> None:
        """See the port."""
        await self._rpc.close()

    async def _looked(self, tx: str, sent: Mapping[str, Any] | None, receipt: Mapping[str, Any]) -> Looked:
        header = await self._rpc.call("eth_getBlockByNumber", receipt["blockNumber"], False)
        if header is None or header["hash"] != receipt["blockHash"]:
            raise ChainMoved(f"{self.network}: a receipt of another block")
        if not _has_succeeded(receipt):
            return Looked(_block(header), has_failed=True)
        within = await self._within(tx)
        transfers = [*self._moved(tx, sent, receipt, ANYBODY), *(within or ())]
        return Looked(_block(header), transfers, is_all=within is not None)

    async def _span(self, first: int, last: int, wanted: frozenset[str]) -> Sequence[Scanned]:
        blocks = await asyncio.gather(*(self._full_block(number) for number in range(first, last + 1)))
        found = {block["hash"]: self._own_coin(block, wanted) for block in blocks}
        for log in await self._logs.sent_to(wanted, blocks):
            if log["blockHash"] not in found:
                raise ChainMoved(f"{self.network}: a log of a block that is none of the chain's")
            found[log["blockHash"]].add(_hash(log["transactionHash"]))
        return [await self._scanned(block, found[block["hash"]], wanted) for block in blocks]

    async def _check_decimals(self, token: Token) -> None:
        answer = await self._rpc.call("eth_call", {"to": token.contract, "data": DECIMALS_CALL}, "latest")
        if not isinstance(answer, str) or len(answer) <= 2 or int(answer, 16) != token.exponent:
            raise SettingsError(
                f"CRYPTO_TOKENS: {token.code} on {self.network} has not {token.exponent} decimals, by its contract"
            )

    async def _full_block(self, number: int) -> dict[str, Any]:
        async with self._slots:
            found = await self._rpc.call("eth_getBlockByNumber", hex(number), True)
        if not isinstance(found, dict):
            raise ChainMoved(f"{self.network}: a block that was there is missing")
        return found

    def _own_coin(self, block: Mapping[str, Any], wanted: frozenset[str]) -> set[str]:
        """Hashes of the transactions that send the network's own coin to us."""
        return {
            tx["hash"]
            for tx in block["transactions"]
            if (tx.get("to") or "").lower() in wanted and _number(tx["value"]) > 0
        }

    async def _scanned(self, block: dict[str, Any], ours: set[str], wanted: frozenset[str]) -> Scanned:
        listed = {tx["hash"]: tx for tx in block["transactions"] if tx["hash"] in ours}
        transfers: list[Transfer] = []
        # A log may be of a transaction that its block does not list: so Polygon's bridge pays out.
        for tx_hash in (*listed, *sorted(ours - listed.keys())):
            receipt = await self._rpc.call("eth_getTransactionReceipt", tx_hash)
            if receipt is None or receipt["blockHash"] != block["hash"]:
                raise ChainMoved(f"{self.network}: a receipt of another block")
            if _has_succeeded(receipt):
                transfers += self._moved(tx_hash, listed.get(tx_hash), receipt, wanted)
        return Scanned(_block(block), transfers)

    def _moved(
        self, tx_hash: str, tx: Mapping[str, Any] | None, receipt: Mapping[str, Any], wanted: Container[str]
    ) -> list[Transfer]:
        """What a transaction that succeeded moves to ``wanted``, but what contracts send from within."""
        found = list(self._of_tokens(tx_hash, receipt["logs"], wanted))
        if tx is None:
            return found
        to, units = (tx.get("to") or "").lower(), _number(tx["value"])
        if to and to in wanted and units > 0:
            found.append(Transfer(_hash(tx_hash), OWN_COIN_PLACE, to, self._coins(units)))
        return found

    async def _within(self, tx: str) -> list[Transfer] | None:
        """What contracts send of the network's own coin while the transaction runs; None where the node cannot tell."""
        try:
            top = await self._rpc.call("debug_traceTransaction", tx, {"tracer": "callTracer"})
        except NodeRefused:
            return None
        sums: Counter[str] = Counter()
        for call in _calls_below(top):
            if call["type"] in MOVING_CALLS and call.get("to") and call["to"] != call["from"]:
                sums[call["to"].lower()] += _number(call.get("value") or "0x0")
        return [Transfer(tx, place_within(to), to, self._coins(units)) for to, units in sums.items() if units > 0]

    def _coins(self, units: int) -> Amount:
        return Amount(units, self._coin.coin, self._coin.exponent)

    def _of_tokens(self, tx_hash: str, logs: Sequence[Mapping[str, Any]], wanted: Container[str]) -> Iterator[Transfer]:
        """By their place in the receipt: it stays when a fork moves the transaction within a block or to another."""
        for place, log in enumerate(logs, start=1):
            token = self._tokens.get(log["address"].lower())
            to = recipient_of(log)
            if token is None or to is None or to not in wanted:
                continue
            units = _number(log["data"])
            # Anybody can make a token tell of a transfer of nothing.
            if units > 0:
                yield Transfer(_hash(tx_hash), str(place), to, Amount(units, token.code, token.exponent))


def _calls_below(top: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All calls within, but what was undone because it or a call around it failed."""
    waiting = list(top.get("calls", ()))
    while waiting:
        call = waiting.pop()
        if "error" not in call:
            yield call
            waiting += call.get("calls", ())


def _has_succeeded(receipt: Mapping[str, Any]) -> bool:
    return _number(receipt["status"]) == 1


def _block(found: Any) -> Block:
    time = datetime.fromtimestamp(_number(found["timestamp"]), UTC)
    return Block(_number(found["number"]), _hash(found["hash"]), _hash(found["parentHash"]), time)


def _number(quantity: Any) -> int:
    """Raises ValueError, TypeError."""
    return int(quantity, 16)


def _hash(text: str) -> str:
    found = text.lower()
    if _HASH.fullmatch(found) is None:
        raise ValueError("no hash")
    return found
