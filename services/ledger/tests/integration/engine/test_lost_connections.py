"""The database goes away at the worst moments: what was asked for happens once, in order, and nobody is told a lie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import pytest

from chassis.errors import OperationalError
from ledger.application import engine as engine_module
from ledger.application.ports import BooksStore, BooksTransaction
from ledger.application.work import Settled, Work
from ledger.domain.commands import HoldCredits, Transfer
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio


class Unreliable:
    """A store whose database is away for some transactions, or goes away right after some commits."""

    def __init__(self, store: BooksStore, *, away: Sequence[int] = (), lost_after_commit: Sequence[int] = ()) -> None:
        self._store = store
        self._away = away
        self._lost_after_commit = lost_after_commit
        self.transactions = 0

    def transaction(self) -> AbstractAsyncContextManager[BooksTransaction]:
        return self._transaction()

    async def allocatable(self, after: str, limit: int) -> Sequence[str]:
        return await self._store.allocatable(after, limit)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[BooksTransaction]:
        self.transactions += 1
        number = self.transactions
        if number in self._away:
            raise OperationalError("database away")
        async with self._store.transaction() as transaction:
            yield transaction
        if number in self._lost_after_commit:
            raise OperationalError("connection lost at commit")


async def test_a_connection_killed_in_the_middle_of_a_batch_settles_it_once(ledger: Any, say: Any) -> None:
    await ledger.settle(say.paid(1000, payment_id="pi_0"))
    killer = await asyncpg.connect(ledger.database.app_dsn)
    async with killer.transaction():
        await killer.execute("SELECT * FROM wallets WHERE user_id = 'alice' FOR UPDATE")
        records = [say.confirmed(offset, f"pi_{offset + 1}", amount="1.00") for offset in range(10)]
        batch = asyncio.create_task(ledger.deliver(*records))
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        pid = await eventually(lambda: ledger.pool.fetchval(waiting), 1.5)
        assert await killer.fetchval("SELECT pg_terminate_backend($1)", pid)
    await killer.close()
    works = await batch
    assert all(isinstance(work.outcome, Settled) for work in works)
    assert (await ledger.wallet("alice")).spendable == 2000
    assert (await ledger.next_offset(), await ledger.count("inbox"), await ledger.count("stored_events")) == (
        10,
        10,
        11,
    )


async def test_an_answer_lost_at_commit_is_read_again(ledger: Any, say: Any) -> None:
    store = Unreliable(await ledger.store(), lost_after_commit=[1])
    await ledger.settle(say.paid(2500))
    engine = await ledger.another_engine(store, run=False)
    works = [
        Work(command=HoldCredits("alice", "d-1", "web", "Web", 1000)),
        Work(command=Transfer("t-1", "alice", "bob", 1500)),
        Work(command=Transfer("t-2", "alice", "bob", 1)),
    ]
    ticket = engine.submit(works)
    ledger.start(engine)
    await ticket.wait()
    assert store.transactions == 2
    held, sent, refused = [work.outcome for work in works]
    assert [type(event).__name__ for event in (*held.events, *sent.events)] == ["CreditsHeld", "CreditsSent"]
    assert (refused.required, refused.available) == (1, 0)
    assert (await ledger.wallet("alice")).version == 3


async def test_messages_whose_commit_was_not_heard_of_are_not_applied_again(ledger: Any, say: Any) -> None:
    engine = await ledger.another_engine(Unreliable(await ledger.store(), lost_after_commit=[1]))
    await ledger.deliver(say.confirmed(0), say.confirmed(1, amount="9.99"), say.refunded(2, "1", "pi_9"), engine=engine)
    assert (await ledger.count("stored_events"), await ledger.parked()) == (1, [(1, "reference_conflict")])
    assert (await ledger.count("inbox"), await ledger.count("waiting_messages")) == (1, 1)


async def test_callers_are_told_when_the_database_stays_away(
    ledger: Any, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "DATABASE_PATIENCE_S", 0.0)
    engine = await ledger.another_engine(Unreliable(await ledger.store(), away=[1]))
    with pytest.raises(OperationalError, match="database away"):
        await engine.settle(Work(command=say.paid()))
    assert isinstance(await engine.settle(Work(command=say.paid())), Settled)


async def test_no_message_overtakes_one_that_failed_before_it(
    ledger: Any, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several batches hold one delivery; were the second settled after the first failed, its offset would pass over
    what was never applied."""
    monkeypatch.setattr(engine_module, "DATABASE_PATIENCE_S", 0.0)
    engine = await ledger.another_engine(Unreliable(await ledger.store(), away=[1]), batch_max=2)
    records = [say.confirmed(offset, f"pi_{offset}", amount="1.00") for offset in range(6)]
    with pytest.raises(OperationalError):
        await ledger.deliver(*records, engine=engine)
    assert isinstance(await engine.settle(Work(command=say.paid(5, by="bob", payment_id="pi_bob"))), Settled)
    await ledger.deliver(*records, engine=engine)
    assert (await ledger.wallet("alice")).spendable == 600
    assert (await ledger.next_offset(), await ledger.count("inbox")) == (6, 6)


async def test_no_half_overtakes_one_that_failed_before_it(
    ledger: Any, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, where a refused value made halves of one batch."""
    monkeypatch.setattr(engine_module, "DATABASE_PATIENCE_S", 0.0)
    engine = await ledger.another_engine(Unreliable(await ledger.store(), away=[2]))
    records = [say.confirmed(offset, f"pi_{offset}", amount="1.00") for offset in range(6)]
    records[5] = say.confirmed(5, "pi_\0")
    with pytest.raises(OperationalError):
        await ledger.deliver(*records, engine=engine)
    await ledger.deliver(*records, engine=engine)
    assert (await ledger.wallet("alice")).spendable == 500
    assert (await ledger.next_offset(), await ledger.parked()) == (6, [(5, "data-refused")])


async def test_a_full_queue_refuses_without_a_trace(ledger: Any, say: Any) -> None:
    engine = await ledger.another_engine(run=False, queue_max=3)
    taken = engine.submit([Work(command=say.paid(100, payment_id=f"pi_{number}")) for number in range(2)])
    with pytest.raises(OperationalError, match="more to do"):
        engine.submit([Work(command=say.paid(100, payment_id=f"late_{number}")) for number in range(2)])
    last = engine.submit([Work(command=say.paid(100, payment_id="pi_2"))])
    with pytest.raises(OperationalError):
        engine.submit([Work(command=say.paid(100, payment_id="late_0"))])
    ledger.start(engine)
    await taken.wait()
    await last.wait()
    assert (await ledger.wallet("alice")).spendable == 300
