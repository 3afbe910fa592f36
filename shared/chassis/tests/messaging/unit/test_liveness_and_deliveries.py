from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.bus.port import Record, TopicPartition
from chassis.consumer import ConsumerStalled, Delivery, Subscription
from chassis.consumer.liveness import Liveness
from chassis.dead_letters import REDRIVEN_FOR, storable
from contracts.envelope import Envelope

PAID = "gridledger.payments.Paid.v2"
ID = "018f0000-0000-7000-8000-000000000001"


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


ONE, OTHER = TopicPartition("payments", 0), TopicPartition("payments", 1)


def pass_s(time: Seconds, liveness: Liveness, seconds: float, lag: dict[TopicPartition, int | None]) -> None:
    """So long, judged every five seconds, while fetches return with nothing."""
    for _ in range(round(seconds / 5)):
        time.now += 5
        liveness.fetched(())
        liveness.judge(lag)


def test_silence_without_lag_is_no_stall() -> None:
    time = Seconds()
    pass_s(time, Liveness(time, 60), 500, {ONE: 0, OTHER: 0})


def test_lag_that_is_not_fetched_is_a_stall_after_a_minute() -> None:
    time = Seconds()
    liveness = Liveness(time, 60)
    pass_s(time, liveness, 60, {ONE: 5})
    with pytest.raises(ConsumerStalled, match=r"payments\[0\] for 60 s, 5 records waiting"):
        pass_s(time, liveness, 10, {ONE: 5})


def test_a_partition_that_is_stuck_beside_a_busy_one_is_a_stall() -> None:
    time = Seconds()
    liveness = Liveness(time, 60)

    def busy_beside(seconds: float) -> None:
        for _ in range(round(seconds / 5)):
            time.now += 5
            liveness.fetched({ONE})
            liveness.judge({ONE: 100, OTHER: 3})

    busy_beside(60)
    with pytest.raises(ConsumerStalled, match=r"payments\[1\]"):
        busy_beside(10)


def test_records_now_and_then_are_no_stall() -> None:
    time = Seconds()
    liveness = Liveness(time, 60)
    for _ in range(5):
        pass_s(time, liveness, 55, {ONE: 5, OTHER: 7})
        liveness.fetched({("payments", 0), OTHER})


def test_time_in_which_a_partition_rested_or_had_nothing_is_forgotten() -> None:
    time = Seconds()
    liveness = Liveness(time, 60)
    for between in ({OTHER: 0}, {ONE: 0, OTHER: 0}, {}):
        pass_s(time, liveness, 55, {ONE: 5, OTHER: 0})
        pass_s(time, liveness, 5, between)


def test_a_fetch_that_never_returns_is_a_stall_even_when_the_lag_is_unknown() -> None:
    time = Seconds()
    liveness = Liveness(time, 60)
    time.now = 61
    with pytest.raises(ConsumerStalled, match="no fetch"):
        liveness.judge({ONE: 0, OTHER: None})


def test_an_unknown_lag_alone_is_no_stall() -> None:
    time = Seconds()
    pass_s(time, Liveness(time, 60), 600, {ONE: None, OTHER: 0})


def test_time_in_which_the_lag_was_unknown_neither_counts_nor_excuses() -> None:
    time = Seconds()
    liveness = Liveness(time, 60)
    pass_s(time, liveness, 50, {ONE: 5})
    pass_s(time, liveness, 600, {ONE: None})
    pass_s(time, liveness, 10, {ONE: 5})
    with pytest.raises(ConsumerStalled, match="nothing fetched"):
        pass_s(time, liveness, 10, {ONE: 5})


def test_a_known_reason_counts_as_life() -> None:
    time = Seconds()
    liveness = Liveness(time, 60)
    for _ in range(20):
        time.now += 30
        liveness.busy()
        liveness.judge({ONE: 7})


def delivery(message_type: str, *more: tuple[str, bytes], group: str = "g") -> Delivery:
    envelope = Envelope(ID, message_type, "test", datetime(2026, 1, 1, tzinfo=UTC), "s", b"{}")
    record = Record("payments", b"k", b"{}", (*envelope.to_headers(), *more), partition=0, offset=0, timestamp_ms=0)
    return Subscription(group, [PAID]).read(record, 1)


def test_a_subscribed_type_is_to_be_handled() -> None:
    read = delivery(PAID)
    assert read.envelope is not None
    assert read.envelope.id == ID
    assert not read.is_skipped


@pytest.mark.parametrize("message_type", ["gridledger.payments.Paid.v1", "gridledger.payments.Paid.v3"])
def test_another_version_of_a_subscribed_type_is_poison(message_type: str) -> None:
    read = delivery(message_type)
    assert read.poison is not None
    assert read.poison.reason == "unknown-version"


@pytest.mark.parametrize("message_type", ["gridledger.payments.PaidTwice.v2", "gridledger.ledger.Paid.v2", "Paid", ""])
def test_any_other_type_is_skipped(message_type: str) -> None:
    assert delivery(message_type).is_skipped


def test_a_redriven_message_is_for_its_group_only() -> None:
    assert delivery(PAID, (REDRIVEN_FOR, b"g")).envelope is not None
    assert delivery(PAID, (REDRIVEN_FOR, b"another")).is_skipped


@given(st.text(st.characters(codec=None), max_size=50), st.integers(1, 40))
def test_any_text_becomes_storable(text: str, max_chars: int) -> None:
    stored = storable(text, max_chars)
    assert len(stored) <= max_chars
    assert "\x00" not in stored
    assert stored.encode("utf-8").decode("utf-8") == stored
    if "\x00" not in text and text.isascii():
        assert stored == text[:max_chars]
