"""What is said of a payment in coins: the fields of the answer, and the list of what can be paid with.

Plain mapping. What becomes an event's content is text and whole numbers: exact numbers are made of it when it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import segno

from contracts.amounts import format_units, to_decimal
from payments_api.domain.crypto_networks import Network
from payments_api.domain.crypto_pricing import CoinQuote
from payments_api.domain.crypto_showing import confirmation_status
from payments_api.domain.crypto_terms import CoinTerms, Offer
from payments_api.domain.crypto_uri import payment_uri
from payments_api.domain.payment import INITIATED

DOLLARS = "USD/2"
_QUIET_ZONE_MODULES = 4


def opened(terms: CoinTerms, quote: CoinQuote, address: str, reference: str) -> dict[str, Any]:
    """The answer's fields for a payment that waits at ``address``; fees in US dollars."""
    coin = terms.coin
    uri = payment_uri(coin, address, quote.price, reference)
    return {
        "currency": coin.code,
        "network": coin.network.name,
        "chain_id": coin.network.chain_id,
        "token_contract": coin.contract,
        "wallet_address": address,
        "amount_crypto": format_units(quote.price, coin.asset),
        "exchange_rate": format(quote.exchange_rate, "f"),
        "expires_at": quote.expires_at.isoformat(),
        "payment_uri": uri,
        "qr_svg": qr_svg(uri),
        "network_fee": format_units(terms.network_fee_cents, DOLLARS),
        "processing_fee": format(_dollars(quote.processing_fee_cents), "f"),
        "confirmations": 0,
        "confirmations_required": terms.confirmations,
        "confirmation_status": confirmation_status(INITIATED),
    }


def offered(offer: Offer) -> dict[str, Any]:
    """What can be paid with: networks, their coins, and on which terms. Money in US dollars, rates as fractions."""
    return {
        "currencies": ["USD"],
        "maximum": to_decimal(offer.maximum_cents, DOLLARS),
        "processing_fee": offer.processing_fee,
        "networks": [_network(offer, network) for network in offer.networks],
    }


def qr_svg(text: str) -> str:
    """A QR code as an ``<svg>`` element: paths alone, no script, on white, so that it can be scanned on any page."""
    code = segno.make(text, error="m", micro=False)
    return code.svg_inline(border=_QUIET_ZONE_MODULES, light="#fff", omitsize=True, svgclass=None, lineclass=None)


def _network(offer: Offer, network: Network) -> Mapping[str, Any]:
    return {
        "network": network.name,
        "key": network.key,
        "chain_id": network.chain_id,
        "coins": [_coin(terms) for terms in offer.on(network)],
    }


def _coin(terms: CoinTerms) -> Mapping[str, Any]:
    return {
        "currency": terms.coin.code,
        "decimals": terms.coin.exponent,
        "token_contract": terms.coin.contract,
        "minimum": to_decimal(terms.minimum_cents, DOLLARS),
        "network_fee": to_decimal(terms.network_fee_cents, DOLLARS),
        "spread": terms.spread,
        "confirmations_required": terms.confirmations,
        "lifetime_s": terms.lifetime_s,
    }


def _dollars(cents: Decimal) -> Decimal:
    return cents.scaleb(-2)
