"""When a consumer outside of its group is stuck, and when it has a reason to be outside."""

from __future__ import annotations

import pytest

from chassis.bus.kafka.fetching import ClientStuck
from chassis.bus.kafka.rejoining import PROBES_MAX, Rejoining
from chassis.errors import OperationalError

pytestmark = pytest.mark.asyncio


class Brokers:
    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    async def answer(self) -> None:
        self.asked += 1
        if self.away:
            raise OperationalError("away")


async def test_brokers_that_answer_again_and_again_mean_that_the_client_is_stuck() -> None:
    brokers = Brokers()
    rejoining = Rejoining(brokers.answer, probe_every_s=10)
    for _ in range(10 * PROBES_MAX - 1):
        await rejoining.waited(1)
    assert brokers.asked == PROBES_MAX - 1
    with pytest.raises(ClientStuck, match="30 s"):
        await rejoining.waited(1)


async def test_brokers_that_are_away_are_the_reason_and_the_count_begins_anew() -> None:
    brokers = Brokers()
    rejoining = Rejoining(brokers.answer, probe_every_s=10)
    for _ in range(PROBES_MAX - 1):
        await rejoining.waited(10)
    brokers.away = True
    with pytest.raises(OperationalError):
        await rejoining.waited(10)
    brokers.away = False
    for _ in range(PROBES_MAX - 1):
        await rejoining.waited(10)
    with pytest.raises(ClientStuck):
        await rejoining.waited(10)


async def test_who_comes_back_is_well() -> None:
    brokers = Brokers()
    rejoining = Rejoining(brokers.answer, probe_every_s=10)
    for _ in range(3 * PROBES_MAX):
        await rejoining.waited(9)
        rejoining.is_member()
    assert brokers.asked == 0
