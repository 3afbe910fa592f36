"""What waits in the engine's queue: a command with where it came from and who waits for its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chassis.bus.port import Record, TopicPartition
from chassis.errors import PoisonMessage
from ledger.domain.commands import Command
from ledger.domain.events import LedgerEvent
from ledger.domain.refusals import Refusal


class Settled(NamedTuple):
    """What became of a command: its events (none when it had no effect) and a position by which they are stored."""

    events: Sequence[LedgerEvent]
    position: int
    no_effect: str | None = None


class Answer(NamedTuple):
    """An HTTP answer as it is kept under an idempotency key."""

    status: int
    body: bytes


Outcome = Settled | Refusal | Answer | None
"""An Answer was given before; None: nothing was left to do, or the delivery was no longer ours."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record of the bus under the epoch of its partition's owner. ``message_id`` is None where the envelope is
    unreadable; ``epoch`` is None for a message that waited and is tried again; ``attempts`` counts its trials."""

    record: Record
    epoch: int | None
    message_id: str | None
    attempts: int = 0
    partition: TopicPartition = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "partition", self.record.topic_partition)


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request that carries an idempotency key; ``render`` makes the answer that is kept."""

    key: str
    body_hash: bytes
    render: Callable[[Settled | Refusal], Answer]


@dataclass(eq=False, slots=True)
class Work:
    """One unit of the engine. Without a command it only moves an offset; with a defect it is parked."""

    command: Command | None = None
    delivery: Delivery | None = None
    request: KeyedRequest | None = None
    defect: PoisonMessage | None = None
    outcome: Outcome = None


class Ticket:
    """Tells who handed works in when all of them are settled; each work then has its outcome.

    Fails with the first error where some outcome is not known.
    """

    def __init__(self, works: Sequence[Work]) -> None:
        self.works = works
        self.has_failed = False
        """Its other works must not be settled any more: an offset would pass over those that were not."""
        self._left = len(works)
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        """Wait until all works are settled. Raises OperationalError."""
        await self._done

    def settled(self, count: int) -> None:
        """``count`` more of the works are settled."""
        self._left -= count
        if not self._left and not self._done.done():
            self._done.set_result(None)

    def failed(self, error: Exception) -> None:
        """Some outcome is not known."""
        self.has_failed = True
        if not self._done.done():
            self._done.set_exception(error)
