"""Bills by a gateway that takes each reference once and never repeats its link: a lost answer costs nobody a period."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from chassis.clock import ManualClock
from chassis.ids import SequenceIds
from embedded.gateway_simulators.clickpesa.app import create_clickpesa_simulator
from embedded.gateway_simulators.clickpesa.webhooks import ClickPesaWebhooks
from payments_api.adapters.gateways.clickpesa.api import ClickPesaAccess, ClickPesaApi
from payments_api.domain.subscription_deciding import LoseBill

from .conftest import START, OpenShop, Shop
from .subscription_story import DAY_S, MAIL, STANDARD, act, credited, mails, payment_of, post, quotes, shown, subscribed

pytestmark = pytest.mark.asyncio
BASE = "http://clickpesa.example/third-parties"
MAKES_A_LINK = "/checkout-link/generate-checkout-url"
BY_CLICKPESA = STANDARD | {"payment_method": "clickpesa", "customer_email": "alice@example.org"}
KEYS = {"clickpesa_client_id": "client", "clickpesa_api_secret": "verysecret"}
FIRST_PAUSE_S = 60


@dataclass
class ClickPesa:
    """The simulator. While it ``loses`` answers it makes each link, and whoever asked hears nothing of it."""

    app: Any
    links: list[int]
    loses: bool = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix("/third-parties")

        async def told(message: Any) -> None:
            if path == MAKES_A_LINK and message["type"] == "http.response.start":
                self.links.append(message["status"])
                if self.loses and message["status"] == httpx.codes.OK:
                    message = {**message, "status": 504}
            await send(message)

        await self.app(scope | {"path": path, "raw_path": path.encode()}, receive, told)


@pytest_asyncio.fixture
async def clickpesa() -> AsyncIterator[ClickPesa]:
    webhooks = ClickPesaWebhooks("http://nobody", b"unused")
    webhooks.manner.mode = "lose"
    clock = ManualClock(START)
    yield ClickPesa(create_clickpesa_simulator(webhooks, clock, SequenceIds(), BASE, checks_requests=False), [])
    await webhooks.close()


@asynccontextmanager
async def shop_beside(clickpesa: ClickPesa, open_shop: OpenShop) -> AsyncIterator[Shop]:
    async with open_shop(**MAIL, **KEYS) as shop:
        gateway: Any = shop.parts.gateways["clickpesa"]
        await gateway._api.close()
        access = ClickPesaAccess("client", "verysecret", 5.0, BASE)
        gateway._api = ClickPesaApi(access, shop.clock, transport=httpx.ASGITransport(clickpesa))
        yield shop


@pytest_asyncio.fixture
async def shop(clickpesa: ClickPesa, open_shop: OpenShop) -> AsyncIterator[Shop]:
    async with shop_beside(clickpesa, open_shop) as opened:
        yield opened


async def due(shop: Shop) -> Any:
    """A subscription whose second period is to be billed."""
    made = await subscribed(shop, BY_CLICKPESA)
    await shop.deliver(credited(await payment_of(shop, made), 1))
    shop.clock.advance(31 * DAY_S)
    return made


async def test_a_link_whose_answer_was_lost_is_made_anew_under_another_name(shop: Shop, clickpesa: ClickPesa) -> None:
    made = await due(shop)
    clickpesa.loses = True
    assert await act(shop) == 1
    clickpesa.loses = False
    shop.clock.advance(FIRST_PAUSE_S)
    assert await act(shop) == 1, "ClickPesa has a link and does not say which"
    assert (await shown(shop, made))["period"]["number"] == 1
    assert await act(shop) == 0, "not before a pause"
    shop.clock.advance(FIRST_PAUSE_S)
    assert await act(shop) == 1
    assert clickpesa.links == [200, 200, 409, 200]
    bill = await payment_of(shop, made)
    assert ((await shown(shop, made))["period"]["number"], bill["status"]) == (2, "initiated")
    assert bill["payment_url"].endswith(bill["reference"])
    assert [kind for kind, _ in await mails(shop)] == ["credited", "renewal"]
    await shop.deliver(credited(bill, 2))
    assert (await shown(shop, made))["period"]["payment_status"] == "confirmed"
    assert len(await quotes(shop)) == 2, "one promise for each period"
    assert await act(shop) == 0


async def test_what_was_lost_is_known_after_a_restart(
    shop: Shop, clickpesa: ClickPesa, open_shop: OpenShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await due(shop)

    async def dies(*_: Any) -> Any:
        raise RuntimeError("the end")

    with monkeypatch.context() as patch:
        # The link is there, and whoever made it ends before it is stored.
        patch.setattr(shop.parts.initiating, "store", dies)
        with pytest.raises(RuntimeError, match="the end"):
            await act(shop)
    for seconds in (FIRST_PAUSE_S, FIRST_PAUSE_S):
        # Each time another process, which remembers no link.
        async with shop_beside(clickpesa, open_shop) as restarted:
            shop.clock.advance(seconds)
            restarted.clock.advance((shop.clock.now() - START).total_seconds())
            assert await act(restarted) == 1
    assert clickpesa.links == [200, 200, 409, 200]
    assert (await shown(shop, made))["period"]["number"] == 2
    assert [kind for kind, _ in await mails(shop)] == ["credited", "renewal"]


async def test_a_gateway_that_refuses_every_bill_is_asked_less_and_less(shop: Shop, clickpesa: ClickPesa) -> None:
    made = await due(shop)
    clickpesa.loses = True
    for _ in range(4):
        shop.clock.advance(DAY_S)
        await act(shop)
    # Lost, known to be, lost, known to be: the pauses after that are a minute and then two.
    assert clickpesa.links == [200, 200, 409, 200, 409]
    clickpesa.loses = False
    shop.clock.advance(2 * FIRST_PAUSE_S - 1)
    assert await act(shop) == 0
    shop.clock.advance(1)
    assert await act(shop) == 1
    assert (await shown(shop, made))["period"]["number"] == 2


async def test_who_was_faster_has_made_the_bill(shop: Shop, clickpesa: ClickPesa) -> None:
    made = await due(shop)
    await act(shop)
    store = shop.parts.subscriptions.renewing._store
    async with shop.pool.acquire() as conn, conn.transaction():
        state = await store.load(conn, made["subscription_id"])
        bill = state.newest
        assert bill is not None
        late = await store.save(conn, state, [LoseBill(bill.number, bill.payment_id)])
    assert (late.version, late.lost_bills) == (state.version, ())
    assert (await payment_of(shop, made))["payment_id"] == bill.payment_id


async def test_the_first_bill_is_not_made_twice_under_one_key(shop: Shop, clickpesa: ClickPesa) -> None:
    clickpesa.loses = True
    assert (await post(shop, BY_CLICKPESA, key="k1")).status_code == 502
    clickpesa.loses = False
    again = await post(shop, BY_CLICKPESA, key="k1")
    assert (again.status_code, again.json()["code"]) == (409, "reference_taken")
    assert (await post(shop, BY_CLICKPESA, key="k2")).status_code == 200
