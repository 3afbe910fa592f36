"""How payments in coins are put together: by account keys and the networks that are named; without them, not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from chassis.clock import SystemClock
from chassis.rounds import in_rounds
from chassis.runtime import StopSignal, Task
from payments_api.adapters.gateways.crypto.address_book import AddressBook
from payments_api.adapters.gateways.crypto.gateway import CryptoGateway
from payments_api.application.gateways import Gateway, Observing, RateSource
from payments_api.application.late_coins import LateCoins
from payments_api.application.ports import Ledger
from payments_api.domain.quotes import Pricing
from payments_api.settings.crypto import CryptoSettings

MEASURE_EVERY_S = 15.0


def crypto_gateway(
    settings: CryptoSettings, pool: asyncpg.Pool[Any], pricing: Pricing, rates: RateSource
) -> CryptoGateway | None:
    """The gateway; ``rates`` must know every coin that is offered. None where none is."""
    offer = settings.crypto_offer()
    if offer is None:
        return None
    book = AddressBook(pool, gap_limit=settings.crypto_gap_limit)
    return CryptoGateway(offer, settings.crypto_wallet(), book, rates, pricing)


def crypto_tasks(gateways: Mapping[str, Gateway], ledger: Ledger, observing: Observing) -> dict[str, Task]:
    """What goes on behind where coins are taken: late ones get their worth, and the gap of addresses is shown."""
    gateway = next((one for one in gateways.values() if isinstance(one, CryptoGateway)), None)
    if gateway is None:
        return {}
    return {
        "late-coins": LateCoins(ledger, gateway, observing, SystemClock()).run,
        "address-gap": _measuring(gateway),
    }


def _measuring(gateway: CryptoGateway) -> Task:
    async def measure(stop: StopSignal) -> None:
        await in_rounds(gateway.measure_gap, stop, every_s=MEASURE_EVERY_S, failed="address_gap_not_measured")

    return measure
