"""The parts of the bus that are functions: assignment, headers, backoff, the URL."""

import asyncio

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.bus import open_bus
from chassis.bus.assignment import range_assignment
from chassis.bus.bell import Bell
from chassis.bus.headers import MalformedHeaders, pack_headers, unpack_headers
from chassis.bus.memory import MemoryBus
from chassis.bus.port import OutgoingRecord, UnknownTopic
from chassis.bus.retry import Backoff, passes
from chassis.errors import OperationalError
from chassis.settings import SettingsError

HEADERS = st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=40), st.binary(max_size=60)))


@given(
    st.dictionaries(st.text(min_size=1), st.sets(st.sampled_from(["a", "b", "c"])), max_size=7),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 30)),
)
def test_every_wanted_partition_has_one_member_and_shares_differ_by_one(
    subscriptions: dict[str, set[str]], partitions: dict[str, int]
) -> None:
    assigned = range_assignment(subscriptions, partitions)
    for topic, count in partitions.items():
        interested = [member for member, topics in subscriptions.items() if topic in topics]
        numbers = [partition.partition for partition in assigned if partition.topic == topic]
        assert sorted(numbers) == (list(range(count)) if interested else [])
        shares = [sum(p.topic == topic and owner == member for p, owner in assigned.items()) for member in interested]
        assert not shares or max(shares) - min(shares) <= 1
    assert all(partition.topic in subscriptions[member] for partition, member in assigned.items())


def test_a_range_is_a_run_of_partitions() -> None:
    assigned = range_assignment({"b": ["t"], "a": ["t"]}, {"t": 5})
    assert [assigned[("t", number)] for number in range(5)] == ["a", "a", "b", "b", "b"]  # type: ignore[index]


@given(HEADERS)
def test_headers_come_back_as_they_were(headers: list[tuple[str, bytes]]) -> None:
    assert unpack_headers(pack_headers(tuple(headers))) == tuple(headers)


@given(HEADERS.filter(bool), st.data())
def test_headers_that_were_cut_are_refused(headers: list[tuple[str, bytes]], data: st.DataObject) -> None:
    packed = pack_headers(tuple(headers[:1]))
    cut = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(MalformedHeaders):
        unpack_headers(packed[:cut])


def test_the_wait_doubles_up_to_the_longest_and_starts_anew() -> None:
    backoff = Backoff(0.1, 1.0, chance=lambda: 1.0)
    assert [round(backoff.next_s(), 3) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.reset()
    assert backoff.next_s() == 0.1


@given(st.integers(0, 200))
def test_the_wait_is_random_below_its_bound_and_never_overflows(attempts: int) -> None:
    backoff = Backoff(0.1, 5.0)
    for _ in range(attempts):
        assert 0 <= backoff.next_s() <= 5.0


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (OperationalError("away"), True),
        (ConnectionResetError(), True),
        (asyncpg.DeadlockDetectedError("x"), True),
        (asyncpg.UniqueViolationError("x"), False),
        (KeyError("bug"), False),
    ],
)
def test_what_passes(error: Exception, answer: bool) -> None:
    assert passes(error) is answer


@pytest.mark.asyncio
async def test_a_ring_between_looking_and_waiting_is_heard() -> None:
    bell = Bell()
    seen = bell.count
    bell.ring()
    assert await bell.wait(seen, 5) is True
    assert await bell.wait(bell.count, 0.01) is False


@pytest.mark.asyncio
async def test_a_ring_does_not_swallow_a_cancellation() -> None:
    bell = Bell()

    async def listen() -> None:
        while True:
            await bell.wait(bell.count, 60)

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)
    bell.ring()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("kafka://", "no broker"),
        ("redis://here", "redis"),
        ("", "nothing"),
        ("memory://?session_timeout_s=soon", "session_timeout_s"),
        ("memory://?session_timeout_s=nan", "session_timeout_s"),
        ("memory://?session_timeout_s=0", "session_timeout_s"),
    ],
)
async def test_a_url_of_no_adapter_is_refused_in_one_line(url: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word) as refused:
        await open_bus(url)
    assert "BUS_URL" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.asyncio
async def test_memory_is_a_bus() -> None:
    bus = await open_bus("memory://?session_timeout_s=2")
    assert isinstance(bus, MemoryBus)
    with pytest.raises(UnknownTopic):
        await bus.producer("p").publish([OutgoingRecord("nowhere", b"k", b"")])
    await bus.close()
