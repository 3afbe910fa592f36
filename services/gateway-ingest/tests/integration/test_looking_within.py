"""Coins that a contract sent from within a transaction: told by what the node traces, or by an operator's word."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from chassis.clock import ManualClock
from embedded.provisioning import DatabaseAccess
from gateway_ingest.adapters.deposit_rows import PostgresDepositStore
from gateway_ingest.application.looking import NotTold
from gateway_ingest.application.unexplained import LOOK_EVERY, Unexplained
from testkit.chains import Anvil

from .coin_desk import open_desk
from .operators_desk import Operator, deploy_forwarder, pay_from_within, refuse, told_of

# The first fetch of a node's program takes a while.
pytestmark = [pytest.mark.timeout(600), pytest.mark.asyncio]

OURS = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
OTHERS = "0x6Fac4D18c912343BF86fa7049364Dd4E424Ab9C0"
ETHER = 10**18


async def test_ether_from_within_a_contract_waits_for_its_blocks_and_goes_with_them(
    ingest_database: DatabaseAccess, node: Anvil
) -> None:
    forwarder, told = deploy_forwarder(node), told_of(node)
    async with open_desk(ingest_database, **told) as desk:
        operator = Operator(desk, told, ingest_database.app_dsn)
        await desk.look("ethereum")
        await desk.begin("ethereum", OURS, "ETH/18", confirmations=3)
        tx = pay_from_within(node, forwarder, OURS, ETHER)
        assert await desk.look("ethereum") == [], "no transaction of its own: no watcher sees it"

        place = f"within-{OURS.lower()}"
        assert await operator.looks(tx) == [f"told {place} {ETHER} unconfirmed"]
        assert await operator.looks(tx) == [f"known {place} {ETHER} unconfirmed"]
        node.mine(2)
        # The watcher goes on with it, without anybody's help.
        assert await desk.look("ethereum") == ["unconfirmed 2/3", "confirmed 1.000000000000000000 ETH/18"]
        assert await operator.looks(tx) == [f"known {place} {ETHER} confirmed"]
        assert await operator.told() == [(f"ethereum.{tx}.{place}", "1.000000000000000000")]
        raw = node.call("eth_getRawTransactionByHash", tx)
        node.fork(3)
        node.mine()
        assert await desk.look("ethereum") == ["refund succeeded 1.000000000000000000 ETH/18"]
        # Mined anew it must be looked at anew, and is the same payment.
        assert node.call("eth_sendRawTransaction", raw) == tx
        assert await desk.look("ethereum") == []
        assert await operator.looks(tx) == [f"known {place} {ETHER} unconfirmed"]
        node.mine(2)
        assert await desk.look("ethereum") == ["refund failed 1.000000000000000000 ETH/18"]


async def test_that_it_came_is_shown_until_somebody_names_the_transaction(
    ingest_database: DatabaseAccess, node: Anvil
) -> None:
    forwarder, told = deploy_forwarder(node), told_of(node)
    async with open_desk(ingest_database, **told) as desk:
        clock, store = ManualClock(), PostgresDepositStore(desk.service.pool, "test")
        unexplained = Unexplained(desk.service.chains["ethereum"], store, clock)

        async def shown() -> float | None:
            place, watched = await store.place("ethereum"), await store.watched("ethereum", clock.now())
            assert place is not None
            await unexplained.look(place, watched)
            return REGISTRY.get_sample_value("gridledger_chain_unexplained_addresses", {"network": "ethereum"})

        operator = Operator(desk, told, ingest_database.app_dsn)
        await desk.look("ethereum")
        await desk.begin("ethereum", OURS, "ETH/18", confirmations=1)
        await desk.look("ethereum")
        node.pay(OURS, 5)
        await desk.look("ethereum")
        assert await shown() == 0, "what was seen explains it"
        tx = pay_from_within(node, forwarder, OURS, 9)
        await desk.look("ethereum")
        assert await shown() == 0, "it is not time yet"
        clock.advance(LOOK_EVERY.total_seconds())
        assert await shown() == 1
        await operator.looks(tx)
        clock.advance(LOOK_EVERY.total_seconds())
        assert await shown() == 0


async def test_where_the_node_cannot_trace_the_operator_s_word_is_held_against_balances(
    ingest_database: DatabaseAccess, node: Anvil, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwarder, told = deploy_forwarder(node), told_of(node)
    refuse(monkeypatch, "debug_traceTransaction")
    async with open_desk(ingest_database, **told) as desk:
        operator = Operator(desk, told, ingest_database.app_dsn)
        await desk.look("ethereum")
        await desk.begin("ethereum", OURS, "ETH/18", confirmations=1)
        direct, tx = node.pay(OTHERS, 3), pay_from_within(node, forwarder, OURS, 9)
        await desk.look("ethereum")
        with pytest.raises(NotTold, match="gained 0 units from within, not 3"):
            await operator.types(direct, "--address", OTHERS, "--units", "3")
        with pytest.raises(NotTold, match="--address and --units"):
            await operator.types(tx)
        with pytest.raises(NotTold, match="gained 9 units from within, not 10"):
            await operator.types(tx, "--address", OURS, "--units", "10")
        said = ("--address", OURS, "--units", "9")
        assert await operator.looks(tx, *said) == [f"told within-{OURS.lower()} 9 confirmed"]
        assert await operator.looks(tx, *said) == [f"known within-{OURS.lower()} 9 confirmed"]
        # A node that traces after all finds the same payment.
        monkeypatch.undo()
        assert await operator.looks(tx) == [f"known within-{OURS.lower()} 9 confirmed"]
        assert len(await operator.told()) == 1


async def test_a_word_that_nothing_can_check_counts_once(
    ingest_database: DatabaseAccess, node: Anvil, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwarder, told = deploy_forwarder(node), told_of(node)
    refuse(monkeypatch, "debug_traceTransaction", "eth_getBalance")
    async with open_desk(ingest_database, **told) as desk:
        operator = Operator(desk, told, ingest_database.app_dsn)
        await desk.look("ethereum")
        await desk.begin("ethereum", OURS, "ETH/18", confirmations=1)
        tx = pay_from_within(node, forwarder, OURS, 9)
        await desk.look("ethereum")
        assert await operator.looks(tx, "--address", OURS, "--units", "8") == [
            f"told within-{OURS.lower()} 8 confirmed"
        ]
        with pytest.raises(NotTold, match="told before, with 8 units"):
            await operator.types(tx, "--address", OURS, "--units", "9")
        with pytest.raises(NotTold, match="nothing that it moves came to an address of ours"):
            await operator.types(tx, "--address", OTHERS, "--units", "9")
        assert await operator.told() == [(f"ethereum.{tx}.within-{OURS.lower()}", "0.000000000000000008")]


async def test_a_word_against_what_the_node_traced(ingest_database: DatabaseAccess, node: Anvil) -> None:
    forwarder, told = deploy_forwarder(node), told_of(node)
    async with open_desk(ingest_database, **told) as desk:
        operator = Operator(desk, told, ingest_database.app_dsn)
        await desk.look("ethereum")
        await desk.begin("ethereum", OURS, "ETH/18", confirmations=1)
        tx = pay_from_within(node, forwarder, OURS, 9)
        await desk.look("ethereum")
        with pytest.raises(NotTold, match="saw 9 units come to that address from within, not 10"):
            await operator.types(tx, "--address", OURS, "--units", "10")
        assert await operator.told() == []
        assert len(await operator.looks(tx, "--address", OURS, "--units", "9")) == 1
