"""Rates that an operator states, and the choice between them and what is asked for elsewhere. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from chassis.clock import Clock
from payments_api.application.gateways import GatewayAway, Rate, RateSource

NAME = "fixed"


class FixedRates:
    """US dollars per whole unit by code. They are always of this moment: who states them answers for them."""

    def __init__(self, rates: Mapping[str, Decimal], clock: Clock) -> None:
        self._rates = dict(rates)
        self._clock = clock

    async def usd_per(self, code: str) -> Rate:
        """See the port."""
        rate = self._rates.get(code)
        if rate is None:
            raise GatewayAway("rates", f"no rate is stated for {code}")
        return Rate(format(rate, "f"), self._clock.now(), (NAME,))


class RatesByCode:
    """The source that is chosen for a code, else ``otherwise``."""

    def __init__(self, chosen: Mapping[str, RateSource], otherwise: RateSource) -> None:
        self._chosen = dict(chosen)
        self._otherwise = otherwise

    async def usd_per(self, code: str) -> Rate:
        """See the port."""
        return await self._chosen.get(code, self._otherwise).usd_per(code)
