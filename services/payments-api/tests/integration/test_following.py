"""How long a gateway is asked: about what nobody pays, what is said to be under way, and fees that come late."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from contracts.messages import PaymentPending
from payments_api.adapters.open_payments import PAUSE_MAX_S
from payments_api.application.following import GIVEN_UP_AFTER_S
from payments_api.application.gateways import Observation

from .conftest import START, OpenShop
from .payment_story import begun, purchased
from .scripted_gateway import paid, scripted, status_of

pytestmark = pytest.mark.asyncio
QUOTE_S, LATE_S = 3600, 300
DAY_S = 86_400
FEE = Observation("demo", "p1.fee.txn_1", "fee", "p1")


def pending(payment: Any, state: Any) -> PaymentPending:
    return PaymentPending(
        gateway="demo", gateway_payment_id="p1", seen_at=START, state=state, reference=payment["reference"]
    )


def says(state: str) -> Observation:
    return Observation("demo", f"p1.pending.{state}", "pending", "p1", fields={"state": state})


async def looks(shop: Any, seconds: float) -> list[float]:
    """When it was looked at from now on, for so long, in seconds."""
    began, times = shop.clock.now(), []
    while True:
        look_at = await shop.pool.fetchval("SELECT look_at FROM payments WHERE look_at IS NOT NULL")
        if look_at is None:
            return times
        wait_s = (look_at - shop.clock.now()).total_seconds() + shop.parts.settings.follow_after_s
        if (shop.clock.now() - began).total_seconds() + wait_s > seconds:
            shop.clock.advance(seconds - (shop.clock.now() - began).total_seconds())
            return times
        if wait_s > 0:
            shop.clock.advance(wait_s - 1)
            assert await shop.parts.following.follow_once() == 0
            shop.clock.advance(1)
        assert await shop.parts.following.follow_once() == 1
        times.append((shop.clock.now() - began).total_seconds())


async def test_what_only_waits_for_its_payer_expires_in_time(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        headers, payment = await begun(shop)
        shop.gateway.says = [says("requires_action")]
        await shop.deliver(pending(payment, "requires_action"))
        assert await status_of(shop, headers, payment) == "pending"
        asked = await looks(shop, DAY_S)
        assert await status_of(shop, headers, payment) == "expired"
        assert QUOTE_S + LATE_S <= asked[-1] <= QUOTE_S + 3 * LATE_S
        await shop.deliver(purchased(payment["reference"]))
        assert await status_of(shop, headers, payment) == "confirmed", "the bank was asked at last"


async def test_what_is_under_way_is_asked_about_less_and_less_and_given_up(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        headers, payment = await begun(shop)
        shop.gateway.says = [says("processing")]
        await shop.deliver(pending(payment, "processing"))
        within = await looks(shop, QUOTE_S)
        assert within == [120 + 300 * number for number in range(12)]
        first_day = await looks(shop, DAY_S)
        assert len(first_day) < 30
        assert await status_of(shop, headers, payment) == "pending"
        rest = await looks(shop, 2 * GIVEN_UP_AFTER_S)
        assert len(rest) < 40
        pauses = [later - earlier for earlier, later in pairwise(rest)]
        assert max(pauses) == pytest.approx(PAUSE_MAX_S)
        assert GIVEN_UP_AFTER_S <= rest[-1] + DAY_S <= GIVEN_UP_AFTER_S + DAY_S
        headers = await shop.sign_in()
        assert await status_of(shop, headers, payment) == "expired"
        shop.clock.advance(DAY_S)
        await shop.deliver(purchased(payment["reference"]))
        assert await status_of(shop, headers, payment) == "confirmed", "late money is taken"


async def test_a_fee_that_comes_late_is_waited_for(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        shop.gateway.fees_awaited_s = 3.0 * DAY_S
        await paid(shop)
        shop.gateway.says = [Observation("demo", "p1.confirmed", "confirmed", "p1")]
        assert len(await looks(shop, 7200)) > 5
        shop.gateway.says = [*shop.gateway.says, FEE]
        assert len(await looks(shop, DAY_S)) == 1
        assert shop.heard.told[-1] == FEE


async def test_a_fee_that_never_comes_is_not_asked_for_for_ever(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        shop.gateway.fees_awaited_s = 3.0 * DAY_S
        await paid(shop)
        asked = await looks(shop, 30 * DAY_S)
        assert 3 * DAY_S <= asked[-1] <= 4 * DAY_S
        assert len(asked) < 40


async def test_who_keeps_no_fees_is_asked_once(open_shop: OpenShop) -> None:
    async with scripted(open_shop) as shop:
        await paid(shop)
        assert len(await looks(shop, DAY_S)) == 1
