"""Bank transfer: our account's details and the reference to write; a person waits on a page of ours.

The bank tells us nothing by itself: what arrived is said by an operator or by an imported statement (``application.
bank_receipts``). Nothing here is secret, and nothing is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from chassis.errors import InvalidField
from contracts.amounts import Asset, format_units
from payments_api.adapters.gateways.demo_page import DemoPage
from payments_api.application.bank_receipts import NAME
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


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where people transfer to, as they are shown it."""

    bank_name: str
    account_name: str
    account_number: str
    swift_code: str


class BankGateway:
    """See application.gateways.Gateway. ``minimum`` counts the smallest unit of the pricing's price asset; a quote is
    honoured for ``quote_lifetime_s`` seconds, since transfers take days. ``demo``: the page that plays the bank."""

    name = NAME

    def __init__(
        self,
        account: BankAccount,
        pricing: Pricing,
        frontend_url: str,
        *,
        minimum: int,
        quote_lifetime_s: int,
        demo: DemoPage | None = None,
    ) -> None:
        self._account = account
        self._pricing = pricing
        self._frontend_url = frontend_url.rstrip("/")
        self._minimum = minimum
        self._quote_lifetime = timedelta(seconds=quote_lifetime_s)
        self._demo = demo
        self.is_demo = demo is not None

    @property
    def assets(self) -> Mapping[str, str]:
        """See the port."""
        asset = self._pricing.terms.price_asset
        return {Asset.parse(asset).code: asset}

    def describe(self) -> Mapping[str, Any]:
        """See the port."""
        asset = self._pricing.terms.price_asset
        code = Asset.parse(asset).code
        return {
            "currencies": [code],
            "minimum": {"amount": format_units(self._minimum, asset), "currency": code},
        }

    async def quote(self, request: PayRequest, now: datetime) -> Quote:
        """See the port."""
        asset = self._pricing.terms.price_asset
        if request.asset != asset:
            raise InvalidField("currency", "unknown_currency", f"must be {Asset.parse(asset).code}")
        if request.price < self._minimum:
            least = f"{format_units(self._minimum, asset)} {Asset.parse(asset).code}"
            raise InvalidField("amount", "below_minimum", f"a bank transfer must be at least {least}")
        quote = self._pricing.in_dollars(request.price, request.package_id, now)
        return replace(quote, expires_at=now + self._quote_lifetime)

    async def initiate(self, request: PayRequest, quote: Quote) -> Opened:
        """See the port. The bank's own ids come with the money, so there is none yet."""
        due = f"{format_units(quote.price, quote.price_asset)} {Asset.parse(quote.price_asset).code}"
        details = {
            "bank_name": self._account.bank_name,
            "account_name": self._account.account_name,
            "account_number": self._account.account_number,
            "swift_code": self._account.swift_code,
            "message": f"Transfer {due} and write {request.reference} as its purpose. Your credits come once the money "
            "has arrived and was confirmed.",
        }
        return Opened(self._page(request, quote), details=details)

    async def status(self, payment: AskedPayment) -> Sequence[Observation]:
        """Nothing: a bank is not asked. What an operator confirmed is told by itself."""
        return ()

    async def refund(self, refund: RefundRequest) -> RefundStarted:
        """A transfer back is made at the bank."""
        raise CannotRefund("cannot_refund", "A bank transfer is sent back at the bank, not through us")

    def _page(self, request: PayRequest, quote: Quote) -> str:
        if self._demo is None:
            return f"{self._frontend_url}/payments/{request.payment_id}/bank"
        return self._demo.address(
            {
                "payment_id": request.payment_id,
                "reference": request.reference,
                "amount": quote.price,
                "asset": quote.price_asset,
            }
        )
