"""What a member of a group shows of itself is true or not there, and one stuck partition is not hidden by busy ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest
from prometheus_client import REGISTRY

from chassis import dead_letters
from chassis.bus.log_consumer import LogConsumer
from chassis.bus.partitioning import partition_of
from chassis.bus.port import TopicPartition
from chassis.consumer import ConsumerStalled, Limits, loop, measuring
from chassis.errors import OperationalError
from chassis.runtime import StopSignal
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
PARTITIONS = 4
PATIENCE_S = 20.0
LIMITS = Limits(fetch_wait_s=0.02, commit_every_s=0.05, drain_s=1, stall_s=1.2)
"""Looks every tenth of a second."""


def sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"gridledger_{name}", labels)


def shown_lag(world: Any, group: str) -> dict[int, float]:
    found = {
        partition: sample("consumer_lag", group=group, topic=world.TOPIC, partition=str(partition))
        for partition in range(PARTITIONS)
    }
    return {partition: lag for partition, lag in found.items() if lag is not None}


async def test_lag_is_shown_where_it_is_known(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    group, known, asked = "measured-lag", {0, 1, 2, 3}, LogConsumer.lag

    async def lag(self: LogConsumer) -> Mapping[TopicPartition, int]:
        found = await asked(self)
        if not known:
            raise OperationalError("nobody can be asked")
        return {partition: 3 for partition in found if partition.partition in known}

    monkeypatch.setattr(LogConsumer, "lag", lag)
    # Long, so that a lag that stays is no stall here.
    limits = Limits(fetch_wait_s=0.02, drain_s=1, stall_s=3600)
    monkeypatch.setattr("chassis.consumer.loop.WATCHES_PER_STALL", 3600 * 20)
    async with world.running(world.consumer(group=group, limits=limits)):
        await eventually(lambda: shown_lag(world, group) == dict.fromkeys(range(4), 3), PATIENCE_S)
        assert sample("partitions_owned", group=group) == PARTITIONS
        before = sample("bus_failures_total", group=group, what="lag") or 0
        known.discard(2)
        await eventually(lambda: shown_lag(world, group) == dict.fromkeys((0, 1, 3), 3), PATIENCE_S)
        known.clear()
        await eventually(lambda: shown_lag(world, group) == {}, PATIENCE_S)
        assert (sample("bus_failures_total", group=group, what="lag") or 0) > before
        known.update(range(4))
        await eventually(lambda: len(shown_lag(world, group)) == PARTITIONS, PATIENCE_S)
    assert shown_lag(world, group) == {}
    assert sample("partitions_owned", group=group) is None


async def test_what_is_parked_is_shown_until_somebody_settles_it(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    group, ask = "measured-letters", dead_letters.count_parked

    def shown() -> float | None:
        return sample("dead_letters", group=group)

    async def cannot(pool: Any, group: str) -> int:
        raise OperationalError("the database is away")

    await world.publish(world.message(message_id="no-uuid"), world.message(message_id="none-either"))
    async with world.running(world.consumer(group=group, limits=LIMITS)):
        await eventually(lambda: shown() == 2, PATIENCE_S)
        monkeypatch.setattr(measuring, "count_parked", cannot)
        await eventually(lambda: shown() is None, PATIENCE_S)
        monkeypatch.setattr(measuring, "count_parked", ask)
        [first, _] = await dead_letters.list_parked(world.pool)
        await dead_letters.discard(world.pool, [first.id], by="test")
        await eventually(lambda: shown() == 1, PATIENCE_S)
    assert shown() is None


async def test_failures_of_the_bus_are_counted(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    group = "measured-failures"

    def fail_twice(where: Any, name: str) -> None:
        works, left = getattr(where, name), [OperationalError("away")] * 2

        async def call(*arguments: Any) -> Any:
            if left:
                raise left.pop()
            return await works(*arguments)

        monkeypatch.setattr(where, name, call)

    fail_twice(LogConsumer, "start")
    fail_twice(LogConsumer, "fetch")
    fail_twice(loop, "claim_partitions")
    await world.publish(world.message())
    async with world.running(world.consumer(group=group, limits=LIMITS)):
        await eventually(lambda: handled(world, group), PATIENCE_S)
    assert [sample("bus_failures_total", group=group, what=what) for what in ("join", "fetch", "take")] == [2, 2, 2]


async def handled(world: Any, group: str) -> bool:
    return bool(await world.offsets(group) == 1)


async def test_a_partition_that_is_stuck_beside_busy_ones_ends_the_consumer(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, fetch = TopicPartition(world.TOPIC, 0), LogConsumer.fetch
    numbers = count()
    keys = [f"key-{number}" for number in range(50) if partition_of(f"key-{number}".encode(), PARTITIONS) != 0]

    async def fetched(self: LogConsumer, max_records: int, timeout_s: float) -> Any:
        # As a client whose connection to one broker hangs: the others' partitions bring something every time.
        self.pause([stuck])
        await world.publish(world.message(keys[next(numbers) % len(keys)]))
        return await fetch(self, max_records, timeout_s)

    monkeypatch.setattr(LogConsumer, "fetch", fetched)
    # A machine that is slow must not look like one whose fetches do not return.
    limits = Limits(fetch_wait_s=0.02, commit_every_s=0.05, drain_s=1, stall_s=3.0)
    key = next(f"key-{number}" for number in range(50) if partition_of(f"key-{number}".encode(), PARTITIONS) == 0)
    await world.publish(world.message(key))
    with pytest.raises(ConsumerStalled, match=rf"{world.TOPIC}\[0\] .* 1 records waiting"):
        await asyncio.wait_for(world.consumer(group="stuck-beside", limits=limits).run(StopSignal()), PATIENCE_S)
    assert await world.count("effects") > 0


async def test_partitions_of_which_nothing_is_known_do_not_make_a_hanging_fetch_look_well(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lag(self: LogConsumer) -> Mapping[TopicPartition, int]:
        return {}

    async def fetch(self: LogConsumer, max_records: int, timeout_s: float) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(LogConsumer, "lag", lag)
    monkeypatch.setattr(LogConsumer, "fetch", fetch)
    with pytest.raises(ConsumerStalled, match="no fetch returned"):
        await asyncio.wait_for(world.consumer(group="unknown", limits=LIMITS).run(StopSignal()), PATIENCE_S)
