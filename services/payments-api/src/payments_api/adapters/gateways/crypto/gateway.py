"""The gateway of coins: a price in dollars becomes an amount of coins at an address that is this payment's alone.

Watch-only. It asks no chain and moves no coin: gateway-ingest's watchers tell what arrived, and who sends coins back
does so from their own wallet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from chassis.errors import InvalidField
from contracts.amounts import Asset, format_units
from payments_api.adapters.gateways.crypto import details
from payments_api.adapters.gateways.crypto.address_book import AddressBook
from payments_api.adapters.gateways.crypto.addresses import Address, BadAddress, validate_address
from payments_api.adapters.gateways.crypto.keys import AccountKey, BitcoinChain
from payments_api.adapters.gateways.demo_page import DemoPage
from payments_api.application.gateways import (
    AskedPayment,
    CannotRefund,
    DepositAddress,
    GatewayAway,
    Observation,
    Opened,
    PayRequest,
    RateSource,
    RefundRequest,
    RefundStarted,
)
from payments_api.domain.crypto_networks import NETWORKS, Family, Network, network_called
from payments_api.domain.crypto_pricing import (
    UNITS_MAX,
    CoinQuote,
    cents_for,
    coins_for,
    least_cents,
    processing_fee_cents,
    rate_for_payer,
)
from payments_api.domain.crypto_terms import CoinTerms, Offer
from payments_api.domain.quotes import Pricing, Quote

NAME = "crypto"


class BelowMinimum(InvalidField):
    """The price is less than can be paid in this coin; ``minimum`` of the problem is the least, in US dollars."""

    def __init__(self, terms: CoinTerms, minimum_cents: int) -> None:
        least = format_units(minimum_cents, details.DOLLARS)
        coin = terms.coin
        super().__init__(
            "amount", "below_minimum", f"must be at least {least} USD in {coin.code} on {coin.network.name}"
        )
        self.extra = {"minimum": Decimal(least), "minimum_currency": "USD"}


@dataclass(frozen=True)
class Wallet:
    """The account keys by family of networks, and which of Bitcoin's networks is meant."""

    keys: Mapping[Family, AccountKey]
    bitcoin_chain: BitcoinChain = "main"


