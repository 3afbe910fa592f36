"""A network is followed block by block: what came is told once, over forks, restarts and two watchers at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis.errors import OperationalError
from chassis.postgres import open_pool
from chassis.runtime import StopSignal
from embedded.provisioning import DatabaseAccess
from gateway_ingest.adapters.deposit_rows import BLOCKS_KEPT, PostgresDepositStore
from gateway_ingest.application.watching_ports import ChainMoved, Change, NotOurTurn, Pool, Scanned
from gateway_ingest.domain.facts import Reading

from .watched_chain import Watching, coins


@pytest_asyncio.fixture
async def watching(ingest_database: DatabaseAccess) -> AsyncIterator[Watching]:
    owner = await asyncpg.connect(ingest_database.owner_dsn)
    pool = await open_pool(ingest_database.app_dsn, application_name="test")
    try:
        yield Watching(pool, owner)
    finally:
        await pool.close()
        await owner.close()


@pytest.mark.asyncio
async def test_from_the_pool_to_the_last_confirmation(watching: Watching) -> None:
    await watching.look()
    await watching.watch()
    watching.chain.waiting = [coins("t1")]
    assert await watching.look() == ["t1.0 unconfirmed 0/3"]
    watching.chain.mine(coins("t1"))
    assert await watching.look() == ["t1.0 unconfirmed 1/3"]
    watching.chain.mine()
    watching.chain.mine()
    assert await watching.look() == ["t1.0 unconfirmed 2/3", "t1.0 confirmed 5000"]
    watching.chain.mine()
    assert await watching.look() == []


@pytest.mark.asyncio
async def test_several_payments_to_one_address_are_several_payments(watching: Watching) -> None:
    await watching.look()
    await watching.watch(confirmations=1)
    watching.chain.mine(coins("t1", 1), coins("t1", 2, place="1"), coins("t2", 4, key="0014bb"))
    watching.chain.mine(coins("t3", 8))
    assert await watching.look() == ["t1.0 confirmed 1", "t1.1 confirmed 2", "t3.0 confirmed 8"]


@pytest.mark.asyncio
async def test_it_goes_on_where_it_was_after_a_restart(watching: Watching) -> None:
    await watching.look()
    await watching.watch()
    watching.chain.mine(coins("t1"))
    await watching.look()
    for _ in range(5):
        watching.chain.mine()
    watching.chain.asked.clear()
    assert await watching.look(watcher=watching.started()) == ["t1.0 unconfirmed 2/3", "t1.0 confirmed 5000"]
    assert watching.chain.asked == [2, 3, 4, 5, 6]


@pytest.mark.asyncio
async def test_a_fork_takes_back_and_what_is_mined_again_comes_back(watching: Watching) -> None:
    await watching.look()
    await watching.watch(confirmations=2)
    lost_in = watching.chain.mine(coins("t1"))
    watching.chain.mine(coins("t2"))
    assert await watching.look() == ["t1.0 unconfirmed 1/2", "t2.0 unconfirmed 1/2", "t1.0 confirmed 5000"]
    watching.chain.fork(2, [], [], [])
    assert await watching.look() == [f"t1.0 fork.{lost_in.hash} succeeded 5000", "t2.0 withdrawn 0/2"]
    watching.chain.mine(coins("t1"))
    watching.chain.mine()
    assert await watching.look() == [f"t1.0 fork.{lost_in.hash} failed 5000"]


@pytest.mark.asyncio
async def test_a_fork_that_mines_it_elsewhere_ends_where_it_was(watching: Watching) -> None:
    await watching.look()
    await watching.watch(confirmations=1)
    lost_in = watching.chain.mine(coins("t1"))
    await watching.look()
    watching.chain.fork(1, [], [coins("t1")])
    assert await watching.look() == [
        f"t1.0 fork.{lost_in.hash} succeeded 5000",
        f"t1.0 fork.{lost_in.hash} failed 5000",
    ]


@pytest.mark.asyncio
async def test_another_amount_in_another_branch_is_another_payment(watching: Watching) -> None:
    await watching.look()
    await watching.watch(confirmations=1)
    lost_in = watching.chain.mine(coins("t1", 5_000))
    await watching.look()
    watching.chain.fork(1, [coins("t1", 7_000)])
    told = await watching.look()
    assert told[0] == f"t1.0 fork.{lost_in.hash} succeeded 5000"
    assert [words for words in told[1:] if not words.endswith("confirmed 7000")] == []
    assert len(told) == 2


@pytest.mark.parametrize("hours", [5, 24 * 7])
@pytest.mark.asyncio
async def test_what_was_paid_hours_before_we_heard_of_it_is_found(watching: Watching, hours: int) -> None:
    """The service was away, people were told of addresses meanwhile, and the chain went on."""
    await watching.look()
    await hours_pass(watching, 24)
    watching.chain.mine()
    await watching.look()
    await hours_pass(watching, hours)
    watching.chain.mine(coins("t1"))
    for _ in range(BLOCKS_KEPT + 5):
        watching.chain.mine()
    assert await watching.look() == [], "nobody is awaited: it goes to the last block at once"
    await watching.watch(told_at=datetime.now(UTC) - timedelta(hours=hours - 1))
    watching.chain.asked.clear()
    assert await watching.look() == ["t1.0 confirmed 5000"]
    assert min(watching.chain.asked) == 2, "from the last block that was scanned before"


@pytest.mark.asyncio
async def test_a_branch_that_is_gone_is_looked_at_again_for_latecomers(watching: Watching) -> None:
    for _ in range(3):
        watching.chain.mine()
    await watching.look()
    await hours_pass(watching, 1)
    watching.chain.fork(2, [], [coins("t1")])
    await watching.look()
    await watching.watch(confirmations=1, told_at=datetime.now(UTC) - timedelta(minutes=30))
    assert await watching.look() == ["t1.0 confirmed 5000"]


async def hours_pass(watching: Watching, hours: int) -> None:
    """What is remembered is so much older now."""
    past = timedelta(hours=hours)
    await watching.owner.execute("UPDATE chain_blocks SET scanned_at = scanned_at - $1::interval", past)
    await watching.owner.execute("UPDATE chain_marks SET marked_at = marked_at - $1::interval", past)
    await watching.owner.execute("UPDATE chain_marks SET period = period - $1::interval", past)


@pytest.mark.asyncio
async def test_a_fork_below_all_that_is_remembered_is_gone_on_from(watching: Watching) -> None:
    for _ in range(30):
        watching.chain.mine()
    await watching.look()
    await watching.watch(confirmations=1)
    lost_in = watching.chain.mine(coins("t1"))
    assert await watching.look() == ["t1.0 confirmed 5000"]
    watching.chain.fork(28, *([] for _ in range(28)), [coins("t2")])
    assert await watching.look() == [f"t1.0 fork.{lost_in.hash} succeeded 5000", "t2.0 confirmed 5000"]


@pytest.mark.asyncio
async def test_a_fork_is_seen_also_after_the_address_is_watched_no_more(watching: Watching) -> None:
    await watching.look()
    await watching.watch(confirmations=1)
    lost_in = watching.chain.mine(coins("t1"))
    await watching.look()
    watching.clock.advance(timedelta(days=60).total_seconds())
    watching.chain.mine(coins("t2"))
    assert await watching.look() == []
    watching.chain.fork(2, [], [], [coins("t1")])
    assert await watching.look() == [
        f"t1.0 fork.{lost_in.hash} succeeded 5000",
        f"t1.0 fork.{lost_in.hash} failed 5000",
    ]


@pytest.mark.asyncio
async def test_a_fork_below_all_that_is_remembered_takes_back_all_that_is_gone(watching: Watching) -> None:
    for _ in range(3):
        watching.chain.mine()
    await watching.look()
    await watching.watch(confirmations=1)
    watching.chain.mine(coins("t1"))
    await watching.look()
    watching.chain.fork(4, [], [], [], [], [])
    told = await watching.look()
    assert [words.split()[-2:] for words in told] == [["succeeded", "5000"]]


@pytest.mark.asyncio
async def test_a_node_that_lags_takes_nothing_back(watching: Watching) -> None:
    await watching.look()
    await watching.watch(confirmations=1)
    watching.chain.mine(coins("t1"))
    assert await watching.look() == ["t1.0 confirmed 5000"]
    ahead = watching.chain.blocks.pop()
    assert await watching.look() == []
    watching.chain.blocks.append(ahead)
    watching.chain.mine(coins("t2"))
    assert await watching.look() == ["t2.0 confirmed 5000"]


@pytest.mark.asyncio
async def test_a_node_that_lags_is_not_asked_for_what_it_lacks(watching: Watching) -> None:
    await watching.watch("0014cc")
    await watching.look()
    told_at = datetime.now(UTC)
    watching.chain.mine(coins("t1"))
    await watching.look()
    ahead = watching.chain.blocks.pop()
    await watching.watch(confirmations=1, told_at=told_at)
    assert await watching.look() == []
    watching.chain.blocks.append(ahead)
    assert await watching.look() == ["t1.0 confirmed 5000"]


@pytest.mark.asyncio
async def test_a_block_of_another_branch_is_not_taken(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    await watching.look()
    await watching.watch(confirmations=1)
    watching.chain.mine(coins("t1"))
    scan = watching.chain.scan

    async def forks_meanwhile(*asked: Any) -> Sequence[Scanned]:
        scanned = await scan(*asked)
        return [replace(one, block=replace(one.block, parent="another")) for one in scanned]

    monkeypatch.setattr(watching.chain, "scan", forks_meanwhile)
    with pytest.raises(ChainMoved):
        await watching.look()
    assert await watching.owner.fetchval("SELECT count(*) FROM deposits") == 0


@pytest.mark.asyncio
async def test_what_left_the_pool_into_a_block_is_not_withdrawn(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watching.look()
    await watching.watch(confirmations=1)
    watching.chain.waiting = [coins("t1")]
    assert await watching.look() == ["t1.0 unconfirmed 0/1"]
    pool = watching.chain.pool

    async def mines_meanwhile(keys: Collection[str]) -> Pool | None:
        if watching.chain.waiting:
            watching.chain.mine(coins("t1"))
        return await pool(keys)

    monkeypatch.setattr(watching.chain, "pool", mines_meanwhile)
    assert await watching.look() == ["t1.0 confirmed 5000"]


@pytest.mark.asyncio
async def test_what_another_branch_moves_instead_counts_where_the_first_was_not_believed(watching: Watching) -> None:
    await watching.look()
    await watching.watch(confirmations=2)
    watching.chain.mine(coins("t1", 5_000))
    assert await watching.look() == ["t1.0 unconfirmed 1/2"]
    watching.chain.fork(1, [coins("t1", 7_000)], [])
    assert await watching.look() == ["t1.0 withdrawn 0/2", "t1.0 unconfirmed 1/2", "t1.0 confirmed 7000"]


@pytest.mark.asyncio
async def test_coins_that_came_before_we_knew_of_the_address_are_found(watching: Watching) -> None:
    await watching.watch("0014cc")
    await watching.look()
    told_at = datetime.now(UTC)
    watching.chain.mine(coins("t1"))
    watching.chain.mine()
    watching.chain.mine()
    assert await watching.look() == []
    await watching.watch(told_at=told_at)
    assert await watching.look() == ["t1.0 confirmed 5000"]


@pytest.mark.asyncio
async def test_the_first_start_looks_back(watching: Watching) -> None:
    for _ in range(30):
        watching.chain.mine()
    watching.chain.mine(coins("t1"))
    watching.chain.mine()
    await watching.watch(confirmations=1)
    assert await watching.look() == ["t1.0 confirmed 5000"]
    assert min(watching.chain.asked) == 12


@pytest.mark.asyncio
async def test_while_nothing_is_awaited_no_block_is_read(watching: Watching) -> None:
    await watching.look()
    for _ in range(50):
        watching.chain.mine(coins("t1"))
    assert await watching.look() == []
    assert watching.chain.asked == []


@pytest.mark.asyncio
async def test_what_leaves_the_pool_is_withdrawn_and_may_come_again(watching: Watching) -> None:
    await watching.look()
    await watching.watch()
    for _ in range(2):
        watching.chain.waiting = [coins("t1")]
        assert await watching.look() == ["t1.0 unconfirmed 0/3"]
        watching.chain.waiting = []
        assert await watching.look() == ["t1.0 withdrawn 0/3"]


@pytest.mark.asyncio
async def test_what_was_written_and_not_told_is_told_before_anything_else(watching: Watching) -> None:
    await watching.look()
    await watching.watch(confirmations=1)
    lost_in = watching.chain.mine(coins("t1"))

    async def database_away(*_: Any) -> None:
        raise OperationalError("away")

    with pytest.raises(OperationalError):
        await watching.look(watcher=watching.started(database_away))
    watching.chain.fork(1, [], [])
    assert await watching.look() == ["t1.0 confirmed 5000", f"t1.0 fork.{lost_in.hash} succeeded 5000"]


@pytest.mark.asyncio
async def test_what_was_told_and_not_noted_is_told_again_and_changes_nothing(watching: Watching) -> None:
    await watching.look()
    await watching.watch(confirmations=1)
    watching.chain.mine(coins("t1"))

    async def dies_after(gateway: str, reading: Reading, body: bytes) -> None:
        await watching.intake.keep(gateway, reading, body)
        raise OperationalError("died")

    with pytest.raises(OperationalError):
        await watching.look(watcher=watching.started(dies_after))
    assert await watching.look() == []
    kept = await watching.owner.fetch("SELECT event_id FROM raw_events")
    assert [row["event_id"] for row in kept] == ["bitcoin.t1.0.confirmed"]


@pytest.mark.asyncio
async def test_one_watches_at_a_time_and_another_takes_over(watching: Watching) -> None:
    await watching.look()
    await watching.watch(confirmations=1)
    watching.chain.mine(coins("t1"))
    other = watching.started(store=PostgresDepositStore(watching.pool, "two"))
    assert await watching.look(watcher=other) == []
    await watching.owner.execute("UPDATE chain_heads SET watched_till = now() - interval '1 s'")
    assert await watching.look(watcher=other) == ["t1.0 confirmed 5000"]
    assert await watching.look() == []


@pytest.mark.asyncio
async def test_who_lost_the_turn_writes_nothing(watching: Watching) -> None:
    await watching.look()
    place = await watching.store.place("bitcoin")
    late = Change("bitcoin", place, blocks=[watching.chain.mine()])
    with pytest.raises(NotOurTurn):
        await PostgresDepositStore(watching.pool, "two").save(late)
    await watching.store.save(late)
    with pytest.raises(NotOurTurn):
        await watching.store.save(late)
    assert await watching.owner.fetchval("SELECT count(*) FROM chain_blocks") == 2


@pytest.mark.asyncio
async def test_a_node_that_is_away_is_asked_again(watching: Watching) -> None:
    stop = StopSignal()
    asked: list[bool] = []
    tip = watching.chain.tip

    async def answers_the_third_time() -> Any:
        asked.append(True)
        watching.chain.away = len(asked) < 3
        if not watching.chain.away:
            stop.set()
        return await tip()

    watching.chain.tip = answers_the_third_time  # type: ignore[method-assign]
    await watching.watcher.run(stop)
    assert len(asked) == 3
    assert await watching.store.place("bitcoin") is not None
