"""What nodes answer, and what is made of it: answers that do not fit, limits that they set, and nothing that leaks."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from chassis.settings import SettingsError, load
from gateway_ingest.adapters.chains.bitcoin import BitcoinChain
from gateway_ingest.adapters.chains.evm_logs import TRANSFER_TOPIC
from gateway_ingest.adapters.chains.json_rpc import JsonRpc, NodeAway, NodeRefused
from gateway_ingest.application.watching_ports import ChainMoved
from gateway_ingest.domain.facts import Amount
from gateway_ingest.domain.networks import NETWORKS, known_tokens
from gateway_ingest.settings import IngestSettings

from .scripted_node import OURS, SECRET_URL, Node, hash_of, padded, transfer_log


@pytest.mark.asyncio
async def test_a_node_that_finds_a_range_too_wide_is_asked_for_its_halves() -> None:
    node = Node(range_max=2)
    scanned = await node.chain().scan(1, 8, [OURS])
    assert [len(one.transfers) for one in scanned] == [1] * 8
    assert [ends for ends in node.ranges if ends[1] - ends[0] < 2] == [(1, 2), (3, 4), (5, 6), (7, 8)]


@pytest.mark.asyncio
async def test_a_node_that_refuses_a_single_block_is_an_error_and_no_empty_block() -> None:
    with pytest.raises(NodeRefused, match="range too wide"):
        await Node(range_max=0).chain().scan(1, 2, [OURS])


@pytest.mark.parametrize("watched", [1, 1_000, 100_000])
@pytest.mark.asyncio
async def test_however_many_are_watched_a_node_is_asked_a_few_times(watched: int) -> None:
    def to_us_in_odd_blocks(number: int) -> dict[str, Any]:
        topics = [TRANSFER_TOPIC, padded("0x01"), *([padded(OURS if number % 2 else "0x02")] if number != 4 else ())]
        return transfer_log(number, topics=topics)

    node = Node(to_us_in_odd_blocks)
    scanned = await node.chain().scan(1, 6, [OURS, *(f"0x{number:040x}" for number in range(10, 9 + watched))])
    assert [len(one.transfers) for one in scanned] == [1, 0, 1, 0, 1, 0]
    assert len(node.ranges) <= 5


@pytest.mark.asyncio
async def test_a_transfer_is_what_its_receipt_says() -> None:
    [scanned] = await Node().chain().scan(5, 5, [OURS])
    [transfer] = scanned.transfers
    assert (transfer.tx, transfer.place, transfer.key) == (hash_of(5, "d"), "1", OURS)
    assert transfer.amount == Amount(7, "USDC", 6)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "changes",
    [
        {"removed": True},
        {"address": "0x" + "ee" * 20},
        {"topics": [TRANSFER_TOPIC, padded("0x01"), padded(OURS), padded("0x02")]},
        {"topics": ["0x" + "00" * 32, padded("0x01"), padded(OURS)]},
        {"topics": [TRANSFER_TOPIC, padded("0x01"), padded("0x" + "bb" * 20)]},
        {"data": "0x0"},
    ],
)
async def test_a_log_that_is_no_transfer_of_ours_moves_nothing(changes: dict[str, Any]) -> None:
    node = Node(lambda number: transfer_log(number, **changes))
    [scanned] = await node.chain().scan(5, 5, [OURS])
    assert scanned.transfers == []


@pytest.mark.asyncio
async def test_a_transaction_that_failed_moves_nothing() -> None:
    node = Node()
    node.receipt_changes = {"status": "0x0"}
    [scanned] = await node.chain().scan(5, 5, [OURS])
    assert scanned.transfers == []


@pytest.mark.asyncio
async def test_answers_of_two_branches_are_not_mixed() -> None:
    node = Node(lambda number: transfer_log(number, blockHash=hash_of(99)))
    with pytest.raises(ChainMoved):
        await node.chain().scan(5, 5, [OURS])
    node = Node()
    node.receipt_changes = {"blockHash": hash_of(99)}
    with pytest.raises(ChainMoved):
        await node.chain().scan(5, 5, [OURS])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(502, text="<html>bad gateway</html>"),
        httpx.Response(200, json=["no", "object"]),
        httpx.Response(200, json={"id": 1}),
        httpx.Response(401, text=""),
    ],
)
async def test_an_answer_without_sense_is_a_node_that_is_away(response: httpx.Response) -> None:
    node = JsonRpc("bitcoin", SECRET_URL, timeout_s=1, transport=httpx.MockTransport(lambda _: response))
    with pytest.raises(NodeAway) as away:
        await node.call("getblockcount")
    assert "hush" not in str(away.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("log", [{}, {"topics": []}, {"data": "0x"}, {"data": None}, {"transactionHash": 7}])
async def test_a_node_that_answers_in_another_shape_is_away_and_no_bug(log: dict[str, Any]) -> None:
    node = Node(lambda number: transfer_log(number, **log) if log else log)
    try:
        [scanned] = await node.chain().scan(5, 5, [OURS])
    except NodeAway:
        return
    assert scanned.transfers == []


@pytest.mark.asyncio
async def test_no_error_tells_the_address() -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot reach {request.url}")

    node = JsonRpc("bitcoin", SECRET_URL, timeout_s=1, transport=httpx.MockTransport(lost))
    with pytest.raises(NodeAway) as away:
        await node.call("getblockcount")
    assert "hush" not in repr(away.value)
    assert away.value.__suppress_context__


@pytest.mark.asyncio
@pytest.mark.parametrize(("shown", "units"), [("0.1", 10_000_000), ("20999999.97690001", 2_099_999_997_690_001)])
async def test_bitcoins_are_exact(shown: str, units: int) -> None:
    block = """{"hash": "%s", "height": 7, "previousblockhash": "%s", "time": 1, "tx": [{"txid": "%s",
        "vin": [{"txid": "00"}], "vout": [{"n": 3, "value": %s, "scriptPubKey": {"hex": "0014"}}]}]}"""
    text = block % ("1" * 64, "0" * 64, "2" * 64, shown)

    def respond(request: httpx.Request) -> httpx.Response:
        result = text if json.loads(request.content)["method"] == "getblock" else f'"{"1" * 64}"'
        return httpx.Response(200, text=f'{{"result": {result}, "error": null}}')

    node = JsonRpc("bitcoin", SECRET_URL, timeout_s=1, transport=httpx.MockTransport(respond))
    [scanned] = await BitcoinChain(node).scan(7, 7, ["0014"])
    [transfer] = scanned.transfers
    assert (transfer.amount, transfer.place, transfer.is_coinbase) == (Amount(units, "BTC", 8), "3", False)


REQUIRED = {"DATABASE_URL": "x", "BUS_URL": "memory://", "SERVICE_TOKEN": "x", "PORT": "8001", "RAW_EVENT_KEY": "x"}


def loaded(monkeypatch: pytest.MonkeyPatch, **variables: str) -> IngestSettings:
    for name, value in {**REQUIRED, **variables}.items():
        monkeypatch.setenv(name, value)
    return load(IngestSettings)


def test_a_setting_stands_before_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = [{"network": "ethereum", "code": "USDC", "contract": "0x" + "AB" * 20, "decimals": 6}]
    settings = loaded(monkeypatch, CRYPTO_TOKENS=json.dumps(tokens), CRYPTO_CHAIN_IDS='{"polygon": 80002}')
    taken = {token.code: token.contract for token in settings.crypto_tokens_of("ethereum")}
    assert taken["USDC"] == "0x" + "ab" * 20
    assert set(taken) == {"USDC", "USDT", "DAI"}
    assert settings.crypto_tokens_of("polygon") == ()
    assert settings.crypto_tokens_of("bsc") == known_tokens("bsc")
    assert [settings.crypto_chain_id(name) for name in ("ethereum", "polygon")] == [1, 80002]


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"CRYPTO_TOKENS": '[{"network": "bitcoin", "code": "X1", "contract": "0x", "decimals": 1}]'}, "CRYPTO_TOKENS"),
        ({"CRYPTO_CHAIN_IDS": '{"bitcoin": 1}'}, "CRYPTO_CHAIN_IDS"),
        ({"CRYPTO_BITCOIN_RPC_URL": "ftp://user:hush@node"}, "CRYPTO_BITCOIN_RPC_URL"),
    ],
)
def test_a_setting_at_fault_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=named) as refused:
        loaded(monkeypatch, **variables)
    assert "hush" not in str(refused.value)


def test_tokens_are_written_as_they_are_compared() -> None:
    tokens = [token for network in NETWORKS for token in known_tokens(network)]
    assert len({(token.network, token.contract) for token in tokens}) == len(tokens) == 15
    assert all(token.contract == token.contract.lower() and len(token.contract) == 42 for token in tokens)
