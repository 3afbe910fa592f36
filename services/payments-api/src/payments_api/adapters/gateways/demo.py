"""The demo gateway: a page of ours where a person says what became of the payment. No money anywhere.

The demo gateway tells gateway-ingest by a webhook, signed with the secret that also signs the page's address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chassis.errors import InvalidField
from contracts.amounts import Asset
from payments_api.adapters.gateways.demo_page import DemoPage
from payments_api.application.gateways import (
    AskedPayment,
    CannotRefund,
    Observation,
    Opened,
    PayRequest,
    RefundRequest,
    RefundStarted,
)
from payments_api.domain.quotes import Pricing, Quote

NAME = "demo"


class DemoGateway:
    """See application.gateways.Gateway."""

    name = NAME
    is_demo = True

    def __init__(self, gateway_url: str, secret: bytes, pricing: Pricing) -> None:
        self._page = DemoPage(gateway_url, secret)
        self._pricing = pricing

    @property
    def assets(self) -> Mapping[str, str]:
        """See the port."""
        asset = self._pricing.terms.price_asset
        return {Asset.parse(asset).code: asset}

    def describe(self) -> Mapping[str, Any]:
        """See the port."""
        return {"currencies": [Asset.parse(self._pricing.terms.price_asset).code]}

    async def quote(self, request: PayRequest, now: datetime) -> Quote:
        """See the port."""
        if request.asset != self._pricing.terms.price_asset:
            raise InvalidField("currency", "unknown_currency", "must be USD")
        return self._pricing.in_dollars(request.price, request.package_id, now)

    async def initiate(self, request: PayRequest, quote: Quote) -> Opened:
        """See the port. The payment's id here is its id there."""
        return Opened(self.payment_url(request, quote), gateway_payment_id=request.payment_id)

    async def status(self, payment: AskedPayment) -> Sequence[Observation]:
        """Nothing: it keeps nothing."""
        return ()

    async def refund(self, refund: RefundRequest) -> RefundStarted:
        """Nothing was paid."""
        raise CannotRefund("cannot_refund", "Payments of the demo gateway cannot be refunded")

    def payment_url(self, request: PayRequest, quote: Quote) -> str:
        """``<gateway>/pay?…&signature=``; the amount counts the currency's smallest unit."""
        return self._page.address(
            {
                "payment_id": request.payment_id,
                "reference": request.reference,
                "user_id": request.user_id,
                "amount": quote.price,
                "currency": Asset.parse(quote.price_asset).code.lower(),
            }
        )
