"""Stripe: a Checkout Session for a payment page of theirs, or a PaymentIntent for a card form on ours.

Says nothing of success by itself: what a browser brings back from Stripe is never believed. Prices in dollars; in other
currencies where there is a source of rates.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any

from chassis.errors import InvalidField
from contracts.amounts import Asset, format_units
from payments_api.adapters.gateways.stripe import observing, wire
from payments_api.adapters.gateways.stripe.api import StripeApi
from payments_api.adapters.gateways.stripe.connection import KeyUsedOtherwise
from payments_api.application.gateways import (
    AskedPayment,
    CannotRefund,
    Observation,
    Opened,
    PayRequest,
    RateSource,
    RefundRequest,
    RefundStarted,
)
from payments_api.domain.quotes import Pricing, Quote

NAME = "stripe"
CHECKOUT, PAYMENT_INTENT = "checkout", "payment_intent"
MODES = (CHECKOUT, PAYMENT_INTENT)
DOLLARS = "USD"
FEES_AWAITED_S = 3 * 86_400.0
"""A card that is captured asynchronously has its balance transaction, and so its fee, only after a while."""
REFUNDABLE_PREFIXES = ("pi_", "ch_", "py_")

Create = Callable[[Mapping[str, Any], str], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class StripeShop:
    """What people see of us at Stripe. ``currencies`` beside dollars are sold only where there is a source of rates."""

    frontend_url: str
    publishable_key: str | None = None
    currencies: Sequence[str] = ()


class StripeGateway:
    """See application.gateways.Gateway. ``close`` it at the end."""

    name = NAME
    fees_awaited_s = FEES_AWAITED_S

    def __init__(
        self,
        api: StripeApi,
        shop: StripeShop,
        pricing: Pricing,
        *,
        rates: RateSource | None = None,
        is_demo: bool = False,
    ) -> None:
        self.is_demo = is_demo
        self._api = api
        self._shop = shop
        self._frontend_url = shop.frontend_url.rstrip("/")
        self._pricing = pricing
        self._rates = rates

    async def close(self) -> None:
        """Let go of the connections."""
        await self._api.close()

    @property
    def assets(self) -> Mapping[str, str]:
        """See the port. Dollars, and where there is a source of rates the shop's other currencies."""
        others = self._shop.currencies if self._rates is not None else ()
        return {code: wire.asset_of(code) for code in (DOLLARS, *others)}

    def describe(self) -> Mapping[str, Any]:
        """See the port. The limits are in dollars; in other currencies they are what that is worth."""
        dollars = self._pricing.terms.price_asset
        return {
            "currencies": list(self.assets),
            "minimum": {"amount": format_units(wire.MINIMUM_CENTS, dollars), "currency": DOLLARS},
            "maximum": {"amount": format_units(wire.AMOUNT_MAX_UNITS, dollars), "currency": DOLLARS},
            "publishable_key": self._shop.publishable_key,
            "modes": list(MODES),
        }

    async def quote(self, request: PayRequest, now: datetime) -> Quote:
        """See the port."""
        if request.options.get("mode", CHECKOUT) not in MODES:
            raise InvalidField("mode", "unknown_mode", f"must be one of {', '.join(MODES)}")
        currency = Asset.parse(request.asset).code
        if request.asset != self.assets.get(currency):
            raise InvalidField("currency", "unknown_currency", f"must be one of {', '.join(self.assets)}")
        if request.price > wire.AMOUNT_MAX_UNITS:
            most = format_units(wire.AMOUNT_MAX_UNITS, request.asset)
            raise InvalidField("amount", "above_maximum", f"must be at most {most} {currency}")
        if not wire.is_chargeable(currency, request.price):
            raise InvalidField("amount", "too_many_decimals", f"Stripe takes fewer decimals of {currency}")
        cents = await self._cents(request, currency)
        if request.price > 0 and cents < wire.MINIMUM_CENTS:
            least = format_units(wire.MINIMUM_CENTS, self._pricing.terms.price_asset)
            raise InvalidField("amount", "below_minimum", f"must be worth at least {least} {DOLLARS}")
        quote = self._pricing.in_dollars(cents, request.package_id, now)
        return replace(quote, price_asset=request.asset, price=request.price)

    async def initiate(self, request: PayRequest, quote: Quote) -> Opened:
        """See the port."""
        if request.options.get("mode", CHECKOUT) == PAYMENT_INTENT:
            return await self._open_intent(request, quote)
        return await self._open_session(request, quote)

    async def status(self, payment: AskedPayment) -> Sequence[Observation]:
        """See the port. A payment by Checkout is asked for by its session: the intent may not exist yet."""
        intent, news = await self._standing(payment)
        if intent is None or intent.get("status") != "succeeded":
            return news
        payment_id = intent["id"]
        refunds = observing.of_refunds(payment_id, await self._api.refunds_of(payment_id))
        if not observing.is_disputed(intent):
            return [*news, *refunds]
        disputes = observing.of_disputes(payment_id, await self._api.disputes_of(payment_id))
        return [*news, *refunds, *disputes]

    async def refund(self, refund: RefundRequest) -> RefundStarted:
        """See the port. Looks for it first: Stripe forgets idempotency keys after a day, its refunds never."""
        payment_id = refund.gateway_payment_id
        if not payment_id.startswith(REFUNDABLE_PREFIXES):
            raise CannotRefund("cannot_refund", "Nothing was paid through Stripe under this payment")
        earlier = await self._api.refunds_of(payment_id)
        made = next((each for each in earlier if _is_ours(each, refund)), None)
        if made is None:
            made = await self._api.create_refund(wire.refund_parameters(refund), f"refund:{refund.refund_id}")
        return RefundStarted(made["id"], observing.of_refunds(payment_id, [made]))

    async def _cents(self, request: PayRequest, currency: str) -> int:
        if self._rates is None or currency == DOLLARS:
            return request.price
        if request.package_id is not None:
            raise InvalidField("currency", "package_in_dollars", "Packages are sold in USD")
        rate = await self._rates.usd_per(currency)
        exponent = Asset.parse(self._pricing.terms.price_asset).exponent - wire.exponent_of(currency)
        worth = request.price * Fraction(rate.usd) * Fraction(10) ** exponent
        return worth.numerator // worth.denominator

    async def _open_session(self, request: PayRequest, quote: Quote) -> Opened:
        expires_at = wire.session_expiry(quote, self._pricing.terms.lifetime_s)
        parameters = wire.session_parameters(request, quote, self._frontend_url, expires_at)
        session = await _once(self._api.create_session, parameters, f"initiate:{request.payment_id}")
        return Opened(session["url"], _id_of(session.get("payment_intent")), {"session_id": session["id"]})

    async def _open_intent(self, request: PayRequest, quote: Quote) -> Opened:
        parameters = wire.intent_parameters(request, quote)
        intent = await _once(self._api.create_intent, parameters, f"initiate:{request.payment_id}")
        details = {"payment_intent_id": intent["id"]}
        return Opened(None, intent["id"], details, client_secret=intent["client_secret"])

    async def _standing(self, payment: AskedPayment) -> tuple[Mapping[str, Any] | None, Sequence[Observation]]:
        """The payment's intent as Stripe has it, and what it or its session says."""
        session_id = payment.details.get("session_id")
        if session_id:
            session = await self._api.session(session_id)
            if session is None:
                return None, ()
            intent = session.get("payment_intent")
            return intent if isinstance(intent, dict) else None, observing.of_session(session, payment)
        payment_id = payment.gateway_payment_id or await self._payment_of_invoice(payment)
        if payment_id is None:
            return None, ()
        found = await self._api.intent(payment_id)
        return found, () if found is None else observing.of_intent(found, payment)

    async def _payment_of_invoice(self, payment: AskedPayment) -> str | None:
        """A subscription's invoice does not say by which payment it was paid; what was not paid yet tells nothing."""
        invoice_id = payment.details.get("invoice_id")
        paid = await self._api.payments_of_invoice(invoice_id) if isinstance(invoice_id, str) else ()
        intents = (_id_of((each.get("payment") or {}).get("payment_intent")) for each in paid)
        return next((intent for intent in intents if intent is not None), None)


async def _once(create: Create, parameters: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object made under ``key``. A repeat whose quote is newer has other parameters, which Stripe refuses under the
    same key: it is made anew under a key that says what it is about. The earlier one was shown to nobody."""
    try:
        return await create(parameters, key)
    except KeyUsedOtherwise:
        digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
        return await create(parameters, f"{key}:{digest}")


def _is_ours(made: Mapping[str, Any], refund: RefundRequest) -> bool:
    return bool((made.get("metadata") or {}).get("refund_id") == refund.refund_id)


def _id_of(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) else None
