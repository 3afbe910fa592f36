"""Transfers of our tokens to us by a node's logs, held against the filters in the headers of their blocks.

A node's index of logs may lag behind its blocks, and then answers an empty list without an error. So where a header
says that a log of ours may be there and none came, the block itself is asked about, until the node can show all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import structlog

from gateway_ingest.adapters.chains.bloom import filter_of, filter_of_logs, may_hold
from gateway_ingest.adapters.chains.json_rpc import JsonRpc, NodeRefused
from gateway_ingest.application.watching_ports import ChainMoved

TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""Transfer(address,address,uint256). An ERC-721 has the same, and four topics."""
TRANSFER_TOPICS = 3
RECIPIENTS_MAX = 200
"""In one filter; nodes refuse endless ones."""
BLOCKS_AT_ONCE = 4
"""Where filters are dense nearly every block is asked about, and a chain must not outrun the answers."""
FILTERS_MAX = 5
"""Where more would be needed, all transfers of our tokens are asked for instead: anybody may begin payments, and what a
block costs must not grow with them."""

Found: TypeAlias = Mapping[str, Any]
"""What a node answers: a block, a log, a receipt."""

log = structlog.get_logger(__name__)


class TransferLogs:
    """The logs of one network's tokens."""

    def __init__(self, network: str, rpc: JsonRpc, contracts: Collection[str]) -> None:
        self._network = network
        self._rpc = rpc
        self._contracts = sorted(contracts)

    async def sent_to(self, wanted: frozenset[str], blocks: Sequence[Found]) -> Sequence[Found]:
        """Those of the blocks, which follow each other, that tell of a transfer to one of ``wanted``. Raises ChainMoved
        as long as the node does not show what a block's header speaks of."""
        if not self._contracts or not wanted:
            return []
        # None: to anybody, and none at all is what gives an index away that lags.
        recipients = sorted(wanted) if len(wanted) <= FILTERS_MAX * RECIPIENTS_MAX else None
        logs = await self._in_range(blocks, recipients)
        told = [(block, [one for one in logs if one["blockHash"] == block["hash"]]) for block in blocks]
        lacking = [(block, known) for block, known in told if self._may_lack(block, known, recipients)]
        for start in range(0, len(lacking), BLOCKS_AT_ONCE):
            asked = (self._of(block, wanted, known) for block, known in lacking[start : start + BLOCKS_AT_ONCE])
            logs += chain.from_iterable(await asyncio.gather(*asked))
        return [one for one in logs if recipient_of(one) in wanted]

    def _may_lack(self, block: Found, logs: Sequence[Found], recipients: Sequence[str] | None) -> bool:
        shown = filter_of(block)
        if not may_hold(shown, TRANSFER_TOPIC) or not any(may_hold(shown, token) for token in self._contracts):
            return False
        if recipients is None:
            return not logs
        told = {recipient_of(one) for one in logs}
        return any(may_hold(shown, topic_of(key)) for key in recipients if key not in told)

    async def _of(self, block: Found, wanted: frozenset[str], known: Sequence[Found]) -> Sequence[Found]:
        """All transfers of our tokens in the block. One is enough to know that the node's index has it; where there is
        none, its receipts decide."""
        filters = {"blockHash": block["hash"], "address": self._contracts, "topics": [TRANSFER_TOPIC]}
        logs = _standing(await self._rpc.call("eth_getLogs", filters)) or await self._of_receipts(block)
        missed = {one["transactionHash"] for one in logs if recipient_of(one) in wanted}
        if missed := missed - {one["transactionHash"] for one in known}:
            log.warning("node_s_logs_lag", network=self._network, block=block["number"], missed=len(missed))
        return logs

    async def _of_receipts(self, block: Found) -> Sequence[Found]:
        """The same by what every transaction of the block left, which must be all that its header speaks of."""
        receipts = await self._receipts(block)
        logs = [one for receipt in receipts for one in receipt["logs"]]
        is_whole = {_hash_of(tx) for tx in block["transactions"]} <= {one["transactionHash"] for one in receipts}
        shown = block.get("logsBloom")
        if not is_whole or (shown is not None and filter_of(block) & ~filter_of_logs(logs)):
            raise ChainMoved(f"{self._network}: a block's receipts are not all there yet")
        return [one for one in _standing(logs) if one["address"].lower() in self._contracts and _is_transfer(one)]

    async def _receipts(self, block: Found) -> Sequence[Found]:
        try:
            found = await self._rpc.call("eth_getBlockReceipts", block["hash"])
        except NodeRefused:
            # Not every node knows this question.
            hashes = [_hash_of(tx) for tx in block["transactions"]]
            found = [await self._rpc.call("eth_getTransactionReceipt", one) for one in hashes]
        if found is None or any(one is None or one["blockHash"] != block["hash"] for one in found):
            raise ChainMoved(f"{self._network}: a block's receipts are not there yet")
        return list(found)

    async def _in_range(self, blocks: Sequence[Found], recipients: Sequence[str] | None) -> list[Found]:
        first, last = int(blocks[0]["number"], 16), int(blocks[-1]["number"], 16)
        if recipients is None:
            logs = await self._logs(first, last, None)
        else:
            logs = []
            for start in range(0, len(recipients), RECIPIENTS_MAX):
                padded = [topic_of(key) for key in recipients[start : start + RECIPIENTS_MAX]]
                logs += await self._logs(first, last, padded)
        return _standing(logs)

    async def _logs(self, first: int, last: int, padded: Sequence[str] | None) -> list[Found]:
        """Those to ``padded``; to anybody where that is None. A node that finds the range too wide is asked for its
        halves."""
        wanted = {
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "address": self._contracts,
            "topics": [TRANSFER_TOPIC] if padded is None else [TRANSFER_TOPIC, None, list(padded)],
        }
        try:
            found: list[Found] = await self._rpc.call("eth_getLogs", wanted)
        except NodeRefused:
            if first == last:
                raise
            middle = (first + last) // 2
            return await self._logs(first, middle, padded) + await self._logs(middle + 1, last, padded)
        return found


def recipient_of(transfer: Found) -> str | None:
    """None where it is no transfer, or a token does not tell it as others do."""
    return f"0x{transfer['topics'][2][-40:].lower()}" if _is_transfer(transfer) else None


def topic_of(key: str) -> str:
    """An address as logs have it."""
    return f"0x{key[2:]:0>64}"


def _is_transfer(found: Found) -> bool:
    return len(found["topics"]) == TRANSFER_TOPICS and found["topics"][0] == TRANSFER_TOPIC


def _standing(logs: Sequence[Found]) -> list[Found]:
    return [one for one in logs if not one.get("removed")]


def _hash_of(tx: Found | str) -> str:
    found: str = tx if isinstance(tx, str) else tx["hash"]
    return found
