"""Watched on real nodes: an Ethereum node with a real ERC-20, a Bitcoin node; real transfers, and forks by force."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.bus.memory import MemoryBus
from chassis.settings import SettingsError
from embedded.provisioning import DatabaseAccess
from gateway_ingest.adapters.chains.bloom import filter_of, filter_of_logs
from gateway_ingest.adapters.chains.json_rpc import JsonRpc
from gateway_ingest.application.watching_ports import ChainMoved
from testkit.chains import Anvil, Btcd, anvil, btcd
from testkit.registry_programs import ProgramMissing, skip_or_fail

from .coin_desk import open_desk
from .miners_wallet import MinersWallet

# The first fetch of a node's program takes a while.
pytestmark = pytest.mark.timeout(600)

OURS = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
OTHERS = "0x6Fac4D18c912343BF86fa7049364Dd4E424Ab9C0"
BECH32 = "bcrt1qcr8te4kr609gcawutmrza0j4xv80jy8zeqchgx"
ETHER = 10**18


@pytest.fixture
def ethereum() -> Iterator[Anvil]:
    try:
        with anvil() as node:
            yield node
    except ProgramMissing as missing:
        skip_or_fail(missing)


@pytest.fixture
def wallet() -> MinersWallet:
    return MinersWallet()


@pytest.fixture
def bitcoin(wallet: MinersWallet) -> Iterator[Btcd]:
    try:
        with btcd(wallet.address) as node:
            wallet.earn(node)
            yield node
    except ProgramMissing as missing:
        skip_or_fail(missing)


def evm_settings(node: Anvil, token: str | None = None, **more: Any) -> dict[str, Any]:
    """Ethereum's chain id, but none of its tokens: they are not on this chain. So it is called a network of its own."""
    tokens = [{"network": "ethereum", "code": "TUSD", "contract": token, "decimals": 18}] if token else []
    return {
        "crypto_ethereum_rpc_url": node.url,
        "crypto_chain_ids": {"ethereum": 31337},
        "crypto_tokens": tokens,
    } | more


@pytest.fixture
def own_chain() -> Iterator[Anvil]:
    try:
        with anvil(chain_id=31337) as node:
            yield node
    except ProgramMissing as missing:
        skip_or_fail(missing)


@pytest.mark.asyncio
async def test_ether_is_believed_block_by_block(ingest_database: DatabaseAccess, own_chain: Anvil) -> None:
    async with open_desk(ingest_database, **evm_settings(own_chain)) as desk:
        assert await desk.look("ethereum") == []
        reference = await desk.begin("ethereum", OURS, "ETH/18", confirmations=3)
        assert await desk.look("ethereum") == []
        tx = own_chain.pay(OURS, 2 * ETHER + 1)
        own_chain.pay(OTHERS, ETHER)
        assert await desk.look("ethereum") == ["unconfirmed 1/3", "unconfirmed 2/3"]
        own_chain.mine()
        assert await desk.look("ethereum") == ["confirmed 2.000000000000000001 ETH/18"]
        message = (await desk.messages())[-1]
    assert message["gateway_payment_id"] == f"ethereum.{tx}.0"
    assert message["reference"] == reference
    mined_at = int(own_chain.call("eth_getTransactionByHash", tx)["blockNumber"], 16)
    block = own_chain.call("eth_getBlockByNumber", hex(mined_at), False)
    assert datetime.fromisoformat(message["paid_at"]) == datetime.fromtimestamp(int(block["timestamp"], 16), UTC)


@pytest.mark.asyncio
async def test_a_real_token_in_pieces_and_beside_it_what_nobody_asked_for(
    ingest_database: DatabaseAccess, own_chain: Anvil
) -> None:
    token, unknown = own_chain.deploy_token(), own_chain.deploy_token()
    async with open_desk(ingest_database, **evm_settings(own_chain, token)) as desk:
        await desk.look("ethereum")
        await desk.begin("ethereum", OURS, "TUSD/18", token=token, confirmations=1, price=7)
        own_chain.pay_token(token, OURS, 3)
        own_chain.pay_token(token, OURS, 0)
        own_chain.pay_token(unknown, OURS, 5)
        own_chain.pay_token(token, OTHERS, 5)
        own_chain.pay_token(token, OURS, 4)
        own_chain.pay(OURS, 9)
        told = await desk.look("ethereum")
        places = [message["gateway_payment_id"].rpartition(".")[2] for message in await desk.messages()]
    assert told == [
        "confirmed 0.000000000000000003 TUSD/18",
        "confirmed 0.000000000000000004 TUSD/18",
        "confirmed 0.000000000000000009 ETH/18",
    ]
    assert places == ["1", "1", "0"]


