"""``offsets`` as an operator types it: the real command, and what consumers and relays make of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from chassis.bus.memory import MemoryBus
from chassis.bus.partitioning import partition_of
from chassis.consumer import ConsumerFenced, Limits, PlaceLost
from chassis.offsets_command import run_offsets
from chassis.outbox import enqueue
from chassis.runtime import StopSignal
from chassis.settings import ServiceSettings, SettingsError
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
PATIENCE_S = 30.0
PARTITION = partition_of(b"k", 4)
RESET = ("reset", "--topic", "payments", "--to")


class Operator:
    """Types commands; answers the exit code, and both outputs."""

    def __init__(self, capsys: Any) -> None:
        self._capsys = capsys

    async def types(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = await run_offsets(ServiceSettings, arguments)
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err

    async def reads(self, *arguments: str) -> list[dict[str, Any]]:
        code, out, _ = await self.types(*arguments, "--json")
        assert code == 0
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def operator(world: Any, operators_terminal: None, capsys: Any) -> Operator:
    return Operator(capsys)


async def enqueued(world: Any, count: int) -> None:
    messages = [world.message("k", {"note": f"{number}"}) for number in range(count)]
    async with world.pool.acquire() as conn, conn.transaction():
        await enqueue(conn, messages)


async def new_bus(world: Any) -> None:
    world.bus = MemoryBus(session_timeout_s=2)
    await world.bus.ensure_topics({world.TOPIC: 4})


async def handled(world: Any, count: int) -> None:
    async def are() -> bool:
        return bool(await world.count("effects") == count)

    await eventually(are, PATIENCE_S)


async def test_places_are_listed(world: Any, operator: Operator) -> None:
    assert await operator.types("list") == (0, "", "")
    await enqueued(world, 3)
    async with world.running(world.consumer(), world.relay()):
        await handled(world, 3)
    code, out, err = await operator.types("list")
    assert (code, err) == (0, "")
    assert f"billing  payments[{PARTITION}]  3 " in out
    assert out.splitlines()[-1].startswith("outbox  3 ")
    *consumers, relay = await operator.reads("list")
    assert [(one["partition"], one["next_offset"]) for one in consumers if one["next_offset"]] == [(PARTITION, 3)]
    assert (relay["relay"], relay["position"]) == ("outbox", 3)


async def test_after_a_lost_topic_everything_takes_effect_once(world: Any, operator: Operator) -> None:
    """The runbook: what was published comes again from the relay, what was heard is known."""
    await enqueued(world, 40)
    async with world.running(world.consumer(), world.relay()):
        await handled(world, 40)
    # Published, and lost with the topic before anybody heard of them.
    await enqueued(world, 5)
    async with world.running(world.relay()):
        await eventually(lambda: _published(world, 45), PATIENCE_S)
    await new_bus(world)
    # After the topic was made anew, more than the group's place came.
    await enqueued(world, 60)
    async with world.running(world.relay()):
        await eventually(lambda: _published(world, 105), PATIENCE_S)
    with pytest.raises(PlaceLost):
        await asyncio.wait_for(world.consumer().run(StopSignal()), PATIENCE_S)
    assert await world.count("effects") == 40
    assert (await operator.types("republish", "--relay", "outbox", "--after", "earliest"))[0] == 0
    assert (await operator.types(*RESET, "earliest"))[0] == 0
    async with world.running(world.consumer(), world.relay()):
        await handled(world, 105)
        await eventually(lambda: _published(world, 105), PATIENCE_S)
    assert await world.count("inbox") == 105


async def _published(world: Any, upto: int) -> bool:
    return bool(await world.pool.fetchval("SELECT position FROM relay_positions") == upto)


async def test_a_reset_is_of_what_was_named_and_says_by_whom(world: Any, operator: Operator) -> None:
    async with world.running(world.consumer()):
        await eventually(lambda: _claimed(world, 4), PATIENCE_S)
    one = await operator.reads(*RESET, "7", "--partition", "2", "--group", "billing", "--by", "otto")
    assert [(row["partition"], row["next_offset"], row["owner"]) for row in one] == [(2, 7, "operator otto")]
    everything = await operator.reads(*RESET, "0")
    assert [(row["partition"], row["next_offset"]) for row in everything] == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert {row["owner"] for row in everything} == {"operator olga"}
    for missing in ([*RESET, "0", "--group", "nobody"], ["reset", "--topic", "none", "--to", "earliest"]):
        code, out, err = await operator.types(*missing)
        assert (code, out) == (1, "")
        assert err.startswith("nothing of ")


async def test_an_operator_may_go_on_at_the_same_offset_of_another_log(world: Any, operator: Operator) -> None:
    await world.publish(*[world.message("k") for _ in range(3)])
    async with world.running(world.consumer()):
        await handled(world, 3)
    await new_bus(world)
    await world.publish(*[world.message("k") for _ in range(5)])
    with pytest.raises(PlaceLost):
        await asyncio.wait_for(world.consumer().run(StopSignal()), PATIENCE_S)
    await operator.types(*RESET, "3", "--partition", str(PARTITION))
    async with world.running(world.consumer()):
        await handled(world, 5)


async def _claimed(world: Any, partitions: int) -> bool:
    return bool(await world.count("consumer_offsets") == partitions)


async def test_a_consumer_that_runs_meanwhile_ends_and_moves_nothing(world: Any, operator: Operator) -> None:
    limits = Limits(fetch_wait_s=0.05, commit_every_s=0.05, drain_s=1, fenced_s=0.5)
    await world.publish(world.message("k"))
    running = asyncio.create_task(world.consumer(limits=limits).run(StopSignal()))
    await handled(world, 1)
    await operator.types(*RESET, "earliest")
    await world.publish(world.message("k"))
    with pytest.raises(ConsumerFenced):
        await asyncio.wait_for(running, PATIENCE_S)
    assert await world.offsets() == 0
    async with world.running(world.consumer()):
        await handled(world, 2)


async def test_a_relay_is_never_set_forward(world: Any, operator: Operator) -> None:
    await enqueued(world, 3)
    async with world.running(world.relay()):
        await eventually(lambda: _published(world, 3), PATIENCE_S)
    republish = ("republish", "--relay", "outbox", "--after")
    code, out, err = await operator.types(*republish, "4")
    assert (code, out) == (1, "")
    assert err == "there is no relay outbox, or it has not published up to 4\n"
    assert (await operator.types("republish", "--relay", "other", "--after", "0"))[0] == 1
    assert [row["position"] for row in await operator.reads(*republish, "1")] == [1]
    async with world.running(world.relay()):
        await eventually(lambda: _published(world, 3), PATIENCE_S)
    async with world.running(world.consumer()):
        await eventually(lambda: _heard(world, 5), PATIENCE_S)
    assert await world.count("effects") == 3


async def _heard(world: Any, records: int) -> bool:
    return bool(await world.offsets() == records)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["reset", "--topic", "t"],
        ["reset", "--to", "earliest"],
        [*RESET, "-1"],
        [*RESET, "latest"],
        [*RESET, "0", "--partition", "-1"],
        [*RESET, "0", "--by", "a\nb"],
        ["republish", "--relay", "outbox"],
        ["republish", "--relay", "outbox", "--after", str(2**63)],
    ],
)
async def test_wrong_usage_ends_with_2(operator: Operator, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        await operator.types(*arguments)
    assert ended.value.code == 2


async def test_a_database_without_the_tables_is_one_line(world: Any, operator: Operator) -> None:
    await world.forget_tables("relay_positions")
    with pytest.raises(SettingsError, match=r"DATABASE_URL: the offsets cannot be used \(UndefinedTableError\)"):
        await operator.types("list")
