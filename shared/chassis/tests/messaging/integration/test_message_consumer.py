import asyncio
import random
from collections import defaultdict
from typing import Any

import pytest

from chassis.consumer import ConsumerStalled, Limits
from chassis.errors import OperationalError
from chassis.runtime import StopSignal
from contracts.envelope import Envelope
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio


async def test_every_message_takes_effect_once_in_order_per_key(world: Any) -> None:
    records = [world.message(f"key-{number % 5}", {"note": f"{number}"}) for number in range(60)]
    await world.publish(*records)
    async with world.running(world.consumer()):
        await eventually(lambda: _counts(world, effects=60))
    notes = defaultdict(list)
    for row in await world.rows("SELECT key, note FROM effects ORDER BY place"):
        notes[row["key"]].append(int(row["note"]))
    assert all(numbers == sorted(numbers) for numbers in notes.values())
    assert await world.count("inbox") == 60
    assert await world.offsets() == 60


async def test_repeats_and_disorder_change_nothing(world: Any) -> None:
    records = [world.message(f"key-{number}", {"note": f"{number}"}) for number in range(30)]
    repeated = records * 3
    random.shuffle(repeated)
    await world.publish(*repeated)
    async with world.running(world.consumer()):
        await eventually(lambda: _offsets(world, 90))
    assert sorted(await world.notes(), key=int) == [str(number) for number in range(30)]


async def test_what_was_handled_before_a_restart_is_not_fetched_again(world: Any) -> None:
    await world.publish(*[world.message("key", {"note": "before"}) for _ in range(5)])
    async with world.running(world.consumer()):
        await eventually(lambda: _counts(world, effects=5))
    # Even when the bus forgot every commit: its groups are gone, its log is there.
    world.bus._groups.clear()
    handled: list[str] = []

    async def paid(conn: Any, envelope: Envelope) -> None:
        handled.append(envelope.subject)

    await world.publish(*[world.message("key", {"note": f"{n}"}) for n in range(2)])
    async with world.running(world.consumer({world.PAID: paid})):
        await eventually(lambda: _offsets(world, 7))
    assert len(handled) == 2


async def test_a_database_made_anew_hears_everything_again(world: Any) -> None:
    await world.publish(*[world.message(f"key-{n}", {"note": f"{n}"}) for n in range(12)])
    async with world.running(world.consumer()):
        await eventually(lambda: _offsets(world, 12))
    # As after a loss: the bus remembers how far the group came, the database nothing.
    await world.forget_everything()
    async with world.running(world.consumer()):
        await eventually(lambda: _counts(world, effects=12))


async def test_types_that_nobody_asked_for_are_passed_over(world: Any) -> None:
    others = [world.message("key", kind="gridledger.payments.Other.v1") for _ in range(20)]
    await world.publish(*others, world.message("key", {"note": "mine"}), *others)
    async with world.running(world.consumer()):
        await eventually(lambda: _offsets(world, 41))
    assert await world.notes() == ["mine"]
    assert await world.count("dead_letters") == 0


async def test_what_passes_is_retried_in_place_while_other_partitions_go_on(world: Any) -> None:
    failing = True

    async def paid(conn: Any, envelope: Envelope) -> None:
        await world.paid(conn, envelope)
        if failing and envelope.subject == "stuck":
            raise OperationalError("away")

    free = next(f"free-{n}" for n in range(50) if _partition(f"free-{n}") != _partition("stuck"))
    await world.publish(world.message("stuck", {"note": "first"}), world.message("stuck", {"note": "second"}))
    await world.publish(world.message(free, {"note": "other"}))
    async with world.running(world.consumer({world.PAID: paid})):
        await eventually(lambda: _notes(world, ["other"]))
        failing = False
        await eventually(lambda: _notes(world, ["other", "first", "second"]))
    assert await world.count("dead_letters") == 0


