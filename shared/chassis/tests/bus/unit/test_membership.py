"""How a member keeps its place when the group's store or its listener fails."""

import asyncio
from collections.abc import Collection

import pytest

from chassis.bus.bell import Bell
from chassis.bus.log_backend import Evicted, Standing
from chassis.bus.membership import Callbacks, Membership
from chassis.bus.port import TopicPartition
from chassis.errors import OperationalError
from testkit.waiting_for import eventually

ONE, TWO = TopicPartition("t", 1), TopicPartition("t", 2)
SESSION_S = 0.2
pytestmark = pytest.mark.asyncio


class Group:
    """A group of one member, moved by hand."""

    def __init__(self) -> None:
        self.changes = Bell()
        self.wanted = {ONE}
        self.held: set[TopicPartition] = set()
        self.others: set[TopicPartition] = set()
        self.error: Exception | None = None
        self.joins = 0
        self.has_left = False

    async def join(self) -> None:
        self.joins += 1
        self.error = None

    async def beat(self) -> Standing:
        if self.error is not None:
            raise self.error
        free = bool(self.wanted - self.held - self.others)
        return Standing(frozenset(self.held), frozenset(self.wanted), free)

    async def take(self) -> frozenset[TopicPartition]:
        taken = frozenset(self.wanted - self.held - self.others)
        self.held |= taken
        return taken

    async def release(self, partitions: Collection[TopicPartition]) -> None:
        self.held -= set(partitions)

    async def leave(self) -> None:
        self.has_left = True
        self.held.clear()


class Told:
    """What a consumer heard."""

    def __init__(self) -> None:
        self.owned: set[TopicPartition] = set()
        self.history: list[str] = []
        self.refusal: Exception | None = None

    async def gained(self, partitions: frozenset[TopicPartition]) -> None:
        if self.refusal is not None:
            error, self.refusal = self.refusal, None
            raise error
        self.owned |= partitions
        self.history.append("gained")

    async def lost(self, partitions: frozenset[TopicPartition]) -> None:
        assert partitions <= self.owned
        self.owned -= partitions
        self.history.append("lost")


@pytest.fixture
def group() -> Group:
    return Group()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def membership(group: Group, told: Told) -> Membership:
    return Membership(group, SESSION_S, Callbacks(told.gained, told.lost))


async def test_partitions_come_and_go_as_the_group_says(group: Group, told: Told, membership: Membership) -> None:
    await membership.start()
    assert told.owned == {ONE}
    group.wanted = {TWO}
    group.changes.ring()
    await eventually(lambda: told.owned == {TWO} and group.held == {TWO})
    assert told.history == ["gained", "lost", "gained"]
    await membership.close()
    assert told.owned == set()
    assert group.has_left


async def test_a_partition_is_taken_only_once_its_holder_let_go(
    group: Group, told: Told, membership: Membership
) -> None:
    group.others = {ONE}
    await membership.start()
    beats = group.changes.count
    assert told.owned == set()
    group.others = set()
    await eventually(lambda: told.owned == {ONE})
    assert group.changes.count == beats, "the heartbeat alone must find it"
    await membership.close()


async def test_a_listener_that_cannot_claim_yet_is_asked_again(
    group: Group, told: Told, membership: Membership
) -> None:
    told.refusal = OperationalError("the service's database is away")
    await membership.start()
    assert told.owned == set()
    await eventually(lambda: told.owned == {ONE})
    membership.raise_failure()
    await membership.close()


async def test_a_bug_in_a_listener_is_raised(group: Group, told: Told, membership: Membership) -> None:
    await membership.start()
    told.refusal = ZeroDivisionError("bug")
    group.wanted = {ONE, TWO}

    def failed() -> bool:
        try:
            membership.raise_failure()
        except ZeroDivisionError:
            return True
        return False

    await eventually(failed)
    await membership.abandon()


async def test_who_cannot_renew_for_a_session_lets_go_and_comes_back(
    group: Group, told: Told, membership: Membership
) -> None:
    await membership.start()
    group.error = OperationalError("away")
    await eventually(lambda: told.owned == set())
    assert group.held == {ONE}, "nobody could be told"
    group.error = None
    await eventually(lambda: told.owned == {ONE})
    assert told.history == ["gained", "lost", "gained"]
    await membership.close()


async def test_a_short_absence_of_the_store_costs_nothing(group: Group, told: Told, membership: Membership) -> None:
    await membership.start()
    group.error = OperationalError("away")
    await asyncio.sleep(0)
    group.error = None
    await membership.close()
    assert told.history == ["gained", "lost"]


async def test_who_was_evicted_lets_go_before_joining_anew(group: Group, told: Told, membership: Membership) -> None:
    await membership.start()
    group.held.clear()
    group.error = Evicted("me")
    await eventually(lambda: group.joins == 2 and told.owned == {ONE})
    assert told.history == ["gained", "lost", "gained"]
    await membership.close()


async def test_leaving_a_group_that_is_away_still_lets_go(group: Group, told: Told, membership: Membership) -> None:
    await membership.start()

    async def away() -> None:
        raise OperationalError("away")

    group.leave = away  # type: ignore[method-assign]
    await membership.close()
    assert told.owned == set()
