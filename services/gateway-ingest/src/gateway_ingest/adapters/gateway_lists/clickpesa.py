"""ClickPesa's own list of payments, and all news of one by the same asking that follows its webhooks. Writes nothing.

It tells a refund or reversal only to who asks. A payment is asked for by our reference, since that is how it is known
there; each attempt under a reference is a payment of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import structlog

from gateway_ingest.adapters.gateways.clickpesa import gateway as clickpesa
from gateway_ingest.adapters.gateways.clickpesa import rows
from gateway_ingest.adapters.gateways.clickpesa.api import ClickPesaApi
from gateway_ingest.domain.facts import Confirmed, Pending, Reading, Refunded
from gateway_ingest.domain.judging import OddEvent
from gateway_ingest.domain.reconciling import ListedPayment, News, Window

NAME = clickpesa.NAME

log = structlog.get_logger(__name__)


class ClickPesaList:
    """See application.reconciling_ports.GatewayList."""

    def __init__(self, api: ClickPesaApi, asking: clickpesa.Asking) -> None:
        self._api = api
        self._asking = asking

    async def listed(self, window: Window) -> AsyncIterator[ListedPayment]:
        """See the port."""
        async for row in clickpesa.list_payments(self._api, window.since, window.until):
            if row.standing in rows.WITH_MONEY:
                yield _payment(row)

    async def one(self, payment_id: str, reference: str | None) -> ListedPayment | None:
        """See the port. Without our reference it cannot be asked for: ClickPesa's payments always have one."""
        if reference is None:
            return None
        try:
            found = [rows.read_row(row) for row in await self._api.payment(reference)]
        except OddEvent as odd:
            log.warning("listed_payment_unreadable", gateway=NAME, payment=payment_id, reason=odd.reason)
            return None
        paid = [row for row in found if row.payment_id == payment_id and row.standing in rows.WITH_MONEY]
        return _payment(paid[0]) if paid else None

    async def news(self, payment: ListedPayment) -> Sequence[News]:
        """See the port."""
        reference = payment.confirmed.reference
        asked = Reading(None, "reconciled", None, Pending(payment.payment_id, "processing", reference=reference))
        told = await self._asking.ask(asked)
        facts = [fact for fact in (told.finding, *told.besides) if isinstance(fact, Confirmed | Refunded)]
        return [fact for fact in facts if fact.payment_id == payment.payment_id]


def _payment(row: rows.Row) -> ListedPayment:
    (confirmed, *_) = rows.facts_of([row])
    assert isinstance(confirmed, Confirmed), "a row with money is a payment"
    returned_units = confirmed.received.units if row.standing == "returned" else 0
    return ListedPayment(confirmed, returned_units, row.made_at or datetime.fromtimestamp(0, UTC))
