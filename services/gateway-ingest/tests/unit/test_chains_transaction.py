"""One transaction as a node shows it: what it moves to anybody, also from within, and what moves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_ingest.application.watching_ports import ChainMoved, Looked
from gateway_ingest.domain.deposits import place_within

from .scripted_node import OURS, TOKEN, Node, hash_of

TX = hash_of(5, "d")
SAFE, OTHERS = "0x" + "ee" * 20, "0x" + "bb" * 20


def call(to: str = OURS, value: int = 0, *calls: dict[str, Any], kind: str = "CALL", **more: Any) -> dict[str, Any]:
    return {"type": kind, "from": SAFE, "to": to, "value": hex(value), "calls": list(calls)} | more


def node(trace: dict[str, Any] | None = None) -> Node:
    made = Node()
    made.answers["eth_getTransactionByHash"] = lambda tx: {"hash": tx, "to": SAFE, "value": hex(50)}
    if trace is not None:
        made.answers["debug_traceTransaction"] = lambda _tx, _options: trace
    return made


async def looked_at(asked: Node) -> Looked:
    looked = await asked.chain().transaction(TX)
    assert looked is not None
    return looked


async def within(*calls: dict[str, Any]) -> dict[str, int]:
    """By address, what came from within a transaction that is itself a call with 50 units to a contract."""
    looked = await looked_at(node(call(SAFE, 50, *calls, **{"from": OTHERS})))
    assert looked.is_all
    return {one.key: one.amount.units for one in looked.transfers if one.place == place_within(one.key)}


@pytest.mark.asyncio
async def test_all_that_comes_from_within_is_one_sum_for_an_address() -> None:
    inner = call(SAFE, 0, call(OURS.upper().replace("0X", "0x"), 3), kind="DELEGATECALL")
    ended = call(OTHERS, 4, kind="SELFDESTRUCT")
    assert await within(call(OURS, 2), inner, ended, call(OTHERS, 0)) == {OURS: 5, OTHERS: 4}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "moves_nothing",
    [
        pytest.param(call(OURS, 2, kind="DELEGATECALL"), id="another's value"),
        pytest.param(call(OURS, 2, kind="STATICCALL"), id="a question"),
        pytest.param(call(OURS, 2, error="execution reverted"), id="failed"),
        pytest.param(call(SAFE, 0, call(OURS, 2), error="execution reverted"), id="undone with the call around it"),
        pytest.param(call(OURS, 2, **{"from": OURS}), id="to itself"),
    ],
)
async def test_what_moves_nothing_from_within(moves_nothing: dict[str, Any]) -> None:
    assert await within(moves_nothing, call(OTHERS, 1)) == {OTHERS: 1}


@pytest.mark.asyncio
async def test_tokens_and_the_coins_that_it_sends_itself_have_the_watcher_s_places() -> None:
    looked = await looked_at(node(call(SAFE, 50)))
    moved = [(one.place, one.key, one.amount.units, one.amount.asset) for one in looked.transfers]
    assert moved == [("1", OURS, 7, "USDC/6"), ("0", SAFE, 50, "ETH/18")]
    [scanned] = await node().chain().scan(5, 5, [OURS])
    assert scanned.transfers == [one for one in looked.transfers if one.key == OURS]
    assert scanned.block == looked.block


@pytest.mark.asyncio
async def test_a_node_that_cannot_trace_says_so() -> None:
    assert (await looked_at(node())).is_all is False


@pytest.mark.asyncio
async def test_unknown_waiting_failed_and_of_another_branch() -> None:
    unknown = node()
    unknown.answers |= {"eth_getTransactionReceipt": lambda _: None, "eth_getTransactionByHash": lambda _: None}
    assert await unknown.chain().transaction(TX) is None
    waiting = node()
    waiting.answers["eth_getTransactionReceipt"] = lambda _: None
    assert (await looked_at(waiting)).block is None
    failed = node(call(SAFE, 50, call(OURS, 2)))
    failed.receipt_changes = {"status": "0x0"}
    assert ((await looked_at(failed)).has_failed, (await looked_at(failed)).transfers) == (True, ())
    forked = node()
    forked.receipt_changes = {"blockHash": hash_of(9)}
    with pytest.raises(ChainMoved):
        await looked_at(forked)


@pytest.mark.asyncio
async def test_a_balance_that_the_node_forgot_is_unknown() -> None:
    asked = node()
    asked.answers["eth_getBalance"] = lambda key, number: hex(len(key) + int(number, 16))
    assert await asked.chain().balance(TOKEN, 5) == 47
    del asked.answers["eth_getBalance"]
    assert await asked.chain().balance(TOKEN, 5) is None
