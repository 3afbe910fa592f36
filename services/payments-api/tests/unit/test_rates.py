"""Rates: what each source's answer says, when several are trusted, and how they are set up. Nothing is looked up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from chassis.clock import ManualClock
from payments_api.adapters.rates.coingecko import CoinGeckoRates, headers_of
from payments_api.adapters.rates.fixed import FixedRates, RatesByCode
from payments_api.adapters.rates.kraken import KrakenRates
from payments_api.adapters.rates.median import MedianRates, Trust
from payments_api.adapters.rates.quoted import BODY_MAX_BYTES, JsonSource, Quoted
from payments_api.application.gateways import GatewayAway
from payments_api.settings.rates import by_code, rates_by_code

pytestmark = pytest.mark.asyncio
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KRAKEN = b'{"error":[],"result":{"XXBTZUSD":{"a":["60000.20","1","1"],"b":["60000.10000","1","1"],"c":["1","2"]}}}'
GECKO = b'{"bitcoin":{"usd":60000.123456789012345678,"last_updated_at":%d}}' % int(NOW.timestamp())
TRUST = Trust(min_sources=2, timeout_s=5, max_age_s=300, max_apart_bp=200, cache_s=30)

Answer = Callable[[httpx.Request], httpx.Response]


def source(name: str, answer: Answer | bytes, **headers: str) -> JsonSource:
    answers = (lambda _request: httpx.Response(200, content=answer)) if isinstance(answer, bytes) else answer
    url = f"https://{name}.example/api/"
    return JsonSource(name, url, timeout_s=1, headers=headers, transport=httpx.MockTransport(answers))


class Stated:
    """A source that answers what it is told to, and counts how often."""

    def __init__(self, name: str, usd: str | None, *, age_s: int = 0, gate: asyncio.Event | None = None) -> None:
        self.name = name
        self.usd = usd
        self.age_s = age_s
        self.asked = 0
        self._gate = gate

    def knows(self, code: str) -> bool:
        return code == "BTC"

    async def quoted(self, code: str) -> Quoted:
        self.asked += 1
        if self._gate is not None:
            await self._gate.wait()
        if self.usd is None:
            raise GatewayAway(self.name, "away")
        return Quoted(Decimal(self.usd), NOW - timedelta(seconds=self.age_s))


def median_of(*sources: Any, trust: Trust = TRUST, clock: ManualClock | None = None) -> MedianRates:
    return MedianRates(sources, trust, clock or ManualClock(NOW))


async def refused(rates: MedianRates, code: str = "BTC") -> str:
    with pytest.raises(GatewayAway) as away:
        await rates.usd_per(code)
    return str(away.value)


async def test_kraken_is_the_middle_between_bid_and_ask() -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, content=KRAKEN)

    rates = KrakenRates(source("kraken", answer), ManualClock(NOW))
    assert await rates.quoted("BTC") == Quoted(Decimal("60000.15"), NOW)
    assert str(asked[0]) == "https://kraken.example/api/0/public/Ticker?pair=XBTUSD"
    assert (rates.knows("ETH"), rates.knows("TZS")) == (True, False)


@pytest.mark.parametrize(
    "answer",
    [
        b'{"error":["EQuery:Unknown asset pair"]}',
        b'{"error":[],"result":{}}',
        b'{"error":[],"result":{"A":{"a":["1"],"b":["1"]},"B":{"a":["1"],"b":["1"]}}}',
        b'{"error":[],"result":{"A":{"a":["1"],"b":["2"]}}}',
        b'{"error":[],"result":{"A":{"a":["0"],"b":["0"]}}}',
        b'{"error":[],"result":{"A":{"a":[],"b":["1"]}}}',
        b'{"error":[],"result":{"A":{"a":["NaN"],"b":["1"]}}}',
        b'{"error":[],"result":{"A":{"a":["Infinity"],"b":["1"]}}}',
        b"[]",
        b"<html>",
    ],
)
async def test_kraken_without_a_price_is_away(answer: bytes) -> None:
    with pytest.raises(GatewayAway):
        await KrakenRates(source("kraken", answer), ManualClock(NOW)).quoted("BTC")


async def test_coingecko_is_exact_and_says_since_when() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=GECKO)

    rates = CoinGeckoRates(source("coingecko", answer, **headers_of("k", is_pro=False)))
    assert await rates.quoted("BTC") == Quoted(Decimal("60000.123456789012345678"), NOW)
    assert asked[0].url.path == "/api/simple/price"
    assert asked[0].url.params["ids"] == "bitcoin"
    assert asked[0].headers["x-cg-demo-api-key"] == "k"
    assert (headers_of("k", is_pro=True), headers_of(None, is_pro=True)) == ({"x-cg-pro-api-key": "k"}, {})


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b'{"bitcoin":{"usd":1}}',
        b'{"bitcoin":{"usd":-1,"last_updated_at":1}}',
        b'{"bitcoin":{"usd":null,"last_updated_at":1}}',
        b'{"bitcoin":{"usd":1E999999,"last_updated_at":1}}',
        b'{"bitcoin":{"usd":1,"last_updated_at":"x"}}',
        b'{"bitcoin":{"usd":1,"last_updated_at":99999999999999}}',
    ],
)
async def test_coingecko_without_a_price_and_its_time_is_away(answer: bytes) -> None:
    with pytest.raises(GatewayAway):
        await CoinGeckoRates(source("coingecko", answer)).quoted("BTC")


async def test_a_server_in_trouble_is_away_and_no_key_is_told() -> None:
    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("with verysecret inside", request=request)

    troubles: list[Answer | bytes] = [
        lambda _request: httpx.Response(429, content=b"{}"),
        unreachable,
        b'"' + b"x" * BODY_MAX_BYTES + b'"',
    ]
    for trouble in troubles:
        with pytest.raises(GatewayAway) as away:
            await source("coingecko", trouble, **{"x-cg-demo-api-key": "verysecret"}).get("/x", {})
        assert "verysecret" not in str(away.value)


async def test_the_median_of_those_that_answer() -> None:
    rates = median_of(Stated("b", "100"), Stated("c", "102", age_s=200), Stated("a", "101"), Stated("d", None))
    rate = await rates.usd_per("BTC")
    assert (rate.usd, rate.at, rate.sources) == ("101", NOW - timedelta(seconds=200), ("a", "b", "c"))
    two = await median_of(Stated("a", "100"), Stated("b", "101")).usd_per("BTC")
    assert two.usd == "100.5"


async def test_the_text_is_plain_however_small() -> None:
    rate = await median_of(Stated("a", "1E-9"), Stated("b", "1E-9")).usd_per("BTC")
    assert rate.usd == "0.000000001"


async def test_what_cannot_be_trusted_is_refused() -> None:
    assert "1 sources told of BTC, of 2 needed" in await refused(median_of(Stated("a", "100"), Stated("b", None)))
    assert "disagree" in await refused(median_of(Stated("a", "100"), Stated("b", "102.1")))
    assert (await median_of(Stated("a", "99"), Stated("b", "101")).usd_per("BTC")).usd == "100"
    for age_s in (301, -301):
        assert "1 sources told" in await refused(median_of(Stated("a", "100"), Stated("b", "100", age_s=age_s)))
    assert "0 sources know DOGE" in await refused(median_of(Stated("a", "100"), Stated("b", "100")), "DOGE")


async def test_a_slow_source_does_not_hold_up_the_others() -> None:
    never = asyncio.Event()
    slow = Stated("slow", "100", gate=never)
    rates = median_of(Stated("a", "100"), Stated("b", "100"), slow, trust=replace(TRUST, timeout_s=0.01))
    assert (await rates.usd_per("BTC")).sources == ("a", "b")


async def test_a_rate_is_kept_for_its_time_and_asked_for_once_by_all() -> None:
    gate, clock = asyncio.Event(), ManualClock(NOW)
    first, second = Stated("a", "100", gate=gate), Stated("b", "100")
    rates = median_of(first, second, clock=clock)
    waiting = [asyncio.ensure_future(rates.usd_per("BTC")) for _ in range(5)]
    gate.set()
    assert len({rate.usd for rate in await asyncio.gather(*waiting)}) == 1
    clock.advance(29)
    await rates.usd_per("BTC")
    assert (first.asked, second.asked) == (1, 1)
    first.usd = second.usd = "110"
    clock.advance(1)
    assert (await rates.usd_per("BTC")).usd == "110"
    first.usd = None
    clock.advance(31)
    assert "1 sources told" in await refused(rates)


async def test_what_is_fixed_stands_before_the_sources() -> None:
    clock = ManualClock(NOW)
    fixed = FixedRates(rates_by_code("BTC=60000, TZS=0.00038"), clock)
    rates = RatesByCode({"TZS": fixed}, median_of(Stated("a", "1"), Stated("b", "1")))
    assert (await rates.usd_per("TZS")).usd == "0.00038"
    assert (await fixed.usd_per("BTC")).sources == ("fixed",)
    assert (await rates.usd_per("BTC")).usd == "1"
    with pytest.raises(GatewayAway):
        await fixed.usd_per("ETH")


@pytest.mark.parametrize("text", ["BTC", "BTC=", "btc=1", "=1", "BTC=1,BTC=2", "B-C=1"])
async def test_a_list_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"written|twice"):
        by_code(text)


@pytest.mark.parametrize("value", ["x", "0", "-1", "NaN", "Infinity", "1E13"])
async def test_a_rate_that_is_none(value: str) -> None:
    with pytest.raises(ValueError, match="the rate of BTC"):
        rates_by_code(f"BTC={value}")


async def test_lists_are_read_exactly() -> None:
    assert rates_by_code("") == {}
    assert rates_by_code("TZS=0.000380000000000000001,") == {"TZS": Decimal("0.000380000000000000001")}
    assert json.dumps(by_code("EURC=euro-coin")) == '{"EURC": "euro-coin"}'
