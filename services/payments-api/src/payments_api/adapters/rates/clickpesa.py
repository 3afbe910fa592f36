"""ClickPesa's own rate of the shilling, which is a day's, not a moment's."""

from __future__ import annotations

from decimal import ROUND_DOWN, Context, Decimal

from payments_api.adapters.gateways.clickpesa.api import NAME, ClickPesaApi
from payments_api.adapters.gateways.clickpesa.observing import moment, plain_decimal
from payments_api.adapters.rates.quoted import Quoted
from payments_api.application.gateways import GatewayAway

CODE = "TZS"
SHILLINGS_PER_DOLLAR = (Decimal(500), Decimal(20_000))
"""What is outside was not meant as shillings for a dollar."""

_DOWN = Context(prec=18, rounding=ROUND_DOWN)


class ClickPesaRates:
    """See Quoting. The API's connections are the gateway's to close."""

    name = NAME

    def __init__(self, api: ClickPesaApi) -> None:
        self._api = api

    def knows(self, code: str) -> bool:
        """See Quoting."""
        return code == CODE

    async def quoted(self, code: str) -> Quoted:
        """See Quoting."""
        least, most = SHILLINGS_PER_DOLLAR
        for row in await self._api.shilling_rates():
            if not isinstance(row, dict) or (row.get("source"), row.get("target")) != ("USD", code):
                continue
            per_dollar, at = plain_decimal(row.get("rate")), moment(row.get("date"))
            if per_dollar is not None and at is not None and least <= per_dollar <= most:
                return Quoted(_DOWN.divide(Decimal(1), per_dollar), at)
        raise GatewayAway(NAME, "no rate of the shilling")
