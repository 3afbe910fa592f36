"""Bills by a gateway that takes longer than a bill's grace: the longer of both holds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .bank_story import ACCOUNT
from .conftest import OpenShop, Shop
from .subscription_story import DAY_S, MAIL, STANDARD, act, credited, mails, payment_of, shown, subscribed

pytestmark = pytest.mark.asyncio
BY_BANK = STANDARD | {"payment_method": "bank", "customer_email": "alice@example.org"}
GRACE_S, QUOTE_S, LATE_S = 3 * DAY_S, 7 * DAY_S, 300


@pytest_asyncio.fixture
async def shop(open_shop: OpenShop) -> AsyncIterator[Shop]:
    async with open_shop(**MAIL, **ACCOUNT, bank_minimum_usd="1", bank_quote_lifetime_s=QUOTE_S) as opened:
        yield opened


async def test_a_transfer_has_as_long_for_a_bill_as_for_any_payment(shop: Shop) -> None:
    made = await subscribed(shop, BY_BANK)
    await shop.deliver(credited(await payment_of(shop, made), 1))
    shop.clock.advance(31 * DAY_S)
    await act(shop)
    _, facts = (await mails(shop))[-1]
    assert facts["until"] == "08 June 2026, 00:00 UTC"
    # Confirmed the day after a bill of another gateway would have lapsed.
    shop.clock.advance(GRACE_S + DAY_S)
    assert await act(shop) == 0
    await shop.deliver(credited(await payment_of(shop, made), 2))
    assert (await shown(shop, made))["status"] == "active"


async def test_nobody_waits_longer_than_that(shop: Shop) -> None:
    made = await subscribed(shop, BY_BANK)
    await shop.deliver(credited(await payment_of(shop, made), 1))
    shop.clock.advance(31 * DAY_S)
    await act(shop)
    # Looked at while the bill may still be paid, so that a pause comes before it is over.
    shop.clock.advance(QUOTE_S)
    await act(shop)
    assert (await shown(shop, made))["status"] == "active"
    shop.clock.advance(LATE_S)
    await act(shop)
    assert (await shown(shop, made))["status"] == "lapsed"
