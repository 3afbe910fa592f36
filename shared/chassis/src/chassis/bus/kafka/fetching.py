"""Takes from the client what it has fetched, in ways that its own ``getmany`` does not go wrong in.

``getmany`` waits for the end of a rebalance whatever its time limit says, and miscounts its callers once it raises or
is cancelled: an application that stopped fetching would then keep its partitions for ever. So it is asked only for
what is there already, and the waiting is done here. With ``abandoning`` the only place that reaches into the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.errors import KafkaError


class ClientStuck(Exception):
    """The client's own work has ended, or does not come back into its group: a bug of it. The process must end."""


class Fetching:
    """For one started client, and one caller at a time."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._turn = 0
        self._error: KafkaError | None = None

    def look_alive(self) -> None:
        """Count as somebody who fetches, also while there is nothing to fetch from: else the client never rejoins.

        Raises KafkaError for what the client's work in the background ran into, ClientStuck when that has ended.
        """
        with self._client._subscription.fetch_context():
            tasks = {"group": self._client._coordinator._coordination_task, "fetch": self._client._fetcher._fetch_task}
            for name, task in tasks.items():
                if task.done():
                    raise ClientStuck(f"the client's {name} task ended: {_how(task)}")
            self._client._coordinator.check_errors()

    async def take(self, partitions: Collection[Any], max_records: int) -> Mapping[Any, list[Any]]:
        """What is there from these, at once, of each as much as of the others first. Not during a rebalance.

        The client would empty one partition before it comes to the next: beside a long backlog others would look
        stuck. Raises KafkaError; one that follows upon records only the next time, so that these are not lost.
        """
        error, self._error = self._error, None
        if error is not None:
            raise error
        ready = self._in_turn([partition for partition in partitions if partition in self._client._fetcher._records])
        taken: dict[Any, list[Any]] = {}
        left = max_records
        try:
            for share in (max_records // len(ready) or 1, max_records) if ready else ():
                for partition in ready:
                    if left:
                        left -= await self._take_one(partition, min(share, left), taken)
        except KafkaError as late:
            if not taken:
                raise
            self._error = late
        return taken

    async def wait(self, timeout_s: float) -> None:
        """Until there may be something, or the time is up."""
        news = self._client._fetcher._create_fetch_waiter()
        try:
            await asyncio.wait({news}, timeout=timeout_s)
        finally:
            if not news.cancel() and not news.cancelled():
                # The same error stands in the client, where look_alive finds it.
                news.exception()

    async def _take_one(self, partition: Any, max_records: int, taken: dict[Any, list[Any]]) -> int:
        try:
            found = await self._client.getmany(partition, timeout_ms=0, max_records=max_records)
        except BaseException:
            self._client._subscription._fetch_count = 0
            raise
        records: list[Any] = found.get(partition, [])
        if records:
            taken.setdefault(partition, []).extend(records)
        return len(records)

    def _in_turn(self, ready: list[Any]) -> list[Any]:
        """Who stands first changes each time, so that none starves where not all can have some."""
        self._turn += 1
        shift = self._turn % max(1, len(ready))
        return ready[shift:] + ready[:shift]


def _how(task: asyncio.Task[Any]) -> str:
    return "cancelled" if task.cancelled() else repr(task.exception())
