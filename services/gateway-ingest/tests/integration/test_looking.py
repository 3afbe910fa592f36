"""``watch look`` on a real node: coins that the watcher did not see are told once, and as the watcher would."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.errors import OperationalError
from embedded.provisioning import DatabaseAccess
from gateway_ingest.application.looking import NotTold
from testkit.chains import Anvil, Btcd, btcd
from testkit.registry_programs import ProgramMissing, skip_or_fail

from .coin_desk import open_desk
from .conftest import KEY
from .miners_wallet import MinersWallet
from .operators_desk import Operator, told_of
from .test_process import command, environment
from .watched_chain import Watching, coins

# The first fetch of a node's program takes a while.
pytestmark = [pytest.mark.timeout(600), pytest.mark.asyncio]

OURS = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
OTHERS = "0x6Fac4D18c912343BF86fa7049364Dd4E424Ab9C0"
ETHER = 10**18
BECH32 = "bcrt1qcr8te4kr609gcawutmrza0j4xv80jy8zeqchgx"


@pytest.fixture
def wallet() -> MinersWallet:
    return MinersWallet()


async def test_a_token_that_came_too_late_to_be_watched(ingest_database: DatabaseAccess, node: Anvil) -> None:
    token = node.deploy_token()
    told = told_of(node, token)
    async with open_desk(ingest_database, **told) as desk:
        operator = Operator(desk, told, ingest_database.app_dsn)
        await desk.look("ethereum")
        reference = await desk.begin("ethereum", OURS, "TUSD/18", token=token, confirmations=2)
        await desk.look("ethereum")
        await operator.forgets()
        tx = node.pay_token(token, OURS, 7)
        node.mine()
        assert await desk.look("ethereum") == []

        assert await operator.looks(tx) == ["told 1 7 confirmed"]
        assert await operator.looks(tx) == ["known 1 7 confirmed"]
        assert await desk.look("ethereum") == []
        [message] = await desk.messages()
    assert (message["gateway_payment_id"], message["reference"]) == (f"ethereum.{tx}.1", reference)
    mined = node.call("eth_getBlockByNumber", node.call("eth_getTransactionReceipt", tx)["blockNumber"], False)
    assert datetime.fromisoformat(message["paid_at"]) == datetime.fromtimestamp(int(mined["timestamp"], 16), UTC)


async def test_what_the_watcher_saw_itself_is_not_told_again(ingest_database: DatabaseAccess, node: Anvil) -> None:
    told = told_of(node)
    async with open_desk(ingest_database, **told) as desk:
        operator = Operator(desk, told, ingest_database.app_dsn)
        await desk.look("ethereum")
        await desk.begin("ethereum", OURS, "ETH/18", confirmations=2)
        tx = node.pay(OURS, 5)
        assert await desk.look("ethereum") == ["unconfirmed 1/2"]
        assert await operator.looks(tx) == ["known 0 5 unconfirmed"]
        node.mine()
        assert await desk.look("ethereum") == ["confirmed 0.000000000000000005 ETH/18"]
        assert await operator.looks(tx) == ["known 0 5 confirmed"]
        assert await operator.told() == [(f"ethereum.{tx}.0", "0.000000000000000005")]


async def test_what_cannot_be_told_says_why(ingest_database: DatabaseAccess, node: Anvil) -> None:
    token, told = node.deploy_token(), told_of(node)
    async with open_desk(ingest_database, **told) as desk:
        operator = Operator(desk, told, ingest_database.app_dsn)
        with pytest.raises(NotTold, match="ethereum was never watched"):
            await operator.types(node.pay(OTHERS, 1))
        await desk.look("ethereum")
        await desk.begin("ethereum", OURS, "ETH/18")
        await desk.look("ethereum")
        for tx, why in unusable(node, token):
            with pytest.raises(NotTold, match=why):
                await operator.types(tx)
        assert await operator.told() == []


def unusable(node: Anvil, token: str) -> Iterator[tuple[str, str]]:
    yield f"0x{1:064x}", "knows no such transaction"
    yield node.pay(OURS, 5), "the watcher has only come to"
    sender = node.accounts()[0]
    # A token's contract takes no ether: the transaction is mined, and reverted.
    yield (
        node.call("eth_sendTransaction", {"from": sender, "to": token, "value": "0x1", "gas": hex(100_000)}),
        "it failed",
    )
    node.call("evm_setAutomine", False)
    yield node.pay(OURS, 5), "it waits to be mined"


async def test_what_came_to_others_is_nothing_of_ours(ingest_database: DatabaseAccess, node: Anvil) -> None:
    told = told_of(node)
    async with open_desk(ingest_database, **told) as desk:
        operator = Operator(desk, told, ingest_database.app_dsn)
        await desk.look("ethereum")
        tx = node.pay(OTHERS, 1)
        await desk.look("ethereum")
        with pytest.raises(NotTold, match=r"came to an address of ours$"):
            await operator.types(tx)


async def test_as_it_is_typed(ingest_database: DatabaseAccess, node: Anvil) -> None:
    told = told_of(node)
    typed = environment(ingest_database, "memory://", 8001) | {
        "CRYPTO_ETHEREUM_RPC_URL": node.url,
        "CRYPTO_CHAIN_IDS": '{"ethereum": 31337}',
        "RAW_EVENT_KEY": KEY,
    }
    async with open_desk(ingest_database, **told) as desk:
        operator = Operator(desk, told, ingest_database.app_dsn)
        await desk.look("ethereum")
        reference = await desk.begin("ethereum", OURS, "ETH/18", confirmations=2)
        await desk.look("ethereum")
        await operator.forgets()
        tx = node.pay(OURS, ETHER)
        node.mine()
        await desk.look("ethereum")
        asked = ("watch", "look", "--network", "ethereum", "--tx", tx.upper().replace("0X", "0x"))
        code, out, _ = await command(typed, *asked, "--json")
        assert (code, json.loads(out)["found"]) == (0, [{
            "payment_id": f"ethereum.{tx}.0", "to": OURS.lower(), "amount": "1.000000000000000000", "asset": "ETH/18",
            "reference": reference, "state": "confirmed", "required": 2, "done": "told",
        }])  # fmt: skip
        code, out, err = await command(typed | {"CRYPTO_CHAIN_IDS": "{}"}, *asked)
    assert (code, out) == (2, "")
    assert err == "error: CRYPTO_ETHEREUM_RPC_URL: the node is on chain 31337, not on 1\n"


async def test_bitcoins_are_looked_for_in_their_block(ingest_database: DatabaseAccess, wallet: MinersWallet) -> None:
    try:
        with btcd(wallet.address) as node:
            wallet.earn(node)
            await _look_for_bitcoins(ingest_database, node, wallet)
    except ProgramMissing as missing:
        skip_or_fail(missing)


async def _look_for_bitcoins(database: DatabaseAccess, node: Btcd, wallet: MinersWallet) -> None:
    told = {"crypto_bitcoin_rpc_url": node.url}
    async with open_desk(database, **told) as desk:
        operator = Operator(desk, told, database.app_dsn, network="bitcoin")
        await desk.look("bitcoin")
        await desk.begin("bitcoin", BECH32, "BTC/8", confirmations=2)
        await desk.look("bitcoin")
        await operator.forgets()
        tx = node.call("sendrawtransaction", wallet.signed((BECH32, 5_000), (BECH32, 7_000)))
        with pytest.raises(NotTold, match="it waits to be mined"):
            await operator.types(tx)
        node.mine(2)
        assert await desk.look("bitcoin") == []
        number = str(node.call("getblockcount") - 1)
        with pytest.raises(NotTold, match="knows no such transaction"):
            await operator.types(tx, "--block", str(int(number) + 1))
        with pytest.raises(NotTold, match="knows no such transaction"):
            await operator.types(tx, "--block", "100000")
        # Without an index of transactions the node finds it by its block only; with one, also without.
        assert await operator.looks(tx, "--block", number) == ["told 0 5000 confirmed", "told 1 7000 confirmed"]
        assert await operator.looks(tx, "--block", number) == ["known 0 5000 confirmed", "known 1 7000 confirmed"]


async def test_what_was_read_of_another_branch_is_not_written(ingest_database: DatabaseAccess) -> None:
    async def contradicted(watching: Watching, block: Any, was: Sequence[Any]) -> None:
        deposits = await watching.store.deposits_of("bitcoin", {"t1"})
        with pytest.raises(OperationalError):
            await watching.store.add("bitcoin", block, was, deposits)

    async with open_desk(ingest_database) as desk:
        watching = Watching(desk.service.pool, desk.owner)
        await watching.look()
        await watching.watch(confirmations=3)
        block = watching.chain.mine(coins("t1"))
        await watching.look()
        deposits = await watching.store.deposits_of("bitcoin", {"t1"})
        await watching.store.add("bitcoin", block, deposits, deposits)
        await contradicted(watching, block, [])
        watching.chain.fork(1, [])
        await watching.look()
        await contradicted(watching, block, await watching.store.deposits_of("bitcoin", {"t1"}))
