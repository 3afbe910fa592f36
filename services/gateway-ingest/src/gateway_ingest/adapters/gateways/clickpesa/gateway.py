"""ClickPesa's webhooks: proven by their checksum, and then only a reason to ask ClickPesa itself.

At the bottom stands the table of the events that are asked about. Nothing but ClickPesa's own answer becomes a fact.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any

import structlog

from chassis.clock import Clock
from chassis.errors import OperationalError
from gateway_ingest.adapters.gateways.clickpesa import rows
from gateway_ingest.adapters.gateways.clickpesa.api import ClickPesaApi
from gateway_ingest.adapters.gateways.clickpesa.checksum import proved_with
from gateway_ingest.application.ports import GatewayPort
from gateway_ingest.domain import judging
from gateway_ingest.domain.facts import Finding, Ignored, Odd, Pending, Reading
from gateway_ingest.domain.judging import OddEvent

NAME = "clickpesa"
PATHS = ("/api/webhooks/clickpesa",)
BP = 10_000
RATE_AGE_MAX = timedelta(days=4)
"""Rates stand over weekends and holidays."""
SHILLINGS_PER_DOLLAR = (Decimal(500), Decimal(20_000))
"""What is outside was not meant as shillings for a dollar."""

_DOWN = Context(prec=18, rounding=ROUND_DOWN)

log = structlog.get_logger(__name__)


def gateway(secrets: Sequence[bytes], asking: Asking | None) -> GatewayPort:
    """ClickPesa, whose webhooks are proven with one of ``secrets`` and then asked about."""
    is_configured = bool(secrets) and asking is not None
    return GatewayPort(NAME, PATHS, is_configured, proved_with(secrets), read, None if asking is None else asking.ask)


def read(event: Any) -> Reading:
    """Which reference to ask about, as Pending; never raises."""
    kind = _kind(event)
    if kind is None:
        return Reading(None, "", None, Odd("bad_event_type"))
    try:
        finding = _find(kind, event.get("data"))
    except OddEvent as odd:
        finding = Odd(odd.reason)
    return Reading(None, kind.replace(" ", "_"), None, finding)


async def list_payments(api: ClickPesaApi, since: datetime, until: datetime) -> AsyncIterator[rows.Row]:
    """What ClickPesa has of the days of ``since`` to ``until``, for reconciliation; a row that cannot be read is logged
    and left out. Raises OperationalError."""
    async for listed in api.payments(since.date(), until.date()):
        try:
            row = rows.read_row(listed)
        except OddEvent as odd:
            log.warning("listed_payment_unreadable", gateway=NAME, reason=odd.reason)
            continue
        if row.made_at is None or since <= row.made_at < until:
            yield row


class Asking:
    """Puts ClickPesa's answer in the place of what a webhook said."""

    def __init__(self, api: ClickPesaApi, clock: Clock, spread_bp: int) -> None:
        self._api = api
        self._clock = clock
        self._kept_part = Decimal(BP - spread_bp) / BP

    async def ask(self, reading: Reading) -> Reading:
        """See application.ports.AskGateway. A webhook that there is nothing to ask about stays as it is."""
        pending = reading.finding
        if not isinstance(pending, Pending) or pending.reference is None:
            return reading
        told = rows.reading_of(pending.reference, await self._api.payment(pending.reference))
        if not rows.is_about_shillings(told):
            return told
        rate = await self._usd_per_shilling()
        return told if rate is None else rows.with_worth(told, rate)

    async def _usd_per_shilling(self) -> Decimal | None:
        """Less the spread. None when there is no rate to trust: the payment counts, its worth is then not told."""
        try:
            told = await self._api.shilling_rates()
        except OperationalError as away:
            log.warning("shilling_rate_unknown", error=away.reason)
            return None
        per_dollar = shillings_per_dollar(told, self._clock.now())
        return None if per_dollar is None else _DOWN.divide(self._kept_part, per_dollar)


def shillings_per_dollar(told: Sequence[Any], now: datetime) -> Decimal | None:
    """The rate of the first row that is plausible and not too old."""
    least, most = SHILLINGS_PER_DOLLAR
    for row in told:
        if not isinstance(row, dict) or (row.get("source"), row.get("target")) != ("USD", "TZS"):
            continue
        rate, since = rows.plain_decimal(row.get("rate")), rows.moment(row.get("date"))
        if rate is not None and since is not None and least <= rate <= most and now - since <= RATE_AGE_MAX:
            return rate
    return None


def _kind(event: Any) -> str | None:
    """Newer webhooks have ``event``, older ones ``eventType``."""
    if not isinstance(event, dict):
        return None
    told = event.get("event", event.get("eventType"))
    return told.upper() if isinstance(told, str) and judging.event_type(told.replace(" ", "_")) else None


def _find(kind: str, data: Any) -> Finding:
    find = HANDLED.get(kind)
    if find is None:
        return Ignored("type_not_handled")
    if not isinstance(data, dict):
        raise OddEvent("no_object")
    return find(data)


def _to_be_asked(data: dict[str, Any]) -> Finding:
    reference = judging.identifier(data.get("orderReference"))
    if reference is None:
        raise OddEvent("bad_reference")
    return Pending(reference, "processing", reference=reference)


HANDLED: dict[str, Callable[[dict[str, Any]], Finding]] = {
    "PAYMENT RECEIVED": _to_be_asked,
    "PAYMENT FAILED": _to_be_asked,
    "PAYMENT REFUNDED": _to_be_asked,
    "PAYMENT REVERSED": _to_be_asked,
}
"""The last two are not documented: a status that changes is not told at all, as far as is known."""
