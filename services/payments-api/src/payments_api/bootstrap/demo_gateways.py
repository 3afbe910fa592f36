"""Bank and coins in demo mode, where nothing of them is set up: a play account, play coins, and pages to pay on.

Whoever tells of what arrived goes the real way: the bank's back office, and observations to gateway-ingest. Nothing
here is offered unless DEMO_PAYMENT is on and the page's address is told.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import asyncpg
from eth_utils.address import to_checksum_address
from pydantic import HttpUrl

from chassis.clock import SystemClock
from contracts.amounts import parse_units
from payments_api.adapters.gateways.bank import BankAccount, BankGateway
from payments_api.adapters.gateways.crypto.address_book import AddressBook
from payments_api.adapters.gateways.crypto.demo_account import demo_keys
from payments_api.adapters.gateways.crypto.gateway import CryptoGateway, Wallet
from payments_api.adapters.gateways.demo_page import DemoPage
from payments_api.adapters.rates.fixed import FixedRates
from payments_api.domain.crypto_networks import NETWORKS, Coin, own_coin
from payments_api.domain.crypto_terms import Offer, TermTables, terms_of
from payments_api.domain.quotes import Pricing
from payments_api.settings import PaymentsApiSettings
from payments_api.settings.rates import rates_by_code

DEMO_ACCOUNT = BankAccount("Demo Bank (takes no money)", "Gridledger Demo", "DEMO 0000 0000 0000", "DEMOZZ00")
DEMO_RATES = {"BTC": Decimal(60_000), "ETH": Decimal(2_500), "USDC": Decimal(1)}
"""US dollars a coin, where FIXED_RATES does not say."""

_ETHEREUM = replace(NETWORKS["ethereum"], chain_id=11_155_111)
_POLYGON = replace(NETWORKS["polygon"], chain_id=80_002)
# Chain ids of test networks, and a contract that is none: a wallet that opens the QR code cannot send what has a price.
_CONTRACT = str(to_checksum_address("0x" + 20 * "de"))
DEMO_COINS = (own_coin(NETWORKS["bitcoin"]), own_coin(_ETHEREUM), Coin(_POLYGON, "USDC", 6, _CONTRACT))
DEMO_CONFIRMATIONS = {"bitcoin": 2, "ethereum": 3, "polygon": 4}


def demo_bank(settings: PaymentsApiSettings, pricing: Pricing) -> BankGateway | None:
    """A bank that is none; None outside of the demo."""
    page = _page(settings, settings.bank_demo_url)
    if page is None:
        return None
    return BankGateway(
        DEMO_ACCOUNT,
        pricing,
        str(settings.frontend_url),
        minimum=parse_units(settings.bank_minimum_usd, pricing.terms.price_asset),
        quote_lifetime_s=settings.bank_quote_lifetime_s,
        demo=page,
    )


def demo_crypto(settings: PaymentsApiSettings, pool: asyncpg.Pool[Any], pricing: Pricing) -> CryptoGateway | None:
    """Coins that are none; None outside of the demo."""
    page = _page(settings, settings.crypto_demo_url)
    if page is None:
        return None
    tables = TermTables(confirmations=DEMO_CONFIRMATIONS)
    offer = Offer(tuple(terms_of(coin, tables) for coin in DEMO_COINS))
    wallet = Wallet(demo_keys(page.secret), "test")
    rates = FixedRates(DEMO_RATES | rates_by_code(settings.fixed_rates), SystemClock())
    return CryptoGateway(offer, wallet, AddressBook(pool, gap_limit=settings.crypto_gap_limit), rates, pricing, page)


def _page(settings: PaymentsApiSettings, url: HttpUrl | None) -> DemoPage | None:
    secret = settings.demo_webhook_secret
    if not settings.demo_payment or url is None or secret is None:
        return None
    return DemoPage(str(url), secret.get_secret_value().encode())