async def test_a_lock_that_does_not_come_is_waited_for_again(world: Any) -> None:
    attempts = 0

    async def paid(conn: Any, envelope: Envelope) -> None:
        nonlocal attempts
        attempts += 1
        await conn.execute("SET LOCAL lock_timeout = '50ms'")
        await conn.execute("SELECT pg_advisory_xact_lock(7)")
        await world.paid(conn, envelope)

    async with world.pool.acquire() as blocker:
        await blocker.execute("SELECT pg_advisory_lock(7)")
        await world.publish(world.message("key", {"note": "patient"}))
        async with world.running(world.consumer({world.PAID: paid})):
            await eventually(lambda: attempts >= 2)
            await blocker.execute("SELECT pg_advisory_unlock(7)")
            await eventually(lambda: _notes(world, ["patient"]))


async def test_a_bug_ends_the_task(world: Any) -> None:
    async def broken(conn: Any, envelope: Envelope) -> None:
        raise KeyError("bug")

    await world.publish(world.message())
    with pytest.raises(KeyError, match="bug"):
        await asyncio.wait_for(world.consumer({world.PAID: broken}).run(StopSignal()), 10)
    assert await world.offsets() == 0
    assert await world.count("inbox") == 0


async def test_stopping_finishes_what_is_in_hand_and_drops_what_takes_too_long(world: Any) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(conn: Any, envelope: Envelope) -> None:
        entered.set()
        await leave.wait()
        await world.paid(conn, envelope)
        if b"endless" in envelope.data:
            await asyncio.Event().wait()

    await world.publish(world.message("key", {"note": "one"}), world.message("key", {"note": "endless"}))
    async with world.running(world.consumer({world.PAID: slow})) as stop:
        await asyncio.wait_for(entered.wait(), 10)
        stop.set()
        leave.set()
    assert await world.notes() == ["one"]
    assert await world.offsets() == 1


async def test_consumers_that_come_and_go_lose_and_repeat_nothing(world: Any) -> None:
    records = [world.message(f"key-{number % 40}", {"note": f"{number}"}) for number in range(300)]
    await world.publish(*records[:100])
    async with world.running(world.consumer()):
        await eventually(lambda: _counts(world, effects=20))
        async with world.running(world.consumer(), world.consumer()):
            await world.publish(*records[100:])
            await eventually(lambda: _counts(world, effects=150))
        await eventually(lambda: _counts(world, effects=300))
    assert sorted(map(int, await world.notes())) == list(range(300))


async def test_a_full_lane_rests_and_goes_on(world: Any) -> None:
    await world.publish(*[world.message("one-key", {"note": f"{number}"}) for number in range(900)])
    async with world.running(world.consumer()):
        await eventually(lambda: _counts(world, effects=900), 30)
    assert [int(note) for note in await world.notes()] == list(range(900))


async def test_the_relay_is_woken_after_a_commit(world: Any) -> None:
    woken = asyncio.Event()
    await world.publish(world.message())
    async with world.running(world.consumer(after_commit=woken.set)):
        await asyncio.wait_for(woken.wait(), 10)
    assert await world.count("effects") == 1


async def test_a_consumer_that_stops_fetching_with_lag_ends_its_task(world: Any) -> None:
    class Stuck:
        """A bus whose consumers never return from fetch once they have their partitions."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.bus, name)

        def consumer(self, *arguments: Any) -> Any:
            consumer = world.bus.consumer(*arguments)
            consumer.fetch = self.fetch
            return consumer

        async def fetch(self, max_records: int, timeout_s: float) -> list[Any]:
            await asyncio.Event().wait()
            return []

    await world.publish(world.message())
    consumer = world.consumer(bus=Stuck(), limits=Limits(stall_s=0.3))
    with pytest.raises(ConsumerStalled):
        await asyncio.wait_for(consumer.run(StopSignal()), 10)


async def _counts(world: Any, **tables: int) -> bool:
    counted = {table: await world.count(table) for table in tables}
    return all(counted[table] >= count for table, count in tables.items())


async def _offsets(world: Any, count: int) -> bool:
    return await world.offsets() == count


async def _notes(world: Any, notes: list[str]) -> bool:
    return await world.notes() == notes


def _partition(key: str) -> int:
    from chassis.bus.partitioning import partition_of

    return partition_of(key.encode(), 4)
