"""Two engines on the same books at once: nothing is lost, nothing happens twice, nobody spends what they lack."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

import pytest

from ledger.application.work import Work
from ledger.domain.commands import CaptureHold, HoldCredits, ReportRefund, ReturnHold, ReversePayment, Transfer
from ledger.domain.refusals import InsufficientFunds
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
WHO_WAITS = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())
"""
USERS = [f"user-{number}" for number in range(8)]


async def settle_all(engines: list[Any], works: list[Work], chance: Random) -> None:
    """Each work goes to one of the engines, all at once."""
    await asyncio.gather(*(chance.choice(engines).settle(work) for work in works))


async def test_transfers_between_the_same_wallets_lose_nothing(ledger: Any, say: Any) -> None:
    chance = Random(7)
    engines = [await ledger.another_engine(batch_max=20) for _ in range(2)]
    await ledger.settle(*(say.paid(1000, by=user, payment_id=f"pi_{user}") for user in USERS))
    works = [
        Work(command=Transfer(f"t-{number}", *chance.sample(USERS, 2), chance.randint(1, 700))) for number in range(600)
    ]
    await settle_all(engines, works, chance)
    expected = Counter(dict.fromkeys(USERS, 1000))
    for work in works:
        assert isinstance(work.command, Transfer)
        if not isinstance(work.outcome, InsufficientFunds):
            expected[work.command.from_user_id] -= work.command.amount
            expected[work.command.to_user_id] += work.command.amount
    assert {user: (await ledger.wallet(user)).spendable for user in USERS} == dict(expected)
    refused = sum(isinstance(work.outcome, InsufficientFunds) for work in works)
    assert 0 < refused < 600
    assert await ledger.count("stored_events") == 8 + 2 * (600 - refused)


async def test_the_same_payments_through_both_are_credited_once(ledger: Any, say: Any) -> None:
    engines = [ledger.engine, await ledger.another_engine(batch_max=7)]
    works = [[Work(command=say.paid(100, payment_id=f"pi_{number}")) for number in range(60)] for _ in engines]
    await asyncio.gather(*(engine.submit(own).wait() for engine, own in zip(engines, works, strict=True)))
    assert say.effects([work.outcome for own in works for work in own]) == 60
    assert (await ledger.wallet("alice")).spendable == 6000


async def test_a_hundred_holds_at_once_against_cover_for_ten(ledger: Any, say: Any) -> None:
    engines = [await ledger.another_engine(batch_max=9) for _ in range(2)]
    await ledger.settle(say.paid(1000))
    works = [Work(command=HoldCredits("alice", f"d-{number}", "web", "Web", 100)) for number in range(100)]
    await settle_all(engines, works, Random(3))
    assert say.effects([work.outcome for work in works]) == 10
    assert sum(isinstance(work.outcome, InsufficientFunds) for work in works) == 90
    wallet = await ledger.wallet("alice")
    assert (wallet.spendable, wallet.held, wallet.version) == (0, 1000, 11)


async def test_whole_lives_of_holds_in_any_order_through_both(ledger: Any, say: Any) -> None:
    chance = Random(11)
    engines = [await ledger.another_engine(batch_max=10) for _ in range(2)]
    await ledger.settle(say.paid(100_000))
    await ledger.settle(*(HoldCredits("alice", f"d-{number}", "web", "Web", 100) for number in range(50)))
    works = [
        Work(command=command)
        for number in range(50)
        for command in (CaptureHold(f"d-{number}", 10, 90), ReturnHold(f"d-{number}"), ReturnHold(f"d-{number}"))
    ]
    chance.shuffle(works)
    await settle_all(engines, works, chance)
    wallet = await ledger.wallet("alice")
    assert (wallet.spendable, wallet.held) == (100_000, 0)
    states = await ledger.pool.fetch("SELECT state, count(*) AS n FROM charges GROUP BY state")
    ended = {row["state"]: row["n"] for row in states}
    assert set(ended) == {"released", "refunded"}
    assert wallet.version == 1 + 50 + ended["released"] + 2 * ended["refunded"]


@pytest.mark.parametrize(("lock", "name"), [("lock_wallets", "alice"), ("lock_charges", "d-1")])
async def test_a_replica_waits_for_who_decides_about_the_same(ledger: Any, say: Any, lock: str, name: str) -> None:
    """Without that the event store's key would still refuse the second, but only after all its work."""
    stores = [await ledger.store() for _ in range(2)]
    await ledger.settle(say.paid(1000), HoldCredits("alice", "d-1", "web", "Web", 100))

    async def locked_by_the_second() -> object:
        async with stores[1].transaction() as second:
            return await getattr(second, lock)([name])

    async with stores[0].transaction() as first:
        seen = await getattr(first, lock)([name])
        waits = asyncio.create_task(locked_by_the_second())
        await eventually(lambda: ledger.pool.fetchval(f"{WHO_WAITS} = 1"), 1.5)
        assert not waits.done()
    assert await waits == seen


async def test_refunds_of_one_payment_through_both_take_only_what_was_given(ledger: Any, say: Any) -> None:
    """Such a payment has no row to lock before its first refund."""
    engines = [ledger.engine, await ledger.another_engine()]
    for number in range(30):
        await ledger.settle(say.paid(1000, by=f"user-{number}", payment_id=f"pi_{number}"))
        refunds = [ReversePayment("stripe", f"pi_{number}", total, "USD/2") for total in (600, 1000)]
        await asyncio.gather(
            *(engine.settle(Work(command=refund)) for engine, refund in zip(engines, refunds, strict=True))
        )
        assert (await ledger.wallet(f"user-{number}")).spendable == 0


async def test_a_refund_that_read_a_payment_before_another_replica_refunded_it(ledger: Any, say: Any) -> None:
    """The same, with the moment chosen: both have read the payment, neither has the wallet yet."""
    other = await ledger.another_engine()
    await ledger.settle(say.paid(1000))
    async with ledger.pool.acquire() as conn, conn.transaction():
        await conn.fetch("SELECT * FROM wallets WHERE user_id = 'alice' FOR UPDATE")
        refunds = [
            asyncio.create_task(engine.settle(Work(command=ReversePayment("stripe", "pi_1", total, "USD/2"))))
            for engine, total in ((ledger.engine, 600), (other, 1000))
        ]
        await eventually(lambda: ledger.pool.fetchval(f"{WHO_WAITS} = 2"), 1.5)
    await asyncio.gather(*refunds)
    assert (await ledger.wallet("alice")).spendable == 0


async def test_a_refund_and_its_failure_at_once_leave_nothing(ledger: Any, say: Any) -> None:
    """Neither engine had seen the other's news when it began to read."""
    chance = Random(5)
    engines = [await ledger.another_engine(batch_max=3) for _ in range(2)]
    payments = [f"pi_{number}" for number in range(40)]
    await ledger.settle(*(say.paid(100, by=chance.choice(USERS), payment_id=name) for name in payments))
    works = [
        Work(command=ReportRefund("stripe", name, "re_1", 100, "USD/2", state))
        for name in payments
        for state in ("succeeded", "failed")
    ]
    await settle_all(engines, works, chance)
    assert sum([(await ledger.wallet(user)).spendable for user in USERS]) == 40 * 100
    assert await ledger.pool.fetchval("SELECT count(*) FROM payments WHERE refunded <> 0 OR single_total <> 0") == 0
