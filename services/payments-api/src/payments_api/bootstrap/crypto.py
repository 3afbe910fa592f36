"""How payments in coins are put together: by account keys and the networks that are named; without them, not at all."""

from __future__ import annotations

from typing import Any

import asyncpg

from payments_api.adapters.gateways.crypto.address_book import AddressBook
from payments_api.adapters.gateways.crypto.gateway import CryptoGateway
from payments_api.application.gateways import RateSource
from payments_api.domain.quotes import Pricing
from payments_api.settings.crypto import CryptoSettings


def crypto_gateway(
    settings: CryptoSettings, pool: asyncpg.Pool[Any], pricing: Pricing, rates: RateSource
) -> CryptoGateway | None:
    """The gateway; ``rates`` must know every coin that is offered. None where none is."""
    offer = settings.crypto_offer()
    if offer is None:
        return None
    book = AddressBook(pool, gap_limit=settings.crypto_gap_limit)
    return CryptoGateway(offer, settings.crypto_wallet(), book, rates, pricing)
