"""A shop whose demo gateway says what a test wants, and what it heard of that on its way to gateway-ingest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from payments_api.application.following import Following
from payments_api.application.gateways import (
    AskedPayment,
    Observation,
    Opened,
    PayRequest,
    RefundRequest,
    RefundStarted,
)
from payments_api.application.refunding import Refunding
from payments_api.domain.quotes import Quote

from .conftest import OpenShop, Shop
from .payment_story import begun, purchased

ADMIN = {"authorization": "Bearer an-admin-token-of-tests"}


class ScriptedGateway:
    """A gateway that says what a test wants; takes dollars as the demo gateway does."""

    name = "demo"
    is_demo = False

    def __init__(self, quoting: Any) -> None:
        self._quoting = quoting
        self.says: Sequence[Observation] = ()
        self.error: Exception | None = None
        self.initiated: list[PayRequest] = []
        self.asked: list[AskedPayment] = []
        self.refunds: list[RefundRequest] = []
        self.refund_says: Sequence[Observation] = ()

    @property
    def assets(self) -> Mapping[str, str]:
        return {"USD": "USD/2"}

    def describe(self) -> Mapping[str, Any]:
        return {"currencies": ["USD"]}

    async def quote(self, request: PayRequest, now: datetime) -> Quote:
        quote: Quote = await self._quoting.quote(request, now)
        return quote

    async def initiate(self, request: PayRequest, quote: Quote) -> Opened:
        self._fail()
        self.initiated.append(request)
        return Opened("https://pay.test", f"gw-{request.reference}", {"hint": "hello"}, "secret-of-the-payer")

    async def status(self, payment: AskedPayment) -> Sequence[Observation]:
        self.asked.append(payment)
        self._fail()
        return self.says

    async def refund(self, refund: RefundRequest) -> RefundStarted:
        self.refunds.append(refund)
        self._fail()
        return RefundStarted(f"re-{refund.refund_id}", self.refund_says)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


class Heard:
    """Stands for gateway-ingest."""

    def __init__(self) -> None:
        self.told: list[Observation] = []

    async def tell(self, observations: Sequence[Observation]) -> None:
        self.told += observations


class Scripted(Shop):
    """A shop whose demo gateway is scripted."""

    gateway: ScriptedGateway
    heard: Heard
    following: Following
    refunding: Refunding


@asynccontextmanager
async def scripted(open_shop: OpenShop, **settings: Any) -> AsyncIterator[Any]:
    async with open_shop(admin_token="an-admin-token-of-tests", **settings) as shop:
        gateway, heard, parts = ScriptedGateway(shop.parts.gateways["demo"]), Heard(), shop.parts
        parts.initiating._gateways["demo"] = gateway
        parts.gateways["demo"] = gateway
        parts.following._gateways, parts.following._observing = {"demo": gateway}, heard
        parts.refunding._gateways, parts.refunding._observing = {"demo": gateway}, heard
        shop.gateway, shop.heard = gateway, heard
        yield shop


async def status_of(shop: Shop, headers: dict[str, str], payment: Any) -> str:
    shown = await shop.get(f"/api/payments/{payment['payment_id']}", headers)
    return str(shown["status"])


async def paid(shop: Any) -> tuple[dict[str, str], Any]:
    headers, payment = await begun(shop)
    await shop.deliver(purchased(payment["reference"]))
    return headers, payment
