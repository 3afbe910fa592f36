"""ClickPesaGateway against the simulated ClickPesa: what is quoted and opened, what is learnt, what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import pytest
import pytest_asyncio

from chassis.clock import ManualClock
from chassis.errors import InvalidField
from chassis.ids import SequenceIds
from embedded.gateway_simulators.clickpesa.app import create_clickpesa_simulator
from embedded.gateway_simulators.clickpesa.webhooks import ClickPesaWebhooks
from payments_api.adapters.gateways.clickpesa.api import ClickPesaAccess, ClickPesaApi
from payments_api.adapters.gateways.clickpesa.gateway import ClickPesaGateway, ClickPesaTerms
from payments_api.adapters.gateways.clickpesa.wire import ChecksumKey, Method
from payments_api.adapters.rates.clickpesa import ClickPesaRates
from payments_api.adapters.rates.fixed import FixedRates
from payments_api.adapters.rates.median import MedianRates, Trust
from payments_api.application.gateways import (
    AskedPayment,
    CannotRefund,
    GatewayAway,
    GatewayRefused,
    Observation,
    Opened,
    PayRequest,
    RateSource,
    ReferenceTaken,
    RefundRequest,
)
from payments_api.domain.quotes import PackageTerms, Pricing, QuoteRefused, Terms
from testkit.waiting_for import eventually

from .conftest import START

pytestmark = pytest.mark.asyncio
BASE = "http://clickpesa.example/third-parties"
KEYS = {"client": "verysecret"}
CHECKSUM = b"CHKsecret"
PRICING = Pricing(Terms("USD/2", "TFC/2", Fraction(1), 3600), {"starter": PackageTerms(1000, 1000, 50)})
SHILLINGS = PayRequest("p-1", "REF1", "alice", "TZS/0", 10_000, customer_email="asha@example.com")
DOLLARS = PayRequest("p-2", "REF2", "alice", "USD/2", 2505)


class TokenDesk:
    """Where tokens are asked for: closed, it lets people wait."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.waiting = 0

    async def wait(self) -> None:
        self.waiting += 1
        await self.is_open.wait()


