"""The promises of the bus port as tests: every adapter passes them unchanged.

A test module subclasses ``BusConformance`` and gives a ``harness`` fixture. Nothing here that a real Kafka would break:
rebalances may be eager, records may come again from the committed offset, everything is waited for.
"""

from __future__ import annotations

import asyncio

import pytest

from chassis.bus.partitioning import partition_of
from chassis.bus.port import (
    EARLIEST,
    RECORD_MAX_BYTES,
    Bus,
    NotAssigned,
    OffsetOutOfRange,
    OutgoingRecord,
    PartitionCountMismatch,
    RecordTooLarge,
    TopicPartition,
)
from testkit.conformance.bus_harness import BusHarness, Member, Watching, joined, new_topic, numbered, publish
from testkit.waiting_for import eventually

__all__ = ["BusConformance", "BusHarness"]

PATIENCE_S = 30.0
QUIET_S = 0.3
PARTITIONS = 4


@pytest.mark.asyncio
class BusConformance:
    """Subclass me as ``TestSomething`` and provide the fixture ``harness``."""

    async def test_a_key_goes_to_the_partition_that_murmur2_says(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        records = numbered(topic, 200, keys=50)
        await publish(bus, records)
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.has(200), PATIENCE_S)
        assert {record.key: record.partition for record in member.records} == {
            record.key: partition_of(record.key, PARTITIONS) for record in records
        }

    async def test_records_of_a_key_come_in_order_and_offsets_grow(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        for start in range(0, 300, 100):
            await publish(bus, numbered(topic, 300, keys=7)[start : start + 100])
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.has(300), PATIENCE_S)
        for key in range(7):
            expected = [str(number).encode() for number in range(300) if number % 7 == key]
            assert member.values(f"key-{key}".encode()) == expected
        for partition in range(PARTITIONS):
            offsets = [record.offset for record in member.records if record.partition == partition]
            assert offsets == sorted(offsets)

    async def test_what_publish_returned_for_is_there_for_a_client_that_comes_later(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        await publish(bus, numbered(topic, 20))
        await bus.close()
        other = await harness.open()
        async with joined(other, "group", [topic]) as member:
            await eventually(lambda: member.has(20), PATIENCE_S)

    async def test_a_record_keeps_every_byte(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        headers = (("ce_id", b"1"), ("raw", bytes(range(256))), ("empty", b""), ("ce_id", b"again"))
        sent = [
            OutgoingRecord(topic, b"\xff\x00\xfe", b"\x00\x80\xff", headers),
            OutgoingRecord(topic, b"key", b"", ()),
        ]
        await publish(bus, sent)
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.has(2), PATIENCE_S)
        assert {(r.topic, r.key, r.value, r.headers) for r in member.records} == {
            (r.topic, r.key, r.value, r.headers) for r in sent
        }
        assert all(record.timestamp_ms > 1_500_000_000_000 for record in member.records)

    async def test_a_large_record_passes_and_a_larger_one_is_refused_whole(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        large = OutgoingRecord(topic, b"key", bytes(1_000_000))
        with pytest.raises(RecordTooLarge):
            await publish(bus, [large, OutgoingRecord(topic, b"key", bytes(RECORD_MAX_BYTES))])
        await publish(bus, [large])
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.has(1), PATIENCE_S)
            await member.pump(QUIET_S)
        assert [len(record.value) for record in member.records] == [1_000_000]

    async def test_a_fetch_without_news_returns_nothing_when_its_time_is_up(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.owns(PARTITIONS), PATIENCE_S)
            began = asyncio.get_running_loop().time()
            assert await member.consumer.fetch(10, QUIET_S) == []
            assert asyncio.get_running_loop().time() - began >= QUIET_S * 0.9

    async def test_a_waiting_fetch_returns_as_soon_as_something_comes(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.owns(PARTITIONS), PATIENCE_S)
            waiting = asyncio.create_task(member.consumer.fetch(10, 2 * PATIENCE_S))
            await publish(bus, numbered(topic, 1))
            assert len(await asyncio.wait_for(waiting, PATIENCE_S)) == 1

    async def test_a_fetch_hands_out_no_more_than_asked(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        await publish(bus, numbered(topic, 40))
        async with joined(bus, "group", [topic]) as member:
            while len(member.distinct()) < 40:
                records = await asyncio.wait_for(member.consumer.fetch(3, PATIENCE_S), PATIENCE_S)
                assert 0 < len(records) <= 3
                member.records += records
        assert len(member.records) == len(member.distinct())

    async def test_each_group_sees_everything(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        await publish(bus, numbered(topic, 50))
        async with joined(bus, "one", [topic]) as one, joined(bus, "two", [topic]) as two:
            await eventually(lambda: one.has(50), PATIENCE_S)
            await eventually(lambda: two.has(50), PATIENCE_S)

    async def test_a_consumer_of_several_topics_gets_all_of_them(self, harness: BusHarness) -> None:
        bus, first = await self._bus_with_topic(harness)
        second = new_topic()
        await bus.ensure_topics({second: 2})
        await publish(bus, [*numbered(first, 20), *numbered(second, 20)])
        async with joined(bus, "group", [first, second]) as member:
            await eventually(lambda: member.has(40), PATIENCE_S)
        assert {topic: sum(r.topic == topic for r in member.records) for topic in (first, second)} == {
            first: 20,
            second: 20,
        }

    async def test_two_members_share_the_partitions(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        async with joined(bus, "group", [topic]) as one, joined(await harness.open(), "group", [topic]) as two:
            await self._share(one, two)
            assert one.consumer.assignment() | two.consumer.assignment() == self._all(topic)
            assert not one.consumer.assignment() & two.consumer.assignment()
            assert one.listener.owned == one.consumer.assignment()
            await publish(bus, numbered(topic, 100, keys=50))
            await self._together(one, two, 100)
            assert one.records
            assert two.records

    async def test_who_leaves_hands_over(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        async with joined(bus, "group", [topic]) as one:
            async with joined(await harness.open(), "group", [topic]) as two:
                await self._share(one, two)
                mine = two.consumer.assignment()
            assert two.listener.owned == frozenset()
            assert mine <= two.listener.revoked
            await eventually(lambda: one.owns(PARTITIONS), PATIENCE_S)

    async def test_the_partitions_of_a_dead_member_pass_to_the_others_with_what_it_left(
        self, harness: BusHarness
    ) -> None:
        bus, topic = await self._bus_with_topic(harness)
        other = await harness.open()
        async with joined(bus, "group", [topic]) as one:
            two = Member(other.consumer("group", [topic], "doomed"), Watching())
            await two.consumer.start(two.listener)
            await self._share(one, two)
            await harness.kill(two.consumer)
            await publish(bus, numbered(topic, 100, keys=50))
            await eventually(lambda: one.owns(PARTITIONS), PATIENCE_S)
            await eventually(lambda: one.has(100), PATIENCE_S)

    async def test_after_a_crash_the_group_goes_on_at_the_last_commit(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        await publish(bus, numbered(topic, 40))
        doomed = Member(bus.consumer("group", [topic], "doomed"), Watching())
        await doomed.consumer.start(doomed.listener)
        await eventually(lambda: doomed.has(40), PATIENCE_S)
        middle = {
            partition: sum(record.topic_partition == partition for record in doomed.records) // 2
            for partition in self._all(topic)
        }
        await doomed.consumer.commit(middle)
        await harness.kill(doomed.consumer)
        expected = {(r.topic_partition, r.offset) for r in doomed.records if r.offset >= middle[r.topic_partition]}
        async with joined(await harness.open(), "group", [topic]) as heir:
            await eventually(lambda: heir.has(len(expected)), PATIENCE_S)
            assert heir.distinct() == expected

    async def test_a_listener_says_where_to_start(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness, partitions=1)
        await publish(bus, numbered(topic, 10))
        partition = TopicPartition(topic, 0)
        async with joined(bus, "group", [topic], {partition: 7}) as member:
            await eventually(lambda: member.has(3), PATIENCE_S)
        assert member.distinct() == {(partition, 7), (partition, 8), (partition, 9)}

    async def test_a_listener_may_start_over_whatever_was_committed(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness, partitions=1)
        await publish(bus, numbered(topic, 10))
        partition = TopicPartition(topic, 0)
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.has(10), PATIENCE_S)
            await member.consumer.commit({partition: 10})
        async with joined(bus, "group", [topic], {partition: EARLIEST}) as member:
            await eventually(lambda: member.has(10), PATIENCE_S)

    async def test_seek_goes_back_and_forth(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness, partitions=1)
        await publish(bus, numbered(topic, 10))
        partition = TopicPartition(topic, 0)
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.has(10), PATIENCE_S)
            for start in (2, 9):
                await member.consumer.seek(partition, start)
                records = await member.consumer.fetch(1, PATIENCE_S)
                assert [record.offset for record in records] == [start]
            with pytest.raises(NotAssigned):
                await member.consumer.seek(TopicPartition(topic, 99), 0)

    async def test_a_position_beyond_the_end_is_an_error_and_never_a_jump(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness, partitions=1)
        await publish(bus, numbered(topic, 3))
        partition = TopicPartition(topic, 0)
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.owns(1), PATIENCE_S)
            await eventually(lambda: member.has(3), PATIENCE_S)
            await member.consumer.seek(partition, 1000)
            with pytest.raises(OffsetOutOfRange) as refused:
                await eventually(member.pump, PATIENCE_S)
            assert refused.value.partition == partition

    async def test_a_paused_partition_rests_and_stays_owned(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.owns(PARTITIONS), PATIENCE_S)
            resting = TopicPartition(topic, partition_of(b"key-0", PARTITIONS))
            member.consumer.pause([resting])
            records = numbered(topic, 40)
            awake = sum(partition_of(r.key, PARTITIONS) != resting.partition for r in records)
            await publish(bus, records)
            await eventually(lambda: member.has(awake), PATIENCE_S)
            await member.pump(QUIET_S)
            assert resting.partition not in {record.partition for record in member.records}
            assert resting in member.consumer.assignment()
            member.consumer.resume([resting])
            await eventually(lambda: member.has(40), PATIENCE_S)

    async def test_lag_is_what_was_not_fetched_yet(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness, partitions=1)
        partition = TopicPartition(topic, 0)
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.owns(1), PATIENCE_S)
            await publish(bus, numbered(topic, 10))
            await eventually(lambda: member.has(10), PATIENCE_S)
            assert await member.consumer.lag() == {partition: 0}
            await member.consumer.seek(partition, 4)
            await member.consumer.fetch(1, PATIENCE_S)
            assert await member.consumer.lag() == {partition: 5}

    async def test_a_commit_for_a_partition_that_is_not_owned_is_ignored(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        await publish(bus, numbered(topic, 40, keys=30))
        async with joined(bus, "group", [topic]) as one, joined(await harness.open(), "group", [topic]) as two:
            await self._share(one, two)
            await one.consumer.commit(dict.fromkeys(two.consumer.assignment(), 1))
        async with joined(bus, "group", [topic]) as later:
            await eventually(lambda: later.has(40), PATIENCE_S)

    async def test_a_follower_misses_nothing_of_concurrent_producers(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        async with joined(bus, "group", [topic]) as member:
            await asyncio.gather(*[self._write(await harness.open(), topic, writer) for writer in range(4)])
            await eventually(lambda: member.has(4 * 50), PATIENCE_S)
        assert len(member.records) == len(member.distinct()) == 4 * 50
        for writer in range(4):
            assert member.values(f"writer-{writer}".encode()) == [str(number).encode() for number in range(50)]

    async def test_a_topic_keeps_its_number_of_partitions(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        await bus.ensure_topics({topic: PARTITIONS})
        with pytest.raises(PartitionCountMismatch):
            await bus.ensure_topics({topic: PARTITIONS + 1})

    async def test_closing_twice_is_closing_once(self, harness: BusHarness) -> None:
        bus, topic = await self._bus_with_topic(harness)
        async with joined(bus, "group", [topic]) as member:
            await eventually(lambda: member.owns(PARTITIONS), PATIENCE_S)
            await member.consumer.close()
        assert member.listener.owned == frozenset()

    async def _bus_with_topic(self, harness: BusHarness, partitions: int = PARTITIONS) -> tuple[Bus, str]:
        bus, topic = await harness.open(), new_topic()
        await bus.ensure_topics({topic: partitions})
        return bus, topic

    def _all(self, topic: str) -> frozenset[TopicPartition]:
        return frozenset(TopicPartition(topic, number) for number in range(PARTITIONS))

    async def _share(self, one: Member, two: Member) -> None:
        """Until each has its half."""

        async def halves() -> bool:
            owned = [await member.owns(PARTITIONS // 2) for member in (one, two)]
            return all(owned)

        await eventually(halves, PATIENCE_S)

    async def _together(self, one: Member, two: Member, count: int) -> None:
        """Until both have seen ``count`` records between them."""

        async def complete() -> bool:
            await one.pump()
            await two.pump()
            return len(one.distinct() | two.distinct()) >= count

        await eventually(complete, PATIENCE_S)

    async def _write(self, bus: Bus, topic: str, writer: int) -> None:
        producer = bus.producer(f"writer-{writer}")
        await producer.start()
        for number in range(50):
            spread = OutgoingRecord(topic, f"writer-{writer}".encode(), str(number).encode())
            await producer.publish([spread])
        await producer.close()
