"""Applies one delivery in one transaction: offset, inbox row and effect, or offset and dead letter, or offset and wait.

Raises what passes (the caller retries) and what is a bug; knows nothing of fetching, order or retries.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from chassis import dead_letters, waiting
from chassis.bus.port import Record
from chassis.consumer.delivery import Delivery, Subscription
from chassis.consumer.poison import as_poison
from chassis.errors import EarlyMessage, PoisonMessage
from chassis.inbox import advance_offsets, claim_messages, still_owned
from chassis.metrics import MESSAGES_HANDLED
from chassis.tracing import handling
from chassis.tracing.messages import OUTCOME
from contracts.envelope import Envelope

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Handled:
    """What a handler answers when others may wait for what it made: the references that now exist."""

    references: Sequence[str] = ()


Handler = Callable[[Any, Envelope], Awaitable[Handled | None]]
"""``handler(connection, envelope)``: the effect, in the transaction that it is given and must not end."""


class LostPartition(Exception):
    """Another consumer owns the partition now; nothing was applied."""


class _Done(Exception):
    """The offset stands there already: an earlier attempt's commit went through although its answer was lost."""


class Applier:
    """Handlers, inbox, dead letters and waiting messages of one group."""

    def __init__(self, pool: asyncpg.Pool[Any], group: str, handlers: Mapping[str, Handler]) -> None:
        self._pool = pool
        self._group = group
        self._handlers = dict(handlers)
        self.subscription = Subscription(group, handlers.keys())

    async def apply(self, delivery: Delivery) -> Sequence[str]:
        """Apply it once; answers the references that it made. Raises LostPartition, and what passes later."""
        with handling(self._group, delivery) as span:
            outcome, references = await self._applied(delivery)
            span.note(OUTCOME, outcome)
        self._count(delivery.record, outcome)
        return references

    async def skip_to(self, delivery: Delivery) -> None:
        """Move the offset past a run of skipped deliveries, of which this is the last. Raises LostPartition."""
        try:
            async with self._owning(delivery):
                pass
        except _Done:
            return

    async def apply_waiting(self, waiting_id: int) -> Sequence[str]:
        """Try a waiting message again; answers the references that it made. Nothing when somebody else has it."""
        attempt = _WaitingAttempt()
        try:
            return await self._wait_is_over(waiting_id, attempt)
        except EarlyMessage as early:
            await self._wait_on(attempt, early)
        except Exception as error:
            poison = as_poison(error)
            if poison is None:
                raise
            await self._park_waiting(waiting_id, poison)
        return ()

    async def waiting_for(self, references: Sequence[str]) -> Sequence[int]:
        """Ids of the messages that wait for any of these."""
        return await waiting.find(self._pool, self._group, references)

    async def due(self, limit: int) -> Sequence[int]:
        """Ids of the waiting messages whose time to be tried again has come."""
        return await waiting.find_due(self._pool, self._group, limit=limit)

    async def _applied(self, delivery: Delivery) -> tuple[str, Sequence[str]]:
        try:
            if delivery.poison is not None:
                return await self._park(delivery, delivery.poison)
            return await self._handle(delivery)
        except EarlyMessage as early:
            return await self._hold(delivery, early)
        except _Done:
            return "repeated", ()
        except Exception as error:
            poison = as_poison(error)
            if poison is None or delivery.poison is not None:
                raise
            return await self._park_unless_done(delivery, poison)

    async def _handle(self, delivery: Delivery) -> tuple[str, Sequence[str]]:
        if delivery.envelope is None:
            await self.skip_to(delivery)
            return "skipped", ()
        async with self._owning(delivery) as conn:
            references = await self._effect(conn, delivery.envelope)
        return ("duplicate", ()) if references is None else ("handled", references)

    async def _effect(self, conn: Any, envelope: Envelope) -> Sequence[str] | None:
        """Run the handler, unless the message was handled before: then None."""
        if not await claim_messages(conn, self._group, [envelope.id]):
            return None
        handled = await self._handlers[envelope.type](conn, envelope)
        return handled.references if handled is not None else ()

    async def _park_unless_done(self, delivery: Delivery, poison: PoisonMessage) -> tuple[str, Sequence[str]]:
        try:
            return await self._park(delivery, poison)
        except _Done:
            return "repeated", ()

    async def _park(self, delivery: Delivery, poison: PoisonMessage) -> tuple[str, Sequence[str]]:
        async with self._owning(delivery) as conn:
            parked = await dead_letters.park(conn, self._group, delivery.record, poison)
        log.error("message_parked", group=self._group, dead_letter=parked, reason=poison.reason)
        return "parked", ()

    async def _hold(self, delivery: Delivery, early: EarlyMessage) -> tuple[str, Sequence[str]]:
        try:
            async with self._owning(delivery) as conn:
                await waiting.hold(conn, self._group, delivery.record, early.waits_for)
        except _Done:
            return "repeated", ()
        log.info("message_waits", group=self._group, waits_for=early.waits_for)
        return "waiting", ()

    async def _wait_is_over(self, waiting_id: int, attempt: _WaitingAttempt) -> Sequence[str]:
        async with self._pool.acquire() as conn, conn.transaction():
            attempt.held = held = await waiting.take(conn, waiting_id)
            if held is None:
                return ()
            delivery = self.subscription.read(held.record, None)
            if delivery.poison is not None:
                raise delivery.poison
            with handling(self._group, delivery) as span:
                references = await self._effect(conn, delivery.envelope) if delivery.envelope else None
                span.note(OUTCOME, outcome := "duplicate" if references is None else "released")
        self._count(held.record, outcome)
        return references or ()

    async def _wait_on(self, attempt: _WaitingAttempt, early: EarlyMessage) -> None:
        """The attempt was rolled back, so the row is there; its pause grows."""
        held = attempt.held
        assert held is not None
        async with self._pool.acquire() as conn, conn.transaction():
            still_there = await waiting.take(conn, held.id)
            if still_there is not None:
                attempts = still_there.attempts + 1
                await waiting.hold(conn, self._group, held.record, early.waits_for, attempts=attempts)

    async def _park_waiting(self, waiting_id: int, poison: PoisonMessage) -> None:
        async with self._pool.acquire() as conn, conn.transaction():
            held = await waiting.take(conn, waiting_id)
            if held is None:
                return
            parked = await dead_letters.park(conn, self._group, held.record, poison)
        log.error("message_parked", group=self._group, dead_letter=parked, reason=poison.reason)
        self._count(held.record, "parked")

    @asynccontextmanager
    async def _owning(self, delivery: Delivery) -> AsyncIterator[Any]:
        """A transaction in which the offset has moved past the delivery, under its owner's epoch."""
        partition = delivery.record.topic_partition
        assert delivery.epoch is not None
        epochs = {partition: delivery.epoch}
        async with self._pool.acquire() as conn, conn.transaction():
            if not await advance_offsets(conn, self._group, epochs, {partition: delivery.record}):
                if await still_owned(conn, self._group, epochs):
                    raise _Done
                raise LostPartition(str(partition))
            yield conn

    def _count(self, record: Record, outcome: str) -> None:
        MESSAGES_HANDLED.labels(self._group, record.topic, outcome).inc()


@dataclass(slots=True)
class _WaitingAttempt:
    """What an attempt took out before it failed."""

    held: waiting.Held | None = None
