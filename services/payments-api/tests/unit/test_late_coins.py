"""Coins that came too late: which of them get a worth, which one, and how often it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from chassis.clock import ManualClock
from chassis.errors import OperationalError
from payments_api.adapters.gateways.crypto.gateway import CryptoGateway, Wallet
from payments_api.adapters.gateways.crypto.keys import evm_key
from payments_api.application.gateways import GatewayAway, Observation, Rate
from payments_api.application.late_coins import CAME_AGO_MAX, PAGE_MAX_PAYMENTS, LateCoins
from payments_api.application.ports import UnallocatedMoney, UnallocatedPage
from payments_api.domain.crypto_networks import NETWORKS, known_tokens, own_coin
from payments_api.domain.crypto_terms import Offer, TermTables, terms_of
from payments_api.domain.quotes import Pricing, Terms

pytestmark = pytest.mark.asyncio
NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
PAID = NOW - timedelta(minutes=20)
XPUB = "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt"
COINS = [own_coin(NETWORKS["ethereum"]), *known_tokens(NETWORKS["polygon"])]
OFFER = Offer(tuple(terms_of(coin, TermTables(spreads={"ETH": Decimal("0.01")})) for coin in COINS))
ETHER = UnallocatedMoney("crypto", "ethereum.0xab.0", "REF1", "ETH/18", 10**16, 0, PAID.isoformat())


class Market:
    """Rates that a test sets."""

    def __init__(self) -> None:
        self.usd = {"ETH": "3000", "USDC": "1"}

    async def usd_per(self, code: str) -> Rate:
        if code not in self.usd:
            raise GatewayAway("rates", f"nobody says what {code} costs")
        return Rate(self.usd[code], NOW, ("test",))


class Books:
    """What is unallocated, by pages; nothing of it leaves by itself."""

    def __init__(self) -> None:
        self.money: list[UnallocatedMoney] = []
        self.asked: list[str | None] = []

    async def unallocated(self, *, limit: int, cursor: str | None) -> UnallocatedPage:
        self.asked.append(cursor)
        start = int(cursor or 0)
        page = self.money[start : start + limit]
        return UnallocatedPage(page, str(start + limit) if len(page) == limit else None)


class Told:
    """What gateway-ingest was told."""

    def __init__(self) -> None:
        self.observations: list[Observation] = []
        self.is_away = False

    async def tell(self, observations: Sequence[Observation]) -> None:
        if self.is_away:
            raise OperationalError("away")
        self.observations += observations


class Desk:
    def __init__(self, offer: Offer = OFFER) -> None:
        self.books, self.told, self.market, self.clock = Books(), Told(), Market(), ManualClock(NOW)
        pricing = Pricing(Terms("USD/2", "TFC/2", Fraction(1), 3600), {})
        # What coins are worth is asked of no database.
        no_book: Any = None
        gateway = CryptoGateway(offer, Wallet({"evm": evm_key(XPUB)}), no_book, self.market, pricing)
        self.late = LateCoins(self.books, gateway, self.told, self.clock)

    @property
    def worths(self) -> list[tuple[str, int]]:
        return [(one.payment_id, one.fields["worth"]["units"]) for one in self.told.observations]


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_late_coins_are_told_again_with_their_worth(desk: Desk) -> None:
    desk.books.money = [ETHER]
    assert await desk.late.look_once() == 1
    # A hundredth of an ether at 3,000 dollars, one per cent below.
    assert desk.told.observations == [
        Observation(
            gateway="crypto",
            name="ethereum.0xab.0.worth.2026050112",
            kind="confirmed",
            payment_id="ethereum.0xab.0",
            at=PAID,
            reference="REF1",
            fields={"received": {"units": 10**16, "asset": "ETH/18"}, "worth": {"units": 2970, "asset": "USD/2"}},
        )
    ]


async def test_what_is_told_is_told_once_an_hour(desk: Desk) -> None:
    desk.books.money = [ETHER]
    assert [await desk.late.look_once() for _ in range(3)] == [1, 0, 0]
    desk.clock.advance(3600)
    assert await desk.late.look_once() == 1
    names = [one.name for one in desk.told.observations]
    assert names == ["ethereum.0xab.0.worth.2026050112", "ethereum.0xab.0.worth.2026050113"]


async def test_the_fee_upon_prices_is_none_of_the_worth() -> None:
    dear = Desk(replace(OFFER, processing_fee=Decimal("0.005")))
    dear.books.money = [replace(ETHER, gateway_payment_id="polygon.0xab.1", asset="USDC/6", received=25_135_050)]
    await dear.late.look_once()
    assert dear.worths == [("polygon.0xab.1", 2501)]


NOT_VALUED = {
    "another gateway's": {"gateway": "bank"},
    "not for a payment of ours": {"payment_reference": None},
    "sent back": {"refunded": 10**16},
    "too long ago": {"paid_at": (NOW - CAME_AGO_MAX - timedelta(seconds=1)).isoformat()},
    "less than a cent": {"received": 10**12},
    "a coin that is not taken": {"asset": "DOGE/8"},
    "another coin of that name": {"asset": "ETH/8"},
    "a network that is not offered": {"gateway_payment_id": "arbitrum.0xab.0"},
    "no network": {"gateway_payment_id": "0xab"},
    "without a rate": {"gateway_payment_id": "polygon.0xab.0", "asset": "DAI/18"},
}


@pytest.mark.parametrize("case", NOT_VALUED)
async def test_what_cannot_be_valued_waits_for_a_person_and_keeps_nobody_waiting(desk: Desk, case: str) -> None:
    other = replace(ETHER, gateway_payment_id="ethereum.0xcd.0")
    changed: Any = NOT_VALUED[case]
    desk.books.money = [replace(ETHER, **changed), other]
    assert await desk.late.look_once() == 1
    assert desk.worths == [("ethereum.0xcd.0", 2970)]


async def test_a_rate_that_comes_back_values_what_waited(desk: Desk) -> None:
    del desk.market.usd["ETH"]
    desk.books.money = [ETHER]
    assert await desk.late.look_once() == 0
    desk.market.usd["ETH"] = "3000"
    assert await desk.late.look_once() == 1


async def test_what_could_not_be_told_is_told_later(desk: Desk) -> None:
    desk.books.money, desk.told.is_away = [ETHER], True
    with pytest.raises(OperationalError):
        await desk.late.look_once()
    desk.told.is_away = False
    assert await desk.late.look_once() == 1


async def test_all_pages_are_looked_through(desk: Desk) -> None:
    nobodys = replace(ETHER, payment_reference=None)
    desk.books.money = [*[nobodys] * (PAGE_MAX_PAYMENTS + 3), ETHER]
    assert await desk.late.look_once() == 1
    assert desk.books.asked == [None, str(PAGE_MAX_PAYMENTS)]
    assert await desk.late.look_once() == 0
    assert desk.books.asked[2] is None, "it begins anew"
