"""Kraken's public ticker: the middle between what is bid and asked now. Needs no key."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from chassis.clock import Clock
from payments_api.adapters.rates.quoted import JsonSource, Quoted, positive
from payments_api.application.gateways import GatewayAway

NAME = "kraken"
URL = "https://api.kraken.com"
PAIRS: Mapping[str, str] = MappingProxyType(
    {
        "BTC": "XBTUSD",
        "ETH": "ETHUSD",
        "POL": "POLUSD",
        "BNB": "BNBUSD",
        "USDC": "USDCUSD",
        "USDT": "USDTUSD",
        "DAI": "DAIUSD",
    }
)


class KrakenRates:
    """See Quoting. The ticker has no time of its own: it is of the moment when it was asked for."""

    name = NAME

    def __init__(self, source: JsonSource, clock: Clock, pairs: Mapping[str, str] = PAIRS) -> None:
        self._source = source
        self._clock = clock
        self._pairs = dict(pairs)

    def knows(self, code: str) -> bool:
        """See Quoting."""
        return code in self._pairs

    async def quoted(self, code: str) -> Quoted:
        """See Quoting."""
        at = self._clock.now()
        told = await self._source.get("/0/public/Ticker", {"pair": self._pairs[code]})
        ticker = _only_ticker(told)
        bid, ask = (positive(NAME, _first(ticker.get(side))) for side in ("b", "a"))
        if bid > ask:
            raise GatewayAway(NAME, "more is bid than asked")
        return Quoted((bid + ask) / 2, at)


def _only_ticker(told: Any) -> dict[str, Any]:
    """Under a name of Kraken's own, which is not the one that was asked for."""
    if not isinstance(told, dict) or told.get("error"):
        raise GatewayAway(NAME, "an error instead of a ticker")
    result = told.get("result")
    tickers = list(result.values()) if isinstance(result, dict) else []
    if len(tickers) != 1 or not isinstance(tickers[0], dict):
        raise GatewayAway(NAME, "an answer without one ticker")
    return tickers[0]


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, list) and values else None
