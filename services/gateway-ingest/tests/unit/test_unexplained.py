"""However many addresses are watched, a few are looked at in one go, and each has its turn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from chassis.clock import ManualClock
from gateway_ingest.application.unexplained import AT_ONCE_MAX_ADDRESSES, LOOK_EVERY, Unexplained
from gateway_ingest.application.watching_ports import Place
from gateway_ingest.domain.deposits import Watched


class Asked:
    """Both ports, as far as they are asked: nothing was seen, and no node remembers balances."""

    def __init__(self, network: str) -> None:
        self.network = network
        self.keys: list[str] = []

    async def own_coins_seen(self, network: str, currency: str, keys: Collection[str], upto: int) -> Mapping[str, int]:
        return {}

    async def balance(self, key: str, number: int) -> int | None:
        self.keys.append(key)
        return None


async def asked_for(network: str, addresses: int, times: int) -> list[str]:
    asked, clock = Asked(network), ManualClock()
    watched = {key: Watched(key, "GL000000000000AM", 1) for key in (f"0x{one:040x}" for one in range(addresses))}
    port: Any = asked
    unexplained = Unexplained(port, port, clock)
    for _ in range(times):
        await unexplained.look(Place(7, "0xbb"), watched)
        await unexplained.look(Place(7, "0xbb"), watched)
        clock.advance(LOOK_EVERY.total_seconds())
    return asked.keys


@pytest.mark.asyncio
async def test_each_has_its_turn_and_then_they_begin_anew() -> None:
    many = 2 * AT_ONCE_MAX_ADDRESSES + 1
    keys = await asked_for("ethereum", many, 3)
    assert len(keys) == len(set(keys)) == many
    again = await asked_for("ethereum", many, 4)
    assert again[many:] == keys[:AT_ONCE_MAX_ADDRESSES]


@pytest.mark.asyncio
async def test_a_few_are_looked_at_every_time_and_bitcoin_never() -> None:
    assert len(await asked_for("ethereum", 2, 3)) == 6
    assert await asked_for("bitcoin", 2, 3) == []
