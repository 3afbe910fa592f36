"""Many at once against one wallet: exactly as many purchases succeed as there is cover for."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from testkit.waiting_for import eventually

pytestmark = pytest.mark.parametrize("stack", ["postgres", "kafka"], indirect=True)
PURCHASES = 100
COVERED = 10


@pytest.mark.asyncio
async def test_a_hundred_purchases_at_once_against_cover_for_ten(visitor: Any, until_answered: Any) -> None:
    await visitor.pay(COVERED * 1000)
    await visitor.balance_becomes("100.00")

    # A slow machine may be too busy for some of them (503): they ask again under their keys, as clients do.
    asked = (until_answered(partial(visitor.buy, "web-server", key=f"one-of-many-{n}")) for n in range(PURCHASES))
    answers = await asyncio.gather(*asked)

    assert {answer.status_code for answer in answers} == {200}
    outcomes = Counter(answer.json()["action"]["type"] for answer in answers)
    assert outcomes == {"DeploymentStarted": COVERED, "InsufficientFunds": PURCHASES - COVERED}
    assert await visitor.balance() == "0.00"
    started = [answer.json()["action"]["deployment_id"] for answer in answers if answer.json()["success"]]
    assert len(set(started)) == COVERED
    for deployment_id in started:
        await visitor.deployment_becomes(deployment_id, "active")

    async def all_captured() -> bool:
        return bool((await visitor.ledger(f"/wallets/{visitor.user_id}"))["held"] == "0.00")

    await eventually(all_captured, 60.0)
    assert await visitor.earned("platform:commission", *started) == Decimal("10.00")
    assert await visitor.earned("grid:payable", *started) == Decimal("90.00")
    assert (await visitor.ledger("/trial-balance"))["balanced"] is True


@pytest.mark.asyncio
async def test_the_same_purchase_asked_for_many_times_is_made_once(visitor: Any, until_answered: Any) -> None:
    await visitor.pay(2500)
    await visitor.balance_becomes("25.00")

    asked = partial(visitor.buy, "small-vm", key="one-and-the-same")
    answers = await asyncio.gather(*(until_answered(asked) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["action"]["deployment_id"] for answer in answers}) == 1
    assert await visitor.balance() == "20.00"
