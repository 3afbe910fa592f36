from itertools import pairwise
from typing import Any

import pytest

from chassis import dead_letters, waiting
from chassis.consumer import Handled
from chassis.errors import EarlyMessage, PoisonMessage
from contracts.envelope import Envelope
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio


class Books:
    """A payment makes a reference; a refund needs it; a settlement needs the refund's."""

    SETTLED = "gridledger.payments.Settled.v1"

    def __init__(self, world: Any) -> None:
        self._world = world
        self.poisoned = False
        self.handlers = {world.PAID: self.paid, world.REFUNDED: self.refunded, self.SETTLED: self.settled}

    async def paid(self, conn: Any, envelope: Envelope) -> Handled:
        await self._world.paid(conn, envelope)
        return Handled(references=[f"{envelope.subject}:credit"])

    async def refunded(self, conn: Any, envelope: Envelope) -> Handled:
        if self.poisoned:
            raise PoisonMessage("never")
        await self._need(conn, envelope.subject, "payment", f"{envelope.subject}:credit")
        await self._world.paid(conn, envelope)
        return Handled(references=[f"{envelope.subject}:refund"])

    async def settled(self, conn: Any, envelope: Envelope) -> None:
        await self._need(conn, envelope.subject, "refund", f"{envelope.subject}:refund")
        await self._world.paid(conn, envelope)

    async def _need(self, conn: Any, key: str, note: str, reference: str) -> None:
        if not await conn.fetchval("SELECT true FROM effects WHERE key = $1 AND note = $2", key, note):
            raise EarlyMessage(reference)


def story(world: Any, key: str = "pay-1") -> tuple[Any, Any, Any]:
    return (
        world.message(key, {"note": "payment"}),
        world.message(key, {"note": "refund"}, kind=world.REFUNDED),
        world.message(key, {"note": "settlement"}, kind=Books.SETTLED),
    )


async def test_what_came_too_early_follows_what_it_waited_for(world: Any) -> None:
    payment, refund, settlement = story(world)
    await world.publish(settlement, refund, refund)
    async with world.running(world.consumer(Books(world).handlers)):
        await eventually(lambda: _is(world.offsets(), 3))
        assert await world.notes() == []
        assert await world.count("inbox") == 0
        held = await waiting.list_waiting(world.pool, world.GROUP)
        assert [one.waits_for for one in held] == ["pay-1:refund", "pay-1:credit"]
        await world.publish(payment)
        await eventually(lambda: _is(world.notes(), ["payment", "refund", "settlement"]))
    assert await world.count("waiting_messages") == 0
    assert await world.count("inbox") == 3
    assert await world.count("dead_letters") == 0


async def test_the_sweep_finds_what_began_to_wait_as_its_reference_was_made(world: Any) -> None:
    payment, refund, _ = story(world)
    consumer = world.consumer(Books(world).handlers)
    await world.publish(refund)
    async with world.running(consumer):
        await eventually(lambda: _is(world.count("waiting_messages"), 1))
    # The payment takes effect in a process that did not see the waiting row.
    envelope = Envelope.from_record(payment.headers, payment.value)
    await world.paid(world.pool, envelope)
    assert await consumer.sweep_once() == 0, "not due yet"
    await world.pool.execute("UPDATE waiting_messages SET next_attempt_at = clock_timestamp()")
    assert await consumer.sweep_once() == 1
    assert await world.notes() == ["payment", "refund"]
    assert await world.count("waiting_messages") == 0


async def test_a_vain_attempt_makes_the_pause_longer(world: Any) -> None:
    consumer = world.consumer(Books(world).handlers)
    await world.publish(story(world)[1])
    async with world.running(consumer):
        await eventually(lambda: _is(world.count("waiting_messages"), 1))
    pauses = [await _pause_s(world)]
    for _ in range(3):
        await world.pool.execute("UPDATE waiting_messages SET next_attempt_at = clock_timestamp()")
        assert await consumer.sweep_once() == 1
        pauses.append(await _pause_s(world))
    assert all(later > 1.5 * earlier for earlier, later in pairwise(pauses))
    (held,) = await waiting.list_waiting(world.pool, world.GROUP)
    assert held.attempts == 4


async def test_a_waiting_message_that_turns_bad_is_parked(world: Any) -> None:
    books = Books(world)
    consumer = world.consumer(books.handlers)
    await world.publish(story(world)[1])
    async with world.running(consumer):
        await eventually(lambda: _is(world.count("waiting_messages"), 1))
    books.poisoned = True
    await world.pool.execute("UPDATE waiting_messages SET next_attempt_at = clock_timestamp()")
    await consumer.sweep_once()
    assert await world.count("waiting_messages") == 0
    assert [letter.reason for letter in await dead_letters.list_parked(world.pool)] == ["never"]


async def test_a_release_that_is_rolled_back_released_nothing(world: Any) -> None:
    await world.publish(story(world)[1])
    async with world.running(world.consumer(Books(world).handlers)):
        await eventually(lambda: _is(world.count("waiting_messages"), 1))
    async with world.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        (released,) = await waiting.release(conn, world.GROUP, ["pay-1:credit", "another"])
        assert released.record.key == b"pay-1"
        async with world.pool.acquire() as other:
            assert await waiting.release(other, world.GROUP, ["pay-1:credit"]) == []
        await transaction.rollback()
        assert len(await waiting.release(conn, world.GROUP, ["pay-1:credit"])) == 1
    assert await world.count("waiting_messages") == 0


async def _pause_s(world: Any) -> float:
    (row,) = await world.rows(
        "SELECT extract(epoch FROM next_attempt_at - clock_timestamp()) AS s FROM waiting_messages"
    )
    return float(row["s"])


async def _is(actual: Any, expected: Any) -> bool:
    return bool(await actual == expected)
