import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from chassis.bus.port import RECORD_MAX_BYTES, OutgoingRecord, RecordTooLarge
from chassis.errors import OperationalError
from chassis.outbox import OutboxSource, enqueue
from chassis.relay import Relay
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio


class Spy:
    """A producer that keeps what was published, and fails as told."""

    def __init__(self) -> None:
        self.published: list[OutgoingRecord] = []
        self.before: BaseException | None = None
        self.after: BaseException | None = None

    async def start(self) -> None:
        """Nothing to connect to."""

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        if self.before is not None:
            error, self.before = self.before, None
            raise error
        self.published += records
        if self.after is not None:
            error, self.after = self.after, None
            raise error

    async def close(self) -> None:
        """Nothing to let go of."""

    @property
    def values(self) -> list[str]:
        return [record.value.decode() for record in self.published]


def numbered(count: int, start: int = 0) -> list[OutgoingRecord]:
    return [
        OutgoingRecord("payments", f"k{n % 3}".encode(), str(n).encode(), (("n", b"\xff\x00"), ("empty", b"")))
        for n in range(start, start + count)
    ]


async def put(world: Any, records: Sequence[OutgoingRecord]) -> None:
    async with world.pool.acquire() as conn, conn.transaction():
        await enqueue(conn, records)


async def drained(relay: Relay) -> None:
    while await relay.run_once():
        pass


async def test_records_leave_in_order_and_whole(world: Any) -> None:
    spy = Spy()
    await put(world, numbered(25))
    await drained(Relay(world.pool, spy, OutboxSource(), batch=10))
    assert spy.published == numbered(25)
    assert await Relay(world.pool, spy, OutboxSource()).run_once() == 0


async def test_what_was_rolled_back_is_never_published(world: Any) -> None:
    spy = Spy()
    async with world.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        await enqueue(conn, numbered(5))
        await transaction.rollback()
    await put(world, numbered(2, start=5))
    await drained(Relay(world.pool, spy, OutboxSource()))
    assert spy.values == ["5", "6"]


async def test_enqueue_refuses_to_be_alone_and_too_large(world: Any) -> None:
    async with world.pool.acquire() as conn:
        with pytest.raises(RuntimeError, match="transaction"):
            await enqueue(conn, numbered(1))
        async with conn.transaction():
            with pytest.raises(RecordTooLarge):
                await enqueue(conn, [*numbered(1), OutgoingRecord("payments", b"k", bytes(RECORD_MAX_BYTES))])
    assert await world.count("outbox") == 0


async def test_a_crash_before_the_position_is_stored_publishes_the_same_again(world: Any) -> None:
    spy = Spy()
    spy.after = SystemExit("killed between publishing and noting")
    message = world.message(data={"note": "once"})
    await put(world, [message])
    with pytest.raises(SystemExit):
        await Relay(world.pool, spy, OutboxSource()).run_once()
    await drained(Relay(world.pool, spy, OutboxSource()))
    assert spy.published == [message, message]
    await world.publish(*spy.published)
    async with world.running(world.consumer()):
        await eventually(lambda: _is(world.offsets(), 2))
    assert await world.notes() == ["once"]


async def test_a_bus_that_is_away_delays_and_loses_nothing(world: Any) -> None:
    spy = Spy()
    spy.before = OperationalError("away")
    await put(world, numbered(5))
    async with world.running(Relay(world.pool, spy, OutboxSource(), poll_s=0.01)):
        await eventually(lambda: spy.values == ["0", "1", "2", "3", "4"])


async def test_a_bug_ends_the_relay(world: Any) -> None:
    spy = Spy()
    spy.before = ZeroDivisionError("bug")
    await put(world, numbered(1))
    with pytest.raises(ZeroDivisionError):
        async with world.running(Relay(world.pool, spy, OutboxSource(), poll_s=0.01)):
            await eventually(lambda: spy.before is None)
    assert spy.published == []


async def test_two_relays_on_one_source_publish_each_record_once_in_order(world: Any) -> None:
    spy = Spy()
    relays = [Relay(world.pool, spy, OutboxSource(), batch=7, poll_s=0.001) for _ in range(2)]
    async with world.running(*relays):
        for start in range(0, 200, 20):
            await put(world, numbered(20, start=start))
        await eventually(lambda: len(spy.published) >= 200)
    assert spy.values == [str(number) for number in range(200)]