@pytest.mark.asyncio
async def test_a_token_is_seen_by_a_node_whose_index_of_logs_lags(
    ingest_database: DatabaseAccess, own_chain: Anvil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The headers are real, and say that there is something; one empty answer after another is not believed."""
    token, call = own_chain.deploy_token(), JsonRpc.call
    empty: list[str] = []

    async def lagging(rpc: JsonRpc, method: str, *params: Any) -> Any:
        if method in empty:
            return None if method == "eth_getBlockReceipts" else []
        if method == "eth_getLogs" and "range" in empty and "fromBlock" in params[0]:
            return []
        return await call(rpc, method, *params)

    monkeypatch.setattr(JsonRpc, "call", lagging)
    async with open_desk(ingest_database, **evm_settings(own_chain, token)) as desk:
        await desk.look("ethereum")
        await desk.begin("ethereum", OURS, "TUSD/18", token=token, confirmations=1)
        await desk.look("ethereum")
        for lags in (["range"], ["eth_getLogs"]):
            empty[:] = lags
            own_chain.pay_token(token, OURS, 3)
            assert await desk.look("ethereum") == ["confirmed 0.000000000000000003 TUSD/18"]
        empty[:] = ["eth_getLogs", "eth_getBlockReceipts"]
        own_chain.pay_token(token, OURS, 4)
        for _ in range(2):
            with pytest.raises(ChainMoved):
                await desk.look("ethereum")
        # What headers deny is not asked about: these blocks are believed, and the one before is still to come.
        own_chain.mine(3)
        empty.clear()
        assert await desk.look("ethereum") == ["confirmed 0.000000000000000004 TUSD/18"]


@pytest.mark.asyncio
async def test_a_header_s_filter_is_made_of_its_logs(own_chain: Anvil) -> None:
    tx = own_chain.pay_token(own_chain.deploy_token(), OURS, 3)
    receipt = own_chain.call("eth_getTransactionReceipt", tx)
    header = own_chain.call("eth_getBlockByHash", receipt["blockHash"], False)
    assert filter_of(header) == filter_of_logs(receipt["logs"]) != 0


@pytest.mark.asyncio
async def test_a_forced_fork_takes_a_token_back_and_gives_it_back(
    ingest_database: DatabaseAccess, own_chain: Anvil
) -> None:
    token = own_chain.deploy_token()
    async with open_desk(ingest_database, **evm_settings(own_chain, token)) as desk:
        await desk.look("ethereum")
        await desk.begin("ethereum", OURS, "TUSD/18", token=token, confirmations=2)
        tx = own_chain.pay_token(token, OURS, 1_000)
        raw = own_chain.call("eth_getRawTransactionByHash", tx)
        own_chain.mine()
        assert await desk.look("ethereum") == ["unconfirmed 1/2", "confirmed 0.000000000000001000 TUSD/18"]
        own_chain.fork(2)
        assert await desk.look("ethereum") == ["refund succeeded 0.000000000000001000 TUSD/18"]
        assert own_chain.call("eth_sendRawTransaction", raw) == tx
        own_chain.mine()
        assert await desk.look("ethereum") == ["refund failed 0.000000000000001000 TUSD/18"]
        refunds = {message["refund_id"] for message in await desk.messages() if "refund_id" in message}
    assert len(refunds) == 1


@pytest.mark.asyncio
async def test_it_goes_on_after_a_restart_that_missed_a_fork(ingest_database: DatabaseAccess, own_chain: Anvil) -> None:
    bus, told = MemoryBus(session_timeout_s=10), evm_settings(own_chain)
    async with open_desk(ingest_database, bus, **told) as desk:
        await desk.look("ethereum")
        await desk.begin("ethereum", OURS, "ETH/18", confirmations=1)
        own_chain.pay(OURS, ETHER)
        assert await desk.look("ethereum") == ["confirmed 1.000000000000000000 ETH/18"]
    own_chain.fork(1)
    own_chain.mine(50)
    own_chain.pay(OURS, 2 * ETHER)
    async with open_desk(ingest_database, bus, **told) as desk:
        await desk.owner.execute("UPDATE chain_heads SET watched_till = now()")
        assert await desk.look("ethereum") == [
            "refund succeeded 1.000000000000000000 ETH/18",
            "confirmed 2.000000000000000000 ETH/18",
        ]


@pytest.mark.asyncio
async def test_a_transaction_that_failed_pays_nobody(ingest_database: DatabaseAccess, own_chain: Anvil) -> None:
    token = own_chain.deploy_token()
    async with open_desk(ingest_database, **evm_settings(own_chain, token)) as desk:
        await desk.look("ethereum")
        await desk.begin("ethereum", token, "ETH/18", confirmations=1)
        sender = own_chain.accounts()[0]
        # A token's contract takes no ether: the transaction is mined, and reverted.
        wish = {"from": sender, "to": token, "value": hex(ETHER), "gas": hex(100_000)}
        tx = own_chain.call("eth_sendTransaction", wish)
        assert own_chain.call("eth_getTransactionReceipt", tx)["status"] == "0x0"
        assert await desk.look("ethereum") == []


@pytest.mark.asyncio
async def test_a_node_of_another_network_is_refused(ingest_database: DatabaseAccess, ethereum: Anvil) -> None:
    async with open_desk(ingest_database, crypto_polygon_rpc_url=ethereum.url) as desk:
        with pytest.raises(SettingsError, match="CRYPTO_POLYGON_RPC_URL: the node is on chain 1, not on 137"):
            await desk.service.chains["polygon"].check()
    # Ethereum's chain id, yet none of its tokens: also no Ethereum.
    async with open_desk(ingest_database, crypto_ethereum_rpc_url=ethereum.url) as desk:
        with pytest.raises(SettingsError, match="CRYPTO_TOKENS: USDC on ethereum has not 6 decimals"):
            await desk.service.chains["ethereum"].check()


@pytest.mark.asyncio
async def test_a_token_s_decimals_are_asked_for(ingest_database: DatabaseAccess, own_chain: Anvil) -> None:
    token = own_chain.deploy_token()
    async with open_desk(ingest_database, **evm_settings(own_chain, token)) as desk:
        await desk.service.chains["ethereum"].check()
    wrong = [{"network": "ethereum", "code": "TUSD", "contract": token, "decimals": 6}]
    async with open_desk(ingest_database, **evm_settings(own_chain, crypto_tokens=wrong)) as desk:
        with pytest.raises(SettingsError, match="TUSD on ethereum has not 6 decimals"):
            await desk.service.chains["ethereum"].check()


@pytest.mark.asyncio
async def test_bitcoins_are_seen_waiting_and_believed_in_blocks(
    ingest_database: DatabaseAccess, bitcoin: Btcd, wallet: MinersWallet
) -> None:
    async with open_desk(ingest_database, crypto_bitcoin_rpc_url=bitcoin.url) as desk:
        await desk.look("bitcoin")
        reference = await desk.begin("bitcoin", BECH32, "BTC/8", confirmations=2)
        assert await desk.look("bitcoin") == []
        tx = bitcoin.call("sendrawtransaction", wallet.signed((BECH32, 5_000), (BECH32, 7_000)))
        assert await desk.look("bitcoin") == ["unconfirmed 0/2", "unconfirmed 0/2"]
        bitcoin.mine()
        assert await desk.look("bitcoin") == ["unconfirmed 1/2", "unconfirmed 1/2"]
        bitcoin.mine()
        assert await desk.look("bitcoin") == ["confirmed 0.00005000 BTC/8", "confirmed 0.00007000 BTC/8"]
        confirmed = [message for message in await desk.messages() if "received" in message]
    assert [message["gateway_payment_id"] for message in confirmed] == [f"bitcoin.{tx}.0", f"bitcoin.{tx}.1"]
    assert {message["reference"] for message in confirmed} == {reference}


@pytest.mark.asyncio
async def test_a_forced_fork_takes_bitcoins_back_and_gives_them_back(
    ingest_database: DatabaseAccess, bitcoin: Btcd, wallet: MinersWallet
) -> None:
    async with open_desk(ingest_database, crypto_bitcoin_rpc_url=bitcoin.url) as desk:
        await desk.look("bitcoin")
        await desk.begin("bitcoin", BECH32, "BTC/8", confirmations=2)
        paid = wallet.signed((BECH32, 5_000))
        bitcoin.call("sendrawtransaction", paid)
        lost, *_ = bitcoin.mine(2)
        assert await desk.look("bitcoin") == ["unconfirmed 1/2", "confirmed 0.00005000 BTC/8"]
        bitcoin.fork(lost)
        # The transaction waits again, unless the node forgot it; the branch that wins is the longer one.
        if not bitcoin.call("getrawmempool"):
            bitcoin.call("sendrawtransaction", paid)
        bitcoin.mine(3)
        assert await desk.look("bitcoin") == [
            "refund succeeded 0.00005000 BTC/8",
            "refund failed 0.00005000 BTC/8",
        ]
        [refund] = {message["refund_id"] for message in await desk.messages() if "refund_id" in message}
    assert refund == f"fork.{lost}"


@pytest.mark.asyncio
async def test_a_bitcoin_node_of_another_network_is_refused(ingest_database: DatabaseAccess, bitcoin: Btcd) -> None:
    mainnet = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    node = {"crypto_bitcoin_rpc_url": bitcoin.url}
    async with open_desk(ingest_database, crypto_bitcoin_genesis=mainnet, **node) as desk:
        with pytest.raises(SettingsError, match="CRYPTO_BITCOIN_RPC_URL: the node is on another network"):
            await desk.service.chains["bitcoin"].check()
    async with open_desk(ingest_database, crypto_bitcoin_genesis=bitcoin.call("getblockhash", 0), **node) as desk:
        await desk.service.chains["bitcoin"].check()
