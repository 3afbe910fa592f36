"""A node that speaks Ethereum's interface: the network's own coin by transactions, tokens by their Transfer logs.

A transaction that may concern us is believed by its receipt alone: it succeeded, in this very block. Coins that a
contract sends from within (no transaction of its own) leave no trace that is looked at here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chassis.settings import SettingsError
from gateway_ingest.adapters.chains.json_rpc import JsonRpc, NodeRefused, reading
from gateway_ingest.application.watching_ports import ChainMoved, Pool, Scanned
from gateway_ingest.domain.deposits import Block, Transfer
from gateway_ingest.domain.facts import Amount
from gateway_ingest.domain.networks import Network, Token

TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""Transfer(address,address,uint256). An ERC-721 has the same, and four topics."""
TRANSFER_TOPICS = 3
DECIMALS_CALL = "0x313ce567"
RECIPIENTS_MAX = 200
"""In one filter; nodes refuse endless ones."""
FILTERS_MAX = 5
"""Where more would be needed, all transfers of our tokens are asked for instead: anybody may begin payments, and what a
block costs must not grow with them."""
CALLS_AT_ONCE = 4
OWN_COIN_PLACE = "0"

_HASH = re.compile(r"0x[0-9a-f]{64}")


class EvmChain:
    """The Chain port."""

    def __init__(self, network: Network, rpc: JsonRpc, tokens: Sequence[Token], *, chain_id: int) -> None:
        self.network = network.key
        self._coin = network
        self._rpc = rpc
        self._tokens = {token.contract: token for token in tokens}
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

    async def close(self) -> None:
        """See the port."""
        await self._rpc.close()

    async def _span(self, first: int, last: int, wanted: frozenset[str]) -> Sequence[Scanned]:
        blocks = await asyncio.gather(*(self._full_block(number) for number in range(first, last + 1)))
        found = {block["hash"]: self._own_coin(block, wanted) for block in blocks}
        for log in await self._logs(first, last, sorted(wanted)):
            if log["blockHash"] not in found:
                raise ChainMoved(f"{self.network}: a log of a block that is none of the chain's")
            found[log["blockHash"]].add(log["transactionHash"])
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

    async def _logs(self, first: int, last: int, recipients: Sequence[str]) -> list[dict[str, Any]]:
        """Transfer logs of our tokens to us. A node that finds the range too wide is asked for its halves."""
        if not self._tokens or not recipients:
            return []
        if len(recipients) > FILTERS_MAX * RECIPIENTS_MAX:
            ours = frozenset(recipients)
            logs = [log for log in await self._logs_to(first, last, None) if _recipient(log["topics"]) in ours]
        else:
            logs = []
            for start in range(0, len(recipients), RECIPIENTS_MAX):
                padded = [f"0x{key[2:]:0>64}" for key in recipients[start : start + RECIPIENTS_MAX]]
                logs += await self._logs_to(first, last, padded)
        return [log for log in logs if not log.get("removed")]

    async def _logs_to(self, first: int, last: int, padded: Sequence[str] | None) -> list[dict[str, Any]]:
        """Those to ``padded``; to anybody where that is None."""
        wanted = {
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "address": sorted(self._tokens),
            "topics": [TRANSFER_TOPIC] if padded is None else [TRANSFER_TOPIC, None, list(padded)],
        }
        try:
            found: list[dict[str, Any]] = await self._rpc.call("eth_getLogs", wanted)
        except NodeRefused:
            if first == last:
                raise
            middle = (first + last) // 2
            return await self._logs_to(first, middle, padded) + await self._logs_to(middle + 1, last, padded)
        return found

    async def _scanned(self, block: dict[str, Any], ours: set[str], wanted: frozenset[str]) -> Scanned:
        transfers: list[Transfer] = []
        for tx in block["transactions"]:
            if tx["hash"] in ours:
                transfers += await self._transfers(block, tx, wanted)
        return Scanned(_block(block), transfers)

    async def _transfers(
        self, block: Mapping[str, Any], tx: Mapping[str, Any], wanted: frozenset[str]
    ) -> list[Transfer]:
        receipt = await self._rpc.call("eth_getTransactionReceipt", tx["hash"])
        if receipt is None or receipt["blockHash"] != block["hash"]:
            raise ChainMoved(f"{self.network}: a receipt of another block")
        if _number(receipt["status"]) != 1:
            return []
        found = list(self._of_tokens(tx["hash"], receipt["logs"], wanted))
        to, units = (tx.get("to") or "").lower(), _number(tx["value"])
        if to in wanted and units > 0:
            amount = Amount(units, self._coin.coin, self._coin.exponent)
            found.append(Transfer(_hash(tx["hash"]), OWN_COIN_PLACE, to, amount))
        return found

    def _of_tokens(self, tx_hash: str, logs: Sequence[Mapping[str, Any]], wanted: frozenset[str]) -> Iterator[Transfer]:
        """By their place in the receipt: it stays when a fork moves the transaction within a block or to another."""
        for place, log in enumerate(logs, start=1):
            token = self._tokens.get(log["address"].lower())
            topics = log["topics"]
            if token is None or len(topics) != TRANSFER_TOPICS or topics[0] != TRANSFER_TOPIC:
                continue
            to, units = _recipient(topics), _number(log["data"])
            # Anybody can make a token tell of a transfer of nothing.
            if to in wanted and units > 0:
                yield Transfer(_hash(tx_hash), str(place), to, Amount(units, token.code, token.exponent))


def _recipient(topics: Sequence[str]) -> str | None:
    """None where a token does not tell it as others do."""
    return f"0x{topics[2][-40:].lower()}" if len(topics) == TRANSFER_TOPICS else None


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