@dataclass
class World:
    """The simulator, and gateways before it."""

    clock: ManualClock
    http: httpx.AsyncClient
    transport: httpx.ASGITransport
    tokens: TokenDesk

    def api(self, key: str = KEYS["client"]) -> ClickPesaApi:
        # Mounted under a path, as the real one is.
        return ClickPesaApi(ClickPesaAccess("client", key, 5.0, BASE), self.clock, transport=self.transport)

    def gateway(
        self,
        *,
        key: str = KEYS["client"],
        rates: RateSource | None = None,
        checksum: bytes = CHECKSUM,
        method: Method = "canonical",
    ) -> ClickPesaGateway:
        terms = ClickPesaTerms(500, 100, 100, ChecksumKey(checksum, method))
        stated = FixedRates({"TZS": Decimal("0.00038")}, self.clock)
        return ClickPesaGateway(self.api(key), PRICING, rates or stated, terms)

    async def open(self, gateway: ClickPesaGateway, request: PayRequest = SHILLINGS) -> Opened:
        return await gateway.initiate(request, await gateway.quote(request, self.clock.now()))

    async def simulate(self, path: str, **body: Any) -> Any:
        answer = await self.http.post(f"{BASE}/simulate/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    clock = ManualClock(START)
    webhooks = ClickPesaWebhooks("http://nobody", CHECKSUM)
    webhooks.manner.mode = "lose"
    simulator = create_clickpesa_simulator(webhooks, clock, SequenceIds(), f"{BASE}/", keys=KEYS)

    tokens = TokenDesk()

    async def under_its_path(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix("/third-parties")
        if path == "/generate-token":
            await tokens.wait()
        await simulator(scope | {"path": path, "raw_path": path.encode()}, receive, send)

    transport = httpx.ASGITransport(under_its_path)
    async with httpx.AsyncClient(transport=transport) as http:
        yield World(clock, http, transport, tokens)
    await webhooks.close()


def asked(request: PayRequest) -> AskedPayment:
    return AskedPayment(request.payment_id, request.reference, "alice", None, request.asset, request.price)


def summary(news: list[Observation]) -> list[tuple[str, str]]:
    return [(each.kind, each.payment_id) for each in news]


async def test_shillings_are_quoted_at_the_rate_less_the_spread(world: World) -> None:
    gateway = world.gateway()
    quote = await gateway.quote(SHILLINGS, START)
    # 10,000 × 0.00038 × 0.99 = 3.762 dollars.
    assert (quote.price_asset, quote.price, quote.credits, quote.bonus) == ("TZS/0", 10_000, 376, 0)
    opened = await gateway.initiate(SHILLINGS, quote)
    assert opened.payment_url == f"{BASE}/pay/REF1"
    assert opened.details == {"exchange_rate": "0.00038", "exchange_rate_sources": ["fixed"]}
    assert opened.gateway_payment_id is None
    page = await world.http.get(str(opened.payment_url))
    assert "10000 TZS" in page.text


async def test_dollars_are_dollars(world: World) -> None:
    gateway = world.gateway()
    quote = await gateway.quote(DOLLARS, START)
    assert (quote.price_asset, quote.price, quote.credits) == ("USD/2", 2505, 2505)
    assert (await gateway.initiate(DOLLARS, quote)).details == {}
    package = replace(DOLLARS, package_id="starter", price=1000)
    assert (await gateway.quote(package, START)).bonus == 50


async def test_clickpesas_own_rate(world: World) -> None:
    api = world.api()
    own = MedianRates([ClickPesaRates(api)], Trust(min_sources=1, max_age_s=86_400), world.clock)
    quote = await world.gateway(rates=own).quote(SHILLINGS, START)
    # 10,000 / 2,631.58 × 0.99 = 3.762 dollars, a little less.
    assert quote.credits == 376
    assert (await own.usd_per("TZS")).usd.startswith("0.00037999")
    with pytest.raises(GatewayAway):
        await own.usd_per("KES")


@pytest.mark.parametrize(
    ("request_", "field", "code"),
    [
        (replace(SHILLINGS, asset="EUR/2"), "currency", "unknown_currency"),
        (replace(SHILLINGS, asset="TZS/2"), "currency", "unknown_currency"),
        (replace(SHILLINGS, price=499), "amount", "below_minimum"),
        (replace(DOLLARS, price=99), "amount", "below_minimum"),
        (replace(SHILLINGS, package_id="starter"), "currency", "package_in_dollars"),
    ],
)
async def test_what_is_not_sold(world: World, request_: PayRequest, field: str, code: str) -> None:
    with pytest.raises(InvalidField) as refused:
        await world.gateway().quote(request_, START)
    assert (refused.value.field, refused.value.code) == (field, code)
    with pytest.raises(QuoteRefused):
        await world.gateway().quote(replace(DOLLARS, package_id="starter"), START)


async def test_no_rate_no_quote(world: World) -> None:
    with pytest.raises(GatewayAway):
        await world.gateway(rates=FixedRates({}, world.clock)).quote(SHILLINGS, START)


async def test_a_repeat_comes_to_the_same_link_and_what_is_lost_is_said(world: World) -> None:
    gateway = world.gateway()
    first = await world.open(gateway)
    world.clock.advance(60)
    assert (await world.open(gateway)).payment_url == first.payment_url
    with pytest.raises(ReferenceTaken) as taken:
        await world.open(gateway, replace(SHILLINGS, price=20_000))
    assert (taken.value.code, taken.value.status) == ("reference_taken", 409)
    with pytest.raises(ReferenceTaken):
        await world.open(world.gateway())


@pytest.mark.parametrize("method", ["canonical", "legacy"])
async def test_requests_are_signed_by_either_method(world: World, method: Method) -> None:
    assert (await world.open(world.gateway(method=method))).payment_url
    with pytest.raises(GatewayAway, match="refuses our checksum"):
        await world.open(world.gateway(method=method, checksum=b"CHKother"), DOLLARS)


async def test_clickpesas_refusal_is_passed_on(world: World) -> None:
    with pytest.raises(GatewayRefused) as refused:
        await world.open(world.gateway(), replace(DOLLARS, reference="R-1"))
    assert str(refused.value.extra["gateway_message"]).startswith("Invalid Order Reference")


async def test_away_while_initiating_leaves_nothing_behind(world: World) -> None:
    gateway = world.gateway()
    quote = await gateway.quote(SHILLINGS, START)
    await world.simulate("silence", calls=1)
    with pytest.raises(GatewayAway, match="503"):
        await gateway.initiate(SHILLINGS, quote)
    assert (await gateway.initiate(SHILLINGS, quote)).payment_url


async def test_the_life_of_a_payment_by_asking(world: World) -> None:
    gateway = world.gateway()
    await world.open(gateway)
    assert await gateway.status(asked(SHILLINGS)) == ()
    failed = await world.simulate("payments/REF1", action="fail", message="No money")
    assert summary(list(await gateway.status(asked(SHILLINGS)))) == [("failed", failed["id"])]
    tried = await world.simulate("payments/REF1", action="process")
    assert summary(list(await gateway.status(asked(SHILLINGS)))) == [("pending", tried["id"])]
    await world.simulate("payments/REF1", action="pay", amount="9000")
    [paid] = await gateway.status(asked(SHILLINGS))
    assert paid.payment_id == tried["id"]
    assert paid.fields == {"received": {"units": 9000, "asset": "TZS/0"}, "worth": {"units": 338, "asset": "USD/2"}}
    await world.simulate("payments/REF1", action="settle")
    assert [news.name for news in await gateway.status(asked(SHILLINGS))] == [paid.name]
    await world.simulate("payments/REF1", action="reverse")
    kinds = [("confirmed", tried["id"]), ("refunded", tried["id"])]
    assert summary(list(await gateway.status(asked(SHILLINGS)))) == kinds


async def test_paid_without_a_rate_counts_without_its_worth(world: World) -> None:
    await world.open(world.gateway())
    await world.simulate("payments/REF1", action="pay")
    [paid] = await world.gateway(rates=FixedRates({}, world.clock)).status(asked(SHILLINGS))
    assert paid.fields == {"received": {"units": 10_000, "asset": "TZS/0"}}


async def test_a_token_is_asked_for_once_by_all_who_wait(world: World) -> None:
    gateway = world.gateway()
    world.tokens.is_open.clear()
    waiting = [asyncio.ensure_future(gateway.status(asked(SHILLINGS))) for _ in range(5)]
    await eventually(lambda: world.tokens.waiting > 0)
    world.tokens.is_open.set()
    await asyncio.gather(*waiting)
    assert world.tokens.waiting == 1


async def test_a_token_lasts_55_minutes_and_a_refused_one_is_renewed_once(world: World) -> None:
    gateway = world.gateway()
    for advance_s, made in ((0, 1), (54 * 60, 1), (60, 2)):
        world.clock.advance(advance_s)
        await gateway.status(asked(SHILLINGS))
        assert world.tokens.waiting == made
    await world.simulate("tokens/forget")
    await asyncio.gather(*(gateway.status(asked(SHILLINGS)) for _ in range(5)))
    assert world.tokens.waiting == 3


async def test_a_refused_key_is_away_and_never_told(world: World) -> None:
    with pytest.raises(GatewayAway) as away:
        await world.gateway(key="otherverysecret").status(asked(SHILLINGS))
    assert str(away.value) == "clickpesa did not answer: it refuses our key"


async def test_nothing_is_refunded_through_us(world: World) -> None:
    with pytest.raises(CannotRefund) as refused:
        await world.gateway().refund(RefundRequest("r-1", "LCP1", "REF1", "TZS/0", 100, "no"))
    assert (refused.value.code, refused.value.status) == ("cannot_refund", 409)


async def test_what_is_said_of_it(world: World) -> None:
    assert world.gateway().describe() == {
        "currencies": ["TZS", "USD"],
        "minimums": [{"amount": "500", "currency": "TZS"}, {"amount": "1.00", "currency": "USD"}],
        "exchange_rate_spread_percent": "1.00",
    }
