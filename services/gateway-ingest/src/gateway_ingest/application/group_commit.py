"""Many waiters, one transaction: whoever comes while a write runs goes into the next one.

Bounded: a full queue refuses at once. There is no task while there is nothing to do, so nothing has to be started or
drained. Knows nothing of what is written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from chassis.errors import OperationalError
from gateway_ingest.application.ports import UnstorableEvent

QUEUE_MAX_ITEMS = 5_000
BATCH_MAX_ITEMS = 500

Item = TypeVar("Item")
Result = TypeVar("Result")
Write = Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]


class WriteCrashed(Exception):
    """The write failed by a bug; the cause hangs on it."""


class GroupCommit(Generic[Item, Result]):
    """Collects items and writes them in batches, one batch at a time, in the order of arrival."""

    def __init__(
        self,
        write: Write[Item, Result],
        *,
        queue_max_items: int = QUEUE_MAX_ITEMS,
        batch_max_items: int = BATCH_MAX_ITEMS,
    ) -> None:
        self._write = write
        self._queue_max_items = queue_max_items
        self._batch_max_items = batch_max_items
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._flushing: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Return once ``item`` is written.

        Raises OperationalError when the queue is full or the write may pass later, UnstorableEvent when this very item
        is refused, WriteCrashed on a bug.
        """
        if len(self._waiting) >= self._queue_max_items:
            raise OperationalError("too many webhooks wait to be written")
        written: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, written))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name="group-commit")
        return await written

    async def _flush(self) -> None:
        try:
            # Whoever is ready to submit in this turn of the loop comes along.
            await asyncio.sleep(0)
            while self._waiting:
                count = min(len(self._waiting), self._batch_max_items)
                await self._settle([self._waiting.popleft() for _ in range(count)])
        finally:
            self._flushing = None

    async def _settle(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        """Write the batch and answer its waiters; halve it while the database refuses a value in it."""
        try:
            results = await self._write([item for item, _ in batch])
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
            for (_, written), result in zip(batch, results, strict=True):
                if not written.done():
                    written.set_result(result)


def _fail(batch: Sequence[tuple[Item, asyncio.Future[Result]]], make: Callable[[], Exception]) -> None:
    """An error of its own for each waiter: one that is raised in several places gathers all their tracebacks."""
    for _, written in batch:
        if not written.done():
            written.set_exception(make())


def _crashed(bug: Exception) -> WriteCrashed:
    crash = WriteCrashed(repr(bug))
    crash.__cause__ = bug
    return crash