class CryptoGateway:
    """See application.gateways.Gateway. ``offer`` holds only coins of families that ``wallet`` has a key for.
    ``demo``: the page that plays the payer's wallet and the chain."""

    name = NAME

    def __init__(
        self,
        offer: Offer,
        wallet: Wallet,
        book: AddressBook,
        rates: RateSource,
        pricing: Pricing,
        demo: DemoPage | None = None,
    ) -> None:
        keyless = {network.family for network in offer.networks} - set(wallet.keys)
        if keyless:
            raise ValueError(f"no account key for {', '.join(sorted(keyless))}")
        self._offer = offer
        self._wallet = wallet
        self._book = book
        self._rates = rates
        self._pricing = pricing
        self._demo = demo
        self.is_demo = demo is not None

    @property
    def assets(self) -> Mapping[str, str]:
        """See the port."""
        asset = self._pricing.terms.price_asset
        return {Asset.parse(asset).code: asset}

    def describe(self) -> Mapping[str, Any]:
        """See the port."""
        return details.offered(self._offer)

    async def quote(self, request: PayRequest, now: datetime) -> CoinQuote:
        """See the port. The price is rounded up to the coin's smallest unit."""
        if request.asset != self._pricing.terms.price_asset:
            raise InvalidField("currency", "unknown_currency", "must be USD: coins are priced in dollars")
        terms = self._chosen(request.options)
        dollars = self._pricing.in_dollars(request.price, request.package_id, now)
        if dollars.price > self._offer.maximum_cents:
            most = format_units(self._offer.maximum_cents, request.asset)
            raise InvalidField("amount", "above_maximum", f"must be at most {most} USD")
        rate = await self._rate(terms)
        if dollars.price < (minimum := least_cents(terms, rate)):
            raise BelowMinimum(terms, minimum)
        fee_cents = processing_fee_cents(dollars.price, self._offer.processing_fee)
        units = coins_for(dollars.price + fee_cents, rate, terms.coin.exponent)
        if units >= UNITS_MAX:
            raise InvalidField("amount", "too_large", f"is more {terms.coin.code} than there can be")
        return CoinQuote(
            price_asset=terms.coin.asset,
            price=units,
            credit_asset=dollars.credit_asset,
            credits=dollars.credits,
            bonus=dollars.bonus,
            expires_at=now + timedelta(seconds=terms.lifetime_s),
            exchange_rate=rate,
            processing_fee_cents=fee_cents,
        )

    async def initiate(self, request: PayRequest, quote: Quote) -> Opened:
        """See the port. Raises ValueError for a quote that is not this gateway's for the same coin."""
        terms = self._chosen(request.options)
        coin = terms.coin
        if not isinstance(quote, CoinQuote) or quote.price_asset != coin.asset:
            raise ValueError("the quote is for something else")
        given = await self._book.give(request.payment_id, self._wallet.keys[coin.network.family])
        # Whoever is shown a wrong address loses what they pay: what was derived is checked as if a person had typed it.
        address = validate_address(coin.network, given.address, self._wallet.bitcoin_chain).text
        deposit = DepositAddress(coin.network.key, address, coin.contract, terms.confirmations)
        return Opened(
            payment_url=self._page(request.reference, quote, deposit),
            details=details.opened(terms, quote, address, request.reference),
            deposit=deposit,
        )

    async def status(self, payment: AskedPayment) -> Sequence[Observation]:
        """Nothing: what is on a chain, its watcher tells by itself."""
        return ()

    async def refund(self, refund: RefundRequest) -> RefundStarted:
        """There is no key here to sign with."""
        raise CannotRefund(
            "cannot_refund", "Coins are sent back from your own wallet: this server holds no private key"
        )

    async def worth_cents(self, gateway_payment_id: str, asset: str, units: int) -> int | None:
        """See application.late_coins.CoinsValued. By the same rate and fee as a quote of this moment."""
        network = NETWORKS.get(gateway_payment_id.partition(".")[0])
        terms = None if network is None else self._offer.find(asset.partition("/")[0], network)
        if terms is None or terms.coin.asset != asset:
            return None
        return cents_for(units, await self._rate(terms), terms.coin.exponent, self._offer.processing_fee)

    async def measure_gap(self) -> None:
        """Show how many addresses in a row nobody has used."""
        await self._book.measure(self._wallet.keys.values())

    def validate_address(self, network: str, text: str) -> Address:
        """The address that ``text`` is on the network of that name. Raises InvalidField."""
        try:
            return validate_address(self._network(network), text, self._wallet.bitcoin_chain)
        except BadAddress as bad:
            raise InvalidField("address", "bad_address", f"The address {bad}") from bad

    def _page(self, reference: str, quote: Quote, deposit: DepositAddress) -> str | None:
        if self._demo is None:
            return None
        return self._demo.address(
            {
                "reference": reference,
                "amount": quote.price,
                "asset": quote.price_asset,
                "network": deposit.network,
                "address": deposit.address,
                "confirmations": deposit.confirmations,
            }
        )

    def _chosen(self, options: Mapping[str, Any]) -> CoinTerms:
        currency, called = options.get("currency"), options.get("network")
        if not isinstance(currency, str) or not isinstance(called, str):
            raise InvalidField("crypto", "missing", "say which coin on which network: {currency, network}")
        network = self._network(called)
        terms = self._offer.find(currency, network)
        if terms is None:
            codes = ", ".join(terms.coin.code for terms in self._offer.on(network))
            raise InvalidField("crypto.currency", "unknown_coin", f"must be one of {codes} on {network.name}")
        return terms

    def _network(self, called: str) -> Network:
        network = network_called(called)
        if network is None or not self._offer.on(network):
            names = ", ".join(offered.name for offered in self._offer.networks)
            raise InvalidField("crypto.network", "unknown_network", f"must be one of {names}")
        return network

    async def _rate(self, terms: CoinTerms) -> Decimal:
        rate = await self._rates.usd_per(terms.coin.code)
        try:
            return rate_for_payer(rate.usd, terms.spread)
        except (ValueError, InvalidOperation) as error:
            raise GatewayAway(NAME, f"no usable rate of {terms.coin.code}") from error
