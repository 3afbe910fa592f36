"""Many waiters, one write: batching, bounds, and a bad item that must not hurt its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import pytest

from chassis.errors import OperationalError
from gateway_ingest.application.group_commit import GroupCommit, WriteCrashed
from gateway_ingest.application.ports import UnstorableEvent


class Writes:
    """A write that can be held, and that refuses what it is told to."""

    def __init__(self, refused: frozenset[int] = frozenset(), error: Exception | None = None) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self._refused = refused
        self._error = error

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.begun.set()
        await self.open.wait()
        if self._error is not None:
            raise self._error
        if self._refused.intersection(items):
            raise UnstorableEvent("refused")
        return [item * 10 for item in items]


@pytest.mark.asyncio
async def test_who_comes_while_a_write_runs_shares_the_next() -> None:
    writes = Writes()
    writes.open.clear()
    commit = GroupCommit(writes, batch_max_items=3)
    first = asyncio.create_task(commit.submit(1))
    await writes.begun.wait()
    others = [asyncio.create_task(commit.submit(number)) for number in (2, 3, 4, 5)]
    await asyncio.sleep(0)
    assert not first.done()
    writes.open.set()
    assert await asyncio.gather(first, *others) == [10, 20, 30, 40, 50]
    assert writes.batches == [[1], [2, 3, 4], [5]]


@pytest.mark.asyncio
async def test_the_write_belongs_to_nobodys_request() -> None:
    """Else what it logs and makes for many would be told of the one request that happened to start it."""
    request: ContextVar[str] = ContextVar("request", default="nobody's")
    seen: list[str] = []

    async def write(items: Sequence[int]) -> Sequence[int]:
        seen.append(request.get())
        return items

    request.set("mine")
    assert await GroupCommit(write).submit(1) == 1
    assert seen == ["nobody's"]


@pytest.mark.asyncio
async def test_a_full_queue_refuses_at_once() -> None:
    writes = Writes()
    writes.open.clear()
    commit = GroupCommit(writes, queue_max_items=2, batch_max_items=1)
    waiting = [asyncio.create_task(commit.submit(1))]
    await writes.begun.wait()
    waiting += [asyncio.create_task(commit.submit(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    with pytest.raises(OperationalError, match="too many"):
        await commit.submit(4)
    writes.open.set()
    assert await asyncio.gather(*waiting) == [10, 20, 30]


@pytest.mark.asyncio
async def test_an_item_that_is_refused_stands_alone_in_the_end() -> None:
    writes = Writes(frozenset({4, 6}))
    commit = GroupCommit(writes)
    results = await asyncio.gather(*(commit.submit(number) for number in range(1, 9)), return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [10, 20, 30, 50, 70, 80]
    assert isinstance(results[3], UnstorableEvent)
    assert isinstance(results[5], UnstorableEvent)


@pytest.mark.asyncio
async def test_a_database_that_is_away_is_told_to_every_waiter_and_forgotten() -> None:
    writes = Writes(error=OperationalError("away", retry_after_s=7))
    commit = GroupCommit(writes)
    results = await asyncio.gather(commit.submit(1), commit.submit(2), return_exceptions=True)
    assert [getattr(result, "retry_after_s", None) for result in results] == [7, 7]
    assert results[0] is not results[1]
    writes._error = None
    assert await commit.submit(3) == 30


@pytest.mark.asyncio
async def test_a_bug_reaches_every_waiter_with_its_cause() -> None:
    commit = GroupCommit(Writes(error=KeyError("oops")))
    results = await asyncio.gather(commit.submit(1), commit.submit(2), return_exceptions=True)
    assert all(isinstance(result, WriteCrashed) and isinstance(result.__cause__, KeyError) for result in results)


@pytest.mark.asyncio
async def test_a_waiter_that_leaves_disturbs_nobody() -> None:
    writes = Writes()
    writes.open.clear()
    commit = GroupCommit(writes)
    leaving, staying = asyncio.create_task(commit.submit(1)), asyncio.create_task(commit.submit(2))
    await writes.begun.wait()
    leaving.cancel()
    writes.open.set()
    assert await staying == 20
    with pytest.raises(asyncio.CancelledError):
        await leaving


@pytest.mark.asyncio
async def test_who_waited_too_long_is_refused_and_not_written() -> None:
    writes = Writes()
    writes.open.clear()
    now_s = [100.0]
    commit = GroupCommit(writes, batch_max_items=1, wait_max_s=10, now_s=lambda: now_s[0])
    first = asyncio.create_task(commit.submit(1))
    await writes.begun.wait()
    late = asyncio.create_task(commit.submit(2))
    await asyncio.sleep(0)
    now_s[0] = 110.1
    writes.open.set()
    assert await first == 10
    with pytest.raises(OperationalError, match="too long"):
        await late
    assert writes.batches == [[1]]
