"""The registry: which ways to pay there are, one line each. A gateway that is not configured is not offered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from chassis.clock import SystemClock
from contracts.amounts import parse_units
from payments_api.adapters.catalogue import Catalogue
from payments_api.adapters.gateways.bank import BankAccount, BankGateway
from payments_api.adapters.gateways.demo import DemoGateway
from payments_api.adapters.gateways.stripe.api import StripeApi
from payments_api.adapters.gateways.stripe.connection import StripeAccess, StripeConnection
from payments_api.adapters.gateways.stripe.gateway import StripeGateway, StripeShop
from payments_api.application.gateways import Gateway, RateSource
from payments_api.bootstrap.clickpesa import clickpesa_api, clickpesa_gateway
from payments_api.bootstrap.crypto import crypto_gateway
from payments_api.bootstrap.demo_gateways import demo_bank, demo_crypto
from payments_api.bootstrap.rates import rate_source
from payments_api.domain.quotes import Pricing
from payments_api.settings import PaymentsApiSettings

SIMULATED_STRIPE_KEY = "sk_test_simulated"


def gateways(settings: PaymentsApiSettings, catalogue: Catalogue, pool: asyncpg.Pool[Any]) -> Mapping[str, Gateway]:
    """Name → gateway, of those that can be used here."""
    offered: list[Gateway] = []
    secret = settings.demo_webhook_secret
    if settings.demo_payment and secret is not None:
        offered.append(
            DemoGateway(str(settings.demo_gateway_url), secret.get_secret_value().encode(), catalogue.pricing)
        )
    clickpesa = clickpesa_api(settings, SystemClock(), settings.gateway_timeout_s)
    rates = rate_source(settings, SystemClock(), clickpesa)
    stripe = stripe_gateway(settings, catalogue.pricing, rates)
    offered += [] if stripe is None else [stripe]
    offered += [] if clickpesa is None else [clickpesa_gateway(settings, clickpesa, catalogue.pricing, rates)]
    crypto = crypto_gateway(settings, pool, catalogue.pricing, rates) or demo_crypto(settings, pool, catalogue.pricing)
    offered += [] if crypto is None else [crypto]
    bank = bank_gateway(settings, catalogue.pricing) or demo_bank(settings, catalogue.pricing)
    offered += [] if bank is None else [bank]
    return {gateway.name: gateway for gateway in offered}


def stripe_gateway(settings: PaymentsApiSettings, pricing: Pricing, rates: RateSource) -> StripeGateway | None:
    """By its key; in demo mode also without one, by a simulator behind STRIPE_API_BASE."""
    access = stripe_access(settings)
    if access is None:
        return None
    others = settings.stripe_other_currencies
    shop = StripeShop(str(settings.frontend_url), settings.stripe_publishable_key, others)
    is_demo = settings.stripe_secret_key is None
    return StripeGateway(StripeApi(StripeConnection(access)), shop, pricing, rates=rates, is_demo=is_demo)


def stripe_access(settings: PaymentsApiSettings) -> StripeAccess | None:
    """How Stripe is reached; None where it is not offered."""
    key = settings.stripe_secret_key
    base = None if settings.stripe_api_base is None else str(settings.stripe_api_base)
    if key is None and (base is None or not settings.demo_payment):
        return None
    secret = SIMULATED_STRIPE_KEY if key is None else key.get_secret_value()
    return StripeAccess(secret, settings.gateway_timeout_s, settings.stripe_api_version, base)


def bank_gateway(settings: PaymentsApiSettings, pricing: Pricing) -> BankGateway | None:
    """By our account's details, which are all there or none (``BankSettings``)."""
    name, owner = settings.bank_name, settings.bank_account_name
    number, swift_code = settings.bank_account_number, settings.bank_swift_code
    if name is None or owner is None or number is None or swift_code is None:
        return None
    return BankGateway(
        BankAccount(name, owner, number, swift_code),
        pricing,
        str(settings.frontend_url),
        minimum=parse_units(settings.bank_minimum_usd, pricing.terms.price_asset),
        quote_lifetime_s=settings.bank_quote_lifetime_s,
    )
