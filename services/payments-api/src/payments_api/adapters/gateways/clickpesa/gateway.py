"""ClickPesa: mobile money, cards and banks of Tanzania by a hosted checkout link, in shillings or dollars.

Says nothing of success by itself: what comes back is learnt by asking. Its links have no end, so one may be paid after
its quote is over. It takes no refunds through its interface.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any

import structlog

from chassis.errors import InvalidField
from contracts.amounts import format_units
from payments_api.adapters.gateways.clickpesa import observing
from payments_api.adapters.gateways.clickpesa.api import ClickPesaApi
from payments_api.adapters.gateways.clickpesa.wire import ASSETS, DOLLARS, SHILLINGS, ChecksumKey, checkout_body
from payments_api.application.gateways import (
    AskedPayment,
    CannotRefund,
    GatewayAway,
    Observation,
    Opened,
    PayRequest,
    Rate,
    RateSource,
    ReferenceTaken,
    RefundRequest,
    RefundStarted,
)
from payments_api.domain.quotes import Pricing, Quote

NAME = "clickpesa"
BP = 10_000
REMEMBERED_MAX = 1000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClickPesaTerms:
    """Least prices in whole shillings and in cents; ``spread_bp`` basis points are taken off the rate of shillings.
    Requests are signed where there is a ``checksum_key``."""

    minimum_tzs: int
    minimum_cents: int
    spread_bp: int
    checksum_key: ChecksumKey | None = None


@dataclass(frozen=True, slots=True)
class _Shown:
    body: Mapping[str, str]
    link: str


class ClickPesaGateway:
    """See application.gateways.Gateway. ``rates`` must know TZS. ``close`` it at the end."""

    name = NAME

    def __init__(
        self,
        api: ClickPesaApi,
        pricing: Pricing,
        rates: RateSource,
        terms: ClickPesaTerms,
        *,
        is_demo: bool = False,
    ) -> None:
        self.is_demo = is_demo
        self._api = api
        self._pricing = pricing
        self._rates = rates
        self._terms = terms
        self._shown: OrderedDict[str, _Shown] = OrderedDict()
        self._rates_used: OrderedDict[str, Rate] = OrderedDict()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._api.close()

    @property
    def assets(self) -> Mapping[str, str]:
        """See the port."""
        return ASSETS

    def describe(self) -> Mapping[str, Any]:
        """See the port."""
        least = {"TZS": (self._terms.minimum_tzs, SHILLINGS), "USD": (self._terms.minimum_cents, DOLLARS)}
        return {
            "currencies": list(ASSETS),
            "minimums": [{"amount": format_units(*of), "currency": code} for code, of in least.items()],
            "exchange_rate_spread_percent": format_units(self._terms.spread_bp, "PERCENT/2"),
        }

    async def quote(self, request: PayRequest, now: datetime) -> Quote:
        """See the port."""
        if request.asset not in ASSETS.values():
            raise InvalidField("currency", "unknown_currency", f"must be one of {', '.join(ASSETS)}")
        least = self._terms.minimum_tzs if request.asset == SHILLINGS else self._terms.minimum_cents
        if request.price < least and request.package_id is None:
            raise InvalidField("amount", "below_minimum", f"must be at least {format_units(least, request.asset)}")
        if request.asset == DOLLARS:
            return self._pricing.in_dollars(request.price, request.package_id, now)
        if request.package_id is not None:
            raise InvalidField("currency", "package_in_dollars", "Packages are sold in USD")
        rate = await self._rates.usd_per("TZS")
        worth = request.price * self._bought_at(rate) * 100
        quote = self._pricing.in_dollars(worth.numerator // worth.denominator, None, now)
        _remember(self._rates_used, request.payment_id, rate)
        return replace(quote, price_asset=SHILLINGS, price=request.price)

    async def initiate(self, request: PayRequest, quote: Quote) -> Opened:
        """See the port. ClickPesa gives a link only once for a reference, so links that were shown are remembered for
        repeats that come to this process; others are refused with ``reference_taken``."""
        body = checkout_body(request, quote, self._terms.checksum_key)
        try:
            link = await self._api.create_link(body)
        except ReferenceTaken:
            shown = self._shown.get(request.reference)
            if shown is None or shown.body != body:
                raise
            link = shown.link
        _remember(self._shown, request.reference, _Shown(body, link))
        return Opened(link, details=self._details(request))

    async def status(self, payment: AskedPayment) -> Sequence[Observation]:
        """See the port."""
        rows = await self._api.payment(payment.reference)
        rate = await self._known_rate() if observing.needs_a_rate(rows) else None
        return observing.observations(rows, payment, rate)

    async def refund(self, refund: RefundRequest) -> RefundStarted:
        """There is no such call."""
        raise CannotRefund(
            "cannot_refund", "ClickPesa takes no refunds through its interface; refund in its dashboard, then record it"
        )

    def _details(self, request: PayRequest) -> dict[str, Any]:
        rate = self._rates_used.get(request.payment_id) if request.asset == SHILLINGS else None
        if rate is None:
            return {}
        return {"exchange_rate": rate.usd, "exchange_rate_sources": list(rate.sources)}

    def _bought_at(self, rate: Rate) -> Fraction:
        return Fraction(rate.usd) * (BP - self._terms.spread_bp) / BP

    async def _known_rate(self) -> Fraction | None:
        """The payment counts without a rate, too; only what it is worth is then not told."""
        try:
            return self._bought_at(await self._rates.usd_per("TZS"))
        except GatewayAway as away:
            log.warning("shilling_rate_unknown", error=str(away))
            return None


def _remember(memory: OrderedDict[str, Any], key: str, value: Any) -> None:
    """The oldest is forgotten first."""
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > REMEMBERED_MAX:
        memory.popitem(last=False)
