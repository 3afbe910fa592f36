"""The rate that several sources agree on: their median, when enough answered, lately, and not far apart.

Refuses (GatewayAway) rather than guess. What it answered is kept for a short time, and is asked for once by all who
wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

import structlog

from chassis.clock import Clock
from payments_api.adapters.rates.quoted import Quoted, Quoting
from payments_api.application.gateways import GatewayAway, Rate

BP = 10_000
AHEAD_MAX = timedelta(minutes=5)
"""How far a source's clock may be ahead of ours."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Trust:
    """What a rate must hold. ``timeout_s`` is one source's time to answer; a rate older than ``max_age_s`` does not
    count; the lowest and the highest differ by at most ``max_apart_bp`` basis points of the median; an answer is kept
    for ``cache_s``."""

    min_sources: int = 2
    timeout_s: float = 3.0
    max_age_s: int = 300
    max_apart_bp: int = 200
    cache_s: int = 30


class MedianRates:
    """See application.gateways.RateSource."""

    def __init__(self, sources: Sequence[Quoting], trust: Trust, clock: Clock) -> None:
        self._sources = tuple(sources)
        self._trust = trust
        self._clock = clock
        self._kept: dict[str, tuple[Rate, datetime]] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def usd_per(self, code: str) -> Rate:
        """See the port."""
        knowing = [source for source in self._sources if source.knows(code)]
        if len(knowing) < self._trust.min_sources:
            raise GatewayAway("rates", f"{len(knowing)} sources know {code}, of {self._trust.min_sources} needed")
        async with self._turns.setdefault(code, asyncio.Lock()):
            kept = self._kept.get(code)
            if kept is not None and self._clock.now() < kept[1]:
                return kept[0]
            rate = self._agreed(code, await asyncio.gather(*(self._ask(source, code) for source in knowing)))
            self._kept[code] = rate, self._clock.now() + timedelta(seconds=self._trust.cache_s)
            return rate

    async def _ask(self, source: Quoting, code: str) -> tuple[str, Quoted | None]:
        try:
            async with asyncio.timeout(self._trust.timeout_s):
                quoted = await source.quoted(code)
        except TimeoutError:
            log.warning("rate_source_slow", source=source.name, code=code, timeout_s=self._trust.timeout_s)
            return source.name, None
        except GatewayAway as away:
            log.warning("rate_source_away", source=source.name, code=code, error=str(away))
            return source.name, None
        age = self._clock.now() - quoted.at
        if -AHEAD_MAX <= age <= timedelta(seconds=self._trust.max_age_s):
            return source.name, quoted
        log.warning("rate_source_stale", source=source.name, code=code, age_s=int(age.total_seconds()))
        return source.name, None

    def _agreed(self, code: str, answers: Sequence[tuple[str, Quoted | None]]) -> Rate:
        usable = {name: quoted for name, quoted in answers if quoted is not None}
        if len(usable) < self._trust.min_sources:
            raise GatewayAway("rates", f"{len(usable)} sources told of {code}, of {self._trust.min_sources} needed")
        prices = [quoted.usd for quoted in usable.values()]
        middle = median(prices)
        if (max(prices) - min(prices)) * BP > middle * self._trust.max_apart_bp:
            log.warning("rate_sources_disagree", code=code, prices={name: str(q.usd) for name, q in usable.items()})
            raise GatewayAway("rates", f"the sources disagree about {code}")
        oldest = min(quoted.at for quoted in usable.values())
        return Rate(format(Decimal(middle), "f"), oldest, tuple(sorted(usable)))
