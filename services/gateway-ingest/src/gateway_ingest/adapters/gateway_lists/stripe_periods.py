"""Which period of a subscription of ours a payment at Stripe was for: an intent does not say, its invoice does.

Since 2025-03-31 an intent does not name its invoice either; then the payments of invoices are asked. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from gateway_ingest.adapters.gateway_lists.stripe_connection import StripeReader
from gateway_ingest.adapters.gateways.stripe import invoices
from gateway_ingest.adapters.gateways.stripe.payments import id_of
from gateway_ingest.domain.facts import PeriodTold
from gateway_ingest.domain.judging import OddEvent, identifier

NAMED_BEFORE = "invoice"
"""The field of an intent in older versions; None there for one that no invoice asked for."""

log = structlog.get_logger(__name__)


async def period_of(stripe: StripeReader, intent: dict[str, Any]) -> PeriodTold | None:
    """The period that the intent paid; None for a payment that is no subscription's of ours."""
    for invoice_id in await _invoices_of(stripe, intent):
        invoice = await stripe.found(stripe.v1.invoices.retrieve_async(invoice_id))
        period = None if invoice is None else _period(invoice)
        if period is not None:
            return period
    return None


async def _invoices_of(stripe: StripeReader, intent: dict[str, Any]) -> Sequence[str]:
    if NAMED_BEFORE in intent:
        found = identifier(id_of(intent[NAMED_BEFORE]))
        return [] if found is None else [found]
    asked = {"payment": {"type": "payment_intent", "payment_intent": intent["id"]}, "status": "paid"}
    rows = [row async for row in stripe.pages(stripe.v1.invoice_payments.list_async, asked)]
    paid = [row for row in rows if id_of((row.get("payment") or {}).get("payment_intent")) == intent["id"]]
    return [found for row in paid if (found := identifier(id_of(row.get("invoice")))) is not None]


def _period(invoice: dict[str, Any]) -> PeriodTold | None:
    try:
        finding = invoices.paid(invoice)
    except OddEvent as odd:
        log.warning("listed_invoice_unreadable", gateway="stripe", invoice=invoice.get("id"), reason=odd.reason)
        return None
    return finding if isinstance(finding, PeriodTold) else None
