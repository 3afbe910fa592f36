"""A member's life in its group, where the client alone would wait too long, never come back, or never say so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from chassis.bus.kafka import options
from chassis.bus.kafka.bus import KafkaBus
from chassis.bus.kafka.consumer import KafkaConsumer
from chassis.bus.kafka.fetching import ClientStuck
from chassis.bus.partitioning import partition_of
from chassis.bus.port import OutgoingRecord, TopicPartition
from chassis.errors import OperationalError
from testkit.conformance.bus_harness import Member, Watching, joined, new_topic, numbered, publish
from testkit.kafka import KafkaCluster
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
PATIENCE_S = 60.0
PARTITIONS = 4


@pytest_asyncio.fixture
async def bus(kafka: KafkaCluster) -> AsyncIterator[KafkaBus]:
    opened = await KafkaBus.connect(f"{kafka.url}?session_timeout_s=1")
    yield opened
    await opened.close()


async def topic_on(bus: KafkaBus) -> str:
    topic = new_topic()
    await bus.ensure_topics({topic: PARTITIONS})
    return topic


async def test_a_start_does_not_wait_for_the_session_of_a_dead_member(kafka: KafkaCluster) -> None:
    """Who gave up waiting would leave one more dead member behind, for which the next one waits in turn."""
    session_timeout_s = 6.0
    bus = await KafkaBus.connect(f"{kafka.url}?session_timeout_s={session_timeout_s}")
    topic = await topic_on(bus)
    dead = Member(bus.consumer(group_of(topic), [topic], "dead"), Watching())
    await dead.consumer.start(dead.listener)
    await eventually(lambda: dead.owns(PARTITIONS), PATIENCE_S)
    await dead.consumer.abandon()
    began = now_s()
    async with joined(bus, group_of(topic), [topic]) as heir:
        assert now_s() - began < session_timeout_s / 2
        assert not await heir.owns(PARTITIONS)
        await eventually(lambda: heir.owns(PARTITIONS), PATIENCE_S)
        assert now_s() - began < 1.5 * session_timeout_s


async def test_who_stops_fetching_loses_its_partitions_and_gets_some_back(
    bus: KafkaBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "MAX_POLL_INTERVAL_MS", 2_000)
    topic = await topic_on(bus)
    async with joined(bus, group_of(topic), [topic]) as idle, joined(bus, group_of(topic), [topic]) as busy:
        # Through a rebalance first: it must not make the client lose count of who fetches.
        await eventually(lambda: share(idle, busy), PATIENCE_S)
        await eventually(lambda: busy.owns(PARTITIONS), PATIENCE_S)
        assert idle.listener.owned == frozenset()
        await eventually(lambda: share(idle, busy), PATIENCE_S)


async def share(one: Member, other: Member) -> bool:
    owned = [await member.owns(PARTITIONS // 2) for member in (one, other)]
    return all(owned)


@pytest.mark.parametrize("task", ["_coordinator._coordination_task", "_fetcher._fetch_task"])
async def test_a_client_whose_work_ended_says_so(bus: KafkaBus, task: str) -> None:
    topic = await topic_on(bus)
    async with joined(bus, group_of(topic), [topic]) as member:
        await eventually(lambda: member.owns(PARTITIONS), PATIENCE_S)
        assert isinstance(member.consumer, KafkaConsumer)
        owner, name = task.split(".")
        getattr(getattr(member.consumer._client, owner), name).cancel()
        with pytest.raises(ClientStuck, match="task ended"):
            await eventually(member.pump, PATIENCE_S)


async def test_a_client_that_never_comes_back_is_noticed_although_it_owns_nothing(bus: KafkaBus) -> None:
    topic = await topic_on(bus)
    async with joined(bus, group_of(topic), [topic]) as member:
        await eventually(lambda: member.owns(PARTITIONS), PATIENCE_S)
        assert isinstance(member.consumer, KafkaConsumer)
        # As after a rebalance whose end the client missed: it was told to let go, and of nothing since.
        ownership = member.consumer._ownership
        assert ownership is not None
        await ownership.on_partitions_revoked(member.consumer.assignment())
        member.consumer._rejoining._probe_every_s = 0.2
        assert member.consumer.assignment() == frozenset()
        with pytest.raises(ClientStuck, match="not in its group"):
            await eventually(member.pump, PATIENCE_S)


async def test_a_topic_that_appears_later_is_consumed_too(bus: KafkaBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "METADATA_MAX_AGE_MS", 300)
    first, later = await topic_on(bus), new_topic()
    async with joined(bus, group_of(first), [first, later]) as member:
        await eventually(lambda: member.owns(PARTITIONS), PATIENCE_S)
        await bus.ensure_topics({later: 2})
        await publish(bus, [*numbered(first, 10), *numbered(later, 10)])
        await eventually(lambda: member.has(20), PATIENCE_S)
        assert len(member.consumer.assignment()) == PARTITIONS + 2


async def test_a_long_backlog_of_some_partitions_hides_no_other(bus: KafkaBus) -> None:
    """The client itself empties one before it comes to the next, which would look stuck beside it."""
    topic, each, at_once = await topic_on(bus), 500, 100
    keys = [key_for(partition) for partition in range(PARTITIONS)]
    await publish(bus, [OutgoingRecord(topic, key, b"value") for key in keys for _ in range(each)])
    starts = {TopicPartition(topic, partition): 0 for partition in range(PARTITIONS)}
    async with joined(bus, group_of(topic), [topic], starts) as member:

        async def half() -> bool:
            fetched = await member.consumer.fetch(at_once, 0.05)
            member.records += fetched
            return len(member.records) >= PARTITIONS * each // 2

        await eventually(half, PATIENCE_S)
        assert {record.partition for record in member.records} == set(range(PARTITIONS))
        await eventually(lambda: member.has(PARTITIONS * each), PATIENCE_S)
        assert len(member.records) == PARTITIONS * each


async def test_while_nothing_may_be_taken_the_client_is_not_driven_hard(bus: KafkaBus) -> None:
    """A database that is away for long must not cost a processor."""

    class Away(Watching):
        async def on_assigned(self, partitions: object) -> dict[object, int]:  # type: ignore[override]
            raise OperationalError("the database is away")

    topic = await topic_on(bus)
    await publish(bus, [OutgoingRecord(topic, b"key", b"value")])
    member = Member(bus.consumer(group_of(topic), [topic], "test"), Away())
    await member.consumer.start(member.listener)
    assert isinstance(member.consumer, KafkaConsumer)
    looks = 0
    look_alive = member.consumer._fetching.look_alive  # type: ignore[union-attr]

    def counted() -> None:
        nonlocal looks
        looks += 1
        look_alive()

    member.consumer._fetching.look_alive = counted  # type: ignore[union-attr, method-assign]
    assert await member.pump(1.0) == []
    assert looks <= 20
    assert member.consumer.assignment() == frozenset()
    await member.consumer.close()


async def test_a_partition_that_cannot_be_taken_is_offered_again(bus: KafkaBus) -> None:
    topic = await topic_on(bus)
    await publish(bus, numbered(topic, 10))
    listener = Reluctant(refusals=2)
    member = Member(bus.consumer(group_of(topic), [topic], "test"), listener)
    await member.consumer.start(listener)
    await eventually(lambda: member.has(10), PATIENCE_S)
    assert listener.refusals == 0
    await member.consumer.close()


class Reluctant(Watching):
    """Its database is away for the first offers."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise OperationalError("the database is away")
        return await super().on_assigned(partitions)


async def test_a_bug_of_the_listener_comes_out_of_the_fetch(bus: KafkaBus) -> None:
    class Faulty(Watching):
        async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Any:
            raise ZeroDivisionError("a bug")

    topic = await topic_on(bus)
    member = Member(bus.consumer(group_of(topic), [topic], "test"), Faulty())
    await member.consumer.start(member.listener)
    with pytest.raises(ZeroDivisionError):
        await eventually(member.pump, PATIENCE_S)
    await member.consumer.close()


def group_of(topic: str) -> str:
    """No other test's: a member that another left behind would be waited for."""
    return f"group-{topic}"


def key_for(partition: int) -> bytes:
    return next(key for key in map(str.encode, map(str, range(100))) if partition_of(key, PARTITIONS) == partition)


def now_s() -> float:
    return asyncio.get_running_loop().time()