async def test_a_second_relay_does_not_wait_for_the_first(world: Any) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    class Slow(Spy):
        async def publish(self, records: Sequence[OutgoingRecord]) -> None:
            entered.set()
            await leave.wait()
            await super().publish(records)

    slow, spy = Slow(), Spy()
    await put(world, numbered(3))
    first = asyncio.create_task(Relay(world.pool, slow, OutboxSource()).run_once())
    await asyncio.wait_for(entered.wait(), 10)
    assert await asyncio.wait_for(Relay(world.pool, spy, OutboxSource()).run_once(), 1.5) == 0
    leave.set()
    assert await first == 3
    assert spy.published == []


async def test_the_relay_misses_nothing_of_concurrent_writers(world: Any) -> None:
    spy = Spy()

    async def write(writer: int) -> None:
        for number in range(25):
            async with world.pool.acquire() as conn, conn.transaction():
                await conn.execute("SELECT txid_current()")
                await enqueue(conn, [OutgoingRecord("payments", b"k", f"{writer}/{number}".encode())])
                await conn.execute("SELECT 1")

    async with world.running(Relay(world.pool, spy, OutboxSource(), batch=3, poll_s=0.001)):
        await asyncio.gather(*[write(writer) for writer in range(8)])
        await eventually(lambda: len(spy.published) >= 200)
    assert len(set(spy.values)) == len(spy.values) == 200
    for writer in range(8):
        own = [value for value in spy.values if value.startswith(f"{writer}/")]
        assert own == [f"{writer}/{number}" for number in range(25)]


async def test_a_writer_waits_for_the_one_that_enqueued_before_it(world: Any) -> None:
    """Else the relay would pass the position of a record that is not committed yet, and never see it."""
    spy = Spy()
    relay = Relay(world.pool, spy, OutboxSource())
    async with world.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        await enqueue(conn, numbered(1))
        later = asyncio.create_task(put(world, numbered(1, start=1)))
        await eventually(lambda: _is_waiting_or_done(world, later))
        await drained(relay)
        await transaction.commit()
    await later
    await drained(relay)
    assert spy.values == ["0", "1"]


async def test_a_wakeup_saves_the_wait(world: Any) -> None:
    spy, wakeup = Spy(), asyncio.Event()
    async with world.running(Relay(world.pool, spy, OutboxSource(), poll_s=3600, wakeup=wakeup)):
        await eventually(lambda: not wakeup.is_set())
        await put(world, numbered(1))
        wakeup.set()
        await eventually(lambda: spy.values == ["0"])


async def test_published_rows_are_forgotten_only_when_old(world: Any) -> None:
    spy = Spy()
    await put(world, numbered(4))
    await drained(Relay(world.pool, spy, OutboxSource()))
    await put(world, numbered(2, start=4))
    upto = await world.pool.fetchval("SELECT position FROM relay_positions")
    assert await OutboxSource().prune(world.pool, upto) == 0
    assert await OutboxSource(retain_s=0).prune(world.pool, upto) == 4
    assert [row["value"] for row in await world.rows("SELECT value FROM outbox")] == [b"4", b"5"]


async def test_a_source_may_pass_over_rows_without_publishing(world: Any) -> None:
    class Quiet:
        name = "quiet"

        async def read_after(self, conn: Any, position: int, limit: int) -> tuple[int, list[OutgoingRecord]]:
            return min(position + limit, 25), []

        async def last_position(self, conn: Any) -> int:
            return 25

    relay = Relay(world.pool, Spy(), Quiet(), batch=10)
    assert [await relay.run_once() for _ in range(4)] == [1, 1, 1, 0]
    assert await world.pool.fetchval("SELECT position FROM relay_positions WHERE name = 'quiet'") == 25


async def _is(actual: Any, expected: Any) -> bool:
    return bool(await actual == expected)


async def _is_waiting_or_done(world: Any, task: asyncio.Task[None]) -> bool:
    waiting = "SELECT true FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return task.done() or bool(await world.rows(waiting))
