"""Ids grow with time, within a millisecond and when the clock steps back, and tests can predict them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from chassis.clock import Clock, ManualClock
from chassis.ids import SequenceIds, Uuid7Factory


class JumpingClock(Clock):
    def __init__(self, *moments: datetime) -> None:
        self._moments = iter(moments)

    def now(self) -> datetime:
        return next(self._moments)


START = datetime(2026, 5, 6, tzinfo=UTC)


def test_an_id_is_a_version_7_uuid_of_its_millisecond() -> None:
    made = Uuid7Factory(ManualClock(START)).new()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == int(START.timestamp() * 1000)


def test_many_ids_of_one_millisecond_grow() -> None:
    ids = Uuid7Factory(ManualClock(START))
    made = [ids.new() for _ in range(5000)]
    assert made == sorted(set(made))


def test_ids_grow_although_the_clock_steps_back() -> None:
    ids = Uuid7Factory(JumpingClock(START, START - timedelta(hours=1), START))
    first, second, third = ids.new(), ids.new(), ids.new()
    assert first < second < third


def test_a_full_counter_borrows_the_next_millisecond() -> None:
    ids = Uuid7Factory(ManualClock(START))
    first = ids.new()
    ids._counter = (1 << 42) - 1
    borrowed = ids.new()
    assert borrowed.int >> 80 == (first.int >> 80) + 1
    assert borrowed > first


def test_ids_for_tests_count() -> None:
    ids = SequenceIds()
    assert [ids.new(), ids.new()] == [
        UUID("00000000-0000-7000-8000-000000000001"),
        UUID("00000000-0000-7000-8000-000000000002"),
    ]
