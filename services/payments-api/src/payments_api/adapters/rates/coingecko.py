"""CoinGecko's simple prices: an average over markets, a minute old at most by its own word. A key raises its limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from payments_api.adapters.rates.quoted import JsonSource, Quoted, positive
from payments_api.application.gateways import GatewayAway

NAME = "coingecko"
URL = "https://api.coingecko.com/api/v3"
PRO_URL = "https://pro-api.coingecko.com/api/v3"
IDS: Mapping[str, str] = MappingProxyType(
    {
        "BTC": "bitcoin",
        "ETH": "ethereum",
        "POL": "polygon-ecosystem-token",
        "BNB": "binancecoin",
        "USDC": "usd-coin",
        "USDT": "tether",
        "DAI": "dai",
    }
)
TIMESTAMP_MAX_S = 1 << 33


class CoinGeckoRates:
    """See Quoting."""

    name = NAME

    def __init__(self, source: JsonSource, ids: Mapping[str, str] = IDS) -> None:
        self._source = source
        self._ids = dict(ids)

    def knows(self, code: str) -> bool:
        """See Quoting."""
        return code in self._ids

    async def quoted(self, code: str) -> Quoted:
        """See Quoting."""
        coin = self._ids[code]
        query = {"ids": coin, "vs_currencies": "usd", "include_last_updated_at": "true", "precision": "full"}
        told = await self._source.get("/simple/price", query)
        price = told.get(coin) if isinstance(told, dict) else None
        if not isinstance(price, dict):
            raise GatewayAway(NAME, "an answer without the coin")
        return Quoted(positive(NAME, price.get("usd")), _time(price.get("last_updated_at")))


def headers_of(key: str | None, *, is_pro: bool) -> Mapping[str, str]:
    """The one that carries the key."""
    if key is None:
        return {}
    return {"x-cg-pro-api-key" if is_pro else "x-cg-demo-api-key": key}


def _time(value: Any) -> datetime:
    if not isinstance(value, Decimal) or not 0 < value < TIMESTAMP_MAX_S:
        raise GatewayAway(NAME, "a price without its time")
    return datetime.fromtimestamp(int(value), UTC)
