"""A node's index of logs that lags behind its blocks loses nobody's coins, and what its headers deny costs nothing."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_ingest.adapters.chains.bloom import FULL, filter_of, filter_of_logs, may_hold
from gateway_ingest.adapters.chains.evm_logs import BLOCKS_AT_ONCE, FILTERS_MAX, RECIPIENTS_MAX, TRANSFER_TOPIC
from gateway_ingest.application.watching_ports import ChainMoved

from .scripted_node import OURS, TOKEN, Node, hash_of, padded, transfer_log

OTHERS = "0x" + "bb" * 20
MANY = [OURS, *(f"0x{number:040x}" for number in range(10, 10 + FILTERS_MAX * RECIPIENTS_MAX))]


async def seen(node: Node, first: int = 5, last: int = 5, keys: list[str] | None = None) -> list[str]:
    """Hashes of the transactions that moved something to us."""
    return [one.tx for scanned in await node.chain().scan(first, last, keys or [OURS]) for one in scanned.transfers]


def test_a_filter_is_the_one_of_ethereum() -> None:
    # The bits are 12 to 15 to a word of keccak-256, by the yellow paper: of the empty text's hash, c5d2 4601 86f7.
    bits = filter_of_logs([{"address": "0x", "topics": []}])
    assert bits == 1 << (0xC5D2 % 2048) | 1 << (0x4601 % 2048) | 1 << (0x86F7 % 2048)
    assert filter_of({"logsBloom": hex(bits)}) == bits
    assert filter_of({}) == FULL


def test_a_filter_denies_what_is_not_there_and_nothing_that_is() -> None:
    shown = filter_of_logs([transfer_log(1)])
    assert all(may_hold(shown, item) for item in (TOKEN, TOKEN.upper().replace("0X", "0x"), padded(OURS)))
    assert not may_hold(shown, padded(OTHERS))
    assert not may_hold(0, TOKEN)


@pytest.mark.asyncio
@pytest.mark.parametrize("keys", [[OURS], MANY])
async def test_what_the_answer_for_a_range_lacks_is_found_by_its_block(keys: list[str]) -> None:
    node = Node()
    node.in_range = False
    assert await seen(node, 5, 6, keys) == [hash_of(5, "d"), hash_of(6, "d")]
    assert node.asked["receipts"] == 0


@pytest.mark.asyncio
async def test_more_blocks_than_are_asked_about_at_once_are_all_asked_about() -> None:
    node = Node()
    node.in_range = False
    last = 5 + 2 * BLOCKS_AT_ONCE
    assert await seen(node, 5, last, [OURS]) == [hash_of(number, "d") for number in range(5, last + 1)]
    assert node.asked["by_hash"] == last - 4


@pytest.mark.asyncio
async def test_one_transfer_that_is_told_hides_no_other_one() -> None:
    def to_two(number: int) -> dict[str, Any]:
        return transfer_log(number, topics=[TRANSFER_TOPIC, padded("0x01"), padded(OURS if number == 5 else OTHERS)])

    node, ours = Node(to_two), [OURS, OTHERS]
    ranges = node.logs
    node.answers["eth_getLogs"] = lambda wanted: [
        log for log in ranges(wanted) if "blockHash" in wanted or log["blockHash"] == hash_of(5)
    ]
    assert await seen(node, 5, 6, ours) == [hash_of(5, "d"), hash_of(6, "d")]
    assert node.asked["by_hash"] == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("knows_block_receipts", [True, False])
async def test_an_index_that_knows_nothing_of_a_block_is_not_believed(knows_block_receipts: bool) -> None:
    node = Node()
    node.in_range = node.by_hash = False
    if not knows_block_receipts:
        del node.answers["eth_getBlockReceipts"]
    assert await seen(node) == [hash_of(5, "d")]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "receipts",
    [
        pytest.param(lambda _: None, id="none"),
        pytest.param(lambda _: [], id="not one"),
        pytest.param(
            lambda block: [{"blockHash": block, "transactionHash": hash_of(9, "d"), "logs": [transfer_log(5)]}],
            id="not of every transaction",
        ),
        pytest.param(lambda _: [None], id="one is missing"),
        pytest.param(
            lambda block: [{"blockHash": block, "transactionHash": hash_of(5, "d"), "status": "0x1", "logs": []}],
            id="without the logs that the header speaks of",
        ),
        pytest.param(
            lambda _: [{"blockHash": hash_of(9), "transactionHash": hash_of(5, "d"), "logs": [transfer_log(5)]}],
            id="of another block",
        ),
    ],
)
async def test_until_the_node_shows_the_block_it_is_not_seen(receipts: Any) -> None:
    node = Node()
    node.in_range = node.by_hash = False
    node.answers["eth_getBlockReceipts"] = receipts
    with pytest.raises(ChainMoved):
        await seen(node)
    node.by_hash = True
    assert await seen(node) == [hash_of(5, "d")]


@pytest.mark.asyncio
async def test_a_header_that_may_hold_anything_is_asked_about_once_and_ends() -> None:
    node = Node(lambda number: transfer_log(number, topics=[TRANSFER_TOPIC, padded("0x01"), padded(OTHERS)]))
    node.bloom = hex(FULL)
    assert await seen(node, 5, 8) == []
    assert (node.asked["by_hash"], node.asked["receipts"]) == (4, 0)


@pytest.mark.asyncio
async def test_a_filter_that_errs_is_set_right_by_the_receipts() -> None:
    """The header seems to hold a transfer of a token of ours, and it is none."""
    another = transfer_log(5, address="0x" + "ee" * 20)
    node = Node(lambda _: another)
    node.in_range = node.by_hash = False
    # What the receipts hold explains the header, so it is all there is.
    explains = [another, transfer_log(5, topics=[TRANSFER_TOPIC]), transfer_log(5, topics=[padded(OURS)])]
    node.bloom = hex(filter_of_logs(explains))
    node.receipt_changes = {"logs": explains}
    assert await seen(node) == []
    assert node.asked["receipts"] == 1


@pytest.mark.asyncio
async def test_what_a_header_denies_is_not_asked_about() -> None:
    node = Node(lambda number: transfer_log(number, topics=[TRANSFER_TOPIC, padded("0x01"), padded(OTHERS)]))
    node.in_range = node.by_hash = False
    assert await seen(node, 5, 8) == []
    assert (node.asked["by_hash"], node.asked["receipts"], len(node.ranges)) == (0, 0, 1)
    # Another token's transfer to us.
    node.log = lambda number: transfer_log(number, address="0x" + "ee" * 20)
    assert await seen(node, 5, 8) == []
    assert (node.asked["by_hash"], node.asked["receipts"]) == (0, 0)


@pytest.mark.asyncio
async def test_a_log_counts_though_its_block_does_not_list_its_transaction() -> None:
    node = Node()
    node.lists_transactions = False
    [scanned] = await node.chain().scan(5, 5, [OURS])
    assert [(one.tx, one.place, one.amount.units) for one in scanned.transfers] == [(hash_of(5, "d"), "1", 7)]
    node.answers["eth_getTransactionReceipt"] = lambda _: None
    with pytest.raises(ChainMoved):
        await seen(node)
