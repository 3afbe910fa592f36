"""What waits in the engine's queue: a command with where it came from and who waits for its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chassis.bus.port import Record
from chassis.errors import PoisonMessage

from ledger.domain.commands import Command
from ledger.domain.events import LedgerEvent
from ledger.domain.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Settled:
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
    done: asyncio.Future[Outcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, outcome: Outcome) -> None:
        """Answer whoever waits, unless they gave up."""
        if not self.done.done():
            self.done.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """Tell whoever waits that the outcome is not known."""
        if not self.done.done():
            self.done.set_exception(error)
