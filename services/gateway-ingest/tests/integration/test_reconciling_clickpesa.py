"""Reconciling with the simulated ClickPesa: what its webhooks did not tell, and what it never tells by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway_ingest.adapters.gateway_lists.clickpesa import ClickPesaList
from gateway_ingest.adapters.gateways.clickpesa import gateway as clickpesa
from gateway_ingest.adapters.ledger_http import HttpLedger
from gateway_ingest.application.reconciling import Done, Reconciliation, Report
from gateway_ingest.domain.reconciling import Kind, Window

from .books_stand_in import StandInLedger
from .conftest import TOKEN
from .test_clickpesa_simulated import REFERENCE, ClickPesa, standing
from .test_reconciling_stripe import Watched

pytestmark = pytest.mark.asyncio


class World:
    """ClickPesa, the books, and what compares them."""

    def __init__(self, shop: ClickPesa) -> None:
        self.shop, self.ingest = shop, shop.ingest
        self.ledger = StandInLedger()
        transport = httpx.ASGITransport(self.ledger.application())
        self.books = HttpLedger("http://ledger", SecretStr(TOKEN), transport=transport)
        listing = ClickPesaList(shop.api, clickpesa.Asking(shop.api, shop.ingest.clock, 100))
        keeper = shop.ingest.service.intake
        self._reconciliation = Reconciliation("clickpesa", listing, self.books, keeper, Watched())
        self.start = shop.ingest.clock.now()

    async def run(self, *, repair: bool = False) -> Report:
        return await self._reconciliation.run(Window(self.start, self.start + timedelta(days=1)), repair=repair)

    async def found(self, **asked: Any) -> list[tuple[str, Kind, Done]]:
        report = await self.run(**asked)
        return [(each.difference.payment_id, each.difference.kind, each.done) for each in report.findings]

    def book(self, payment_id: str, **more: Any) -> None:
        given = {"gateway": "clickpesa", "asset": "TZS/0", "reference": REFERENCE} | more
        self.ledger.book(payment_id, self.ingest.clock.now(), 10_000, **given)


@asynccontextmanager
async def opened(open_gateway: Any) -> AsyncIterator[World]:
    async with standing(open_gateway) as shop:
        await shop.simulate("webhooks", mode="lose")
        world = World(shop)
        async with world.books:
            yield world


async def test_an_orphan_is_told_with_what_it_is_worth(open_gateway: Any) -> None:
    async with opened(open_gateway) as world:
        payment = (await world.shop.happens("pay"))["id"]
        assert await world.found() == [(payment, Kind.PAID_NOT_CREDITED, Done.LEFT)]
        assert await world.found(repair=True) == [(payment, Kind.PAID_NOT_CREDITED, Done.REPAIRED)]
        [message] = await world.ingest.outgoing()
        assert (message["gateway_payment_id"], message["reference"]) == (payment, REFERENCE)
        assert (message["received"], message["worth"]["amount"]) == ({"amount": "10000", "asset": "TZS/0"}, "3.76")
        assert [event for event, _, _ in await world.ingest.kept()] == [f"reconciled.{payment}.confirmed"]
        world.book(payment)
        assert await world.found() == []


async def test_what_was_returned_later_is_found_although_nothing_told_it(open_gateway: Any) -> None:
    async with opened(open_gateway) as world:
        payment = (await world.shop.happens("pay"))["id"]
        world.book(payment)
        await world.shop.happens("reverse")
        assert await world.found(repair=True) == [(payment, Kind.AMOUNT_DIFFERS, Done.REPAIRED)]
        [message] = await world.ingest.outgoing()
        assert message["refunded_total"] == {"amount": "10000", "asset": "TZS/0"}
        world.ledger.payments["clickpesa", payment]["returned"] = "10000"
        assert await world.found() == []


async def test_what_was_not_paid_is_no_payment(open_gateway: Any) -> None:
    async with opened(open_gateway) as world:
        failed = (await world.shop.happens("fail"))["id"]
        assert await world.found() == []
        world.book(failed)
        world.book("without-reference", reference=None)
        assert sorted(await world.found()) == sorted(
            (payment, Kind.CREDITED_NOT_PAID, Done.LEFT) for payment in (failed, "without-reference")
        )
