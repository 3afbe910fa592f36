"""An Ethereum node that answers as a test says, behind real JSON-RPC: every block has one transaction with one log, and
a header that tells of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from gateway_ingest.adapters.chains.bloom import FULL, filter_of_logs
from gateway_ingest.adapters.chains.evm import EvmChain
from gateway_ingest.adapters.chains.evm_logs import TRANSFER_TOPIC
from gateway_ingest.adapters.chains.json_rpc import JsonRpc
from gateway_ingest.domain.networks import NETWORKS, Token

OURS, TOKEN = "0x" + "aa" * 20, "0x" + "cc" * 20
SECRET_URL = "http://user:hush@node.invalid/v2/hush"
Log = dict[str, Any]


def padded(address: str) -> str:
    return f"0x{address[2:]:0>64}"


def hash_of(number: int, kind: str = "b") -> str:
    return f"0x{kind * 4}{number:060x}"


def transfer_log(number: int, **changes: Any) -> Log:
    return {
        "address": TOKEN,
        "topics": [TRANSFER_TOPIC, padded("0x01"), padded(OURS)],
        "data": hex(7),
        "blockHash": hash_of(number),
        "transactionHash": hash_of(number, "d"),
    } | changes


class Node:
    """``in_range`` and ``by_hash`` say whether the node's index of logs has what its blocks have."""

    def __init__(self, log: Callable[[int], Log] = transfer_log, range_max: int = 1_000) -> None:
        self.log = log
        self.range_max = range_max
        self.ranges: list[tuple[int, int]] = []
        self.asked: Counter[str] = Counter()
        self.in_range = True
        self.by_hash = True
        self.bloom: str | None = None
        self.lists_transactions = True
        self.receipt_changes: dict[str, Any] = {}
        self.answers: dict[str, Callable[..., Any]] = {
            "eth_getBlockByNumber": self.block,
            "eth_getLogs": self.logs,
            "eth_getTransactionReceipt": self.receipt,
            "eth_getBlockReceipts": self.receipts,
        }

    def block(self, number: str, full: bool) -> dict[str, Any]:
        at = int(number, 16)
        tx = {"hash": hash_of(at, "d"), "to": TOKEN, "value": "0x0"}
        header = {
            "number": number,
            "hash": hash_of(at),
            "parentHash": hash_of(at - 1),
            "timestamp": hex(at),
            "logsBloom": self.bloom or bloom_of(self.log(at)),
        }
        listed = [tx if full else tx["hash"]] if self.lists_transactions else []
        return header | {"transactions": listed}

    def logs(self, wanted: dict[str, Any]) -> list[Log]:
        if "blockHash" in wanted:
            self.asked["by_hash"] += 1
            return [self.log(int(wanted["blockHash"][6:], 16))] if self.by_hash else []
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        self.ranges.append((first, last))
        if last - first >= self.range_max:
            raise ValueError("range too wide")
        return [self.log(number) for number in range(first, last + 1)] if self.in_range else []

    def receipt(self, tx: str) -> dict[str, Any] | None:
        self.asked["receipt"] += 1
        at = int(tx[6:], 16)
        found = {"blockHash": hash_of(at), "blockNumber": hex(at), "transactionHash": tx, "status": "0x1"}
        found |= {"logs": [self.log(at)]}
        return found | self.receipt_changes

    def receipts(self, block: str) -> list[Any] | None:
        self.asked["receipts"] += 1
        return [self.receipt(hash_of(int(block[6:], 16), "d"))]

    def chain(self) -> EvmChain:
        return EvmChain(NETWORKS["ethereum"], rpc(self.answers), [Token("ethereum", "USDC", TOKEN, 6)], chain_id=1)


def bloom_of(log: Log) -> str:
    """A header's; one that may hold anything where the log is none that could be in a block."""
    try:
        return hex(filter_of_logs([log]))
    except (KeyError, TypeError, ValueError):
        return hex(FULL)


def rpc(answers: Mapping[str, Callable[..., Any]]) -> JsonRpc:
    """A node that answers by this table; what is not in it, and what raises ValueError, it refuses."""

    def respond(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        try:
            if asked["method"] not in answers:
                raise ValueError("the method does not exist")
            return httpx.Response(200, json={"id": asked["id"], "result": answers[asked["method"]](*asked["params"])})
        except ValueError as refused:
            return httpx.Response(500, json={"id": asked["id"], "error": {"code": -32005, "message": str(refused)}})

    return JsonRpc("ethereum", SECRET_URL, timeout_s=1, transport=httpx.MockTransport(respond))
