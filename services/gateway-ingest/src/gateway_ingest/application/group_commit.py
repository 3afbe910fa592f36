"""Many waiters, one transaction: whoever comes while a write runs goes into the next one.

Bounded: a full queue refuses at once. There is no task while there is nothing to do, so nothing has to be started or
drained. Knows nothing of what is written.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from chassis.errors import OperationalError
from gateway_ingest.application.ports import UnstorableEvent

QUEUE_MAX_ITEMS = 5_000
BATCH_MAX_ITEMS = 500
WAIT_MAX_S = 10.0
"""Who has waited longer is told to come again and not written: most likely they have left."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Write = Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]


class WriteCrashed(Exception):
    """The write failed by a bug; the cause hangs on it."""


@dataclass(slots=True)
class _Waiter(Generic[Item, Result]):
    """Somebody's item, the place where they wait for its result, and until when."""

    item: Item
    written: asyncio.Future[Result]
    deadline: float


class GroupCommit(Generic[Item, Result]):
    """Collects items and writes them in batches, one batch at a time, in the order of arrival."""

    def __init__(
        self,
        write: Write[Item, Result],
        *,
        queue_max_items: int = QUEUE_MAX_ITEMS,
        batch_max_items: int = BATCH_MAX_ITEMS,
        wait_max_s: float = WAIT_MAX_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._queue_max_items = queue_max_items
        self._batch_max_items = batch_max_items
        self._wait_max_s = wait_max_s
        self._now_s = now_s
        self._waiting: deque[_Waiter[Item, Result]] = deque()
        self._flushing: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Return once ``item`` is written.

        Raises OperationalError when the queue is full or the write may pass later, UnstorableEvent when this very item
        is refused, WriteCrashed on a bug.
        """
        if len(self._waiting) >= self._queue_max_items:
            raise OperationalError("too many webhooks wait to be written")
        written: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiter(item, written, self._now_s() + self._wait_max_s))
        if self._flushing is None:
            # In nobody's context: what it writes belongs to many requests, not to the one that happened to start it.
            self._flushing = asyncio.create_task(self._flush(), name="group-commit", context=Context())
        return await written

    async def _flush(self) -> None:
        try:
            # Whoever is ready to submit in this turn of the loop comes along.
            await asyncio.sleep(0)
            while self._waiting:
                count = min(len(self._waiting), self._batch_max_items)
                await self._settle(self._in_time([self._waiting.popleft() for _ in range(count)]))
        finally:
            self._flushing = None

    def _in_time(self, batch: Sequence[_Waiter[Item, Result]]) -> Sequence[_Waiter[Item, Result]]:
        """Those who have not waited too long; the others are refused."""
        now = self._now_s()
        if batch[0].deadline >= now:
            return batch
        _fail([waiter for waiter in batch if waiter.deadline < now], partial(OperationalError, "waited too long"))
        return [waiter for waiter in batch if waiter.deadline >= now]

    async def _settle(self, batch: Sequence[_Waiter[Item, Result]]) -> None:
        """Write the batch and answer its waiters; halve it while the database refuses a value in it."""
        if not batch:
            return
        try:
            results = await self._write([waiter.item for waiter in batch])
        except UnstorableEvent as refused:
            if len(batch) == 1:
                _fail(batch, partial(UnstorableEvent, str(refused)))
                return
            middle = len(batch) // 2
            await self._settle(batch[:middle])
            await self._settle(batch[middle:])
        except OperationalError as away:
            _fail(batch, partial(OperationalError, away.reason, retry_after_s=away.retry_after_s))
        except Exception as bug:  # noqa: BLE001 - handed to every waiter, who raises it
            _fail(batch, partial(_crashed, bug))
        else:
            for waiter, result in zip(batch, results, strict=True):
                if not waiter.written.done():
                    waiter.written.set_result(result)


def _fail(batch: Sequence[_Waiter[Item, Result]], make: Callable[[], Exception]) -> None:
    """An error of its own for each waiter: one that is raised in several places gathers all their tracebacks."""
    for waiter in batch:
        if not waiter.written.done():
            waiter.written.set_exception(make())


def _crashed(bug: Exception) -> WriteCrashed:
    crash = WriteCrashed(repr(bug))
    crash.__cause__ = bug
    return crash
