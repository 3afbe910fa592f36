"""Stripe's subscriptions and their invoices, read into what became of each period.

What is ours is told by the metadata that we gave the subscription. An invoice says for which period and what for, but
since 2025-03-31 not by which payment: that is told by ``invoice_payment.paid``. Both name the period's payment by a
reference made of the invoice's id, so neither needs the other. Raises OddEvent for what cannot be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from contracts.references import RANDOM_BITS, make_reference
from gateway_ingest.adapters.gateways.stripe.payments import id_of
from gateway_ingest.domain import judging
from gateway_ingest.domain.facts import Confirmed, Fact, Finding, Ignored, PeriodTold, SubscriptionTold
from gateway_ingest.domain.judging import OddEvent

OUR_KEY = "subscription_id"
PAYMENTS_MAX = 20
PAGE_MAX_CHARS = 1_000
State: TypeAlias = Literal["incomplete", "active", "past_due", "unpaid", "canceled"]
STATES: Mapping[str, State] = MappingProxyType(
    {
        "incomplete": "incomplete",
        "trialing": "active",
        "active": "active",
        "past_due": "past_due",
        "unpaid": "unpaid",
        "canceled": "canceled",
        "incomplete_expired": "canceled",
    }
)
"""A subscription that is paused takes nothing and is not over: there is nothing to tell."""


def paid(invoice: dict[str, Any]) -> Finding:
    """A period was paid for. What cost nothing buys nothing."""
    return _period(invoice, "paid", invoice.get("amount_paid"))


def payment_failed(invoice: dict[str, Any]) -> Finding:
    """An attempt only: Stripe tries again, and the person can."""
    return _period(invoice, "failed", invoice.get("amount_due"))


def payments_of(finding: Finding, invoice: dict[str, Any]) -> tuple[Fact, ...]:
    """By which payments a period of ours was paid, where the invoice says so: of versions before 2025-03-31, or of an
    endpoint that has them included."""
    if not isinstance(finding, PeriodTold):
        return ()
    if invoice.get("paid_out_of_band"):
        # Somebody marked it as paid: its intent was canceled, and Stripe received nothing.
        return ()
    intent = judging.identifier(id_of(invoice.get("payment_intent")))
    if intent is not None:
        return (Confirmed(intent, finding.amount, reference=finding.reference),)
    included = invoice.get("payments")
    rows = included.get("data") if isinstance(included, dict) else None
    told = [_confirmed(row, finding.reference) for row in rows[:PAYMENTS_MAX]] if isinstance(rows, list) else []
    return tuple(one for one in told if isinstance(one, Confirmed))


def invoice_payment_paid(payment: dict[str, Any]) -> Finding:
    """Which payment paid which invoice. Whose that is, another event says."""
    invoice_id = judging.identifier(id_of(payment.get("invoice")))
    if invoice_id is None:
        raise OddEvent("bad_invoice_id")
    return _confirmed(payment, reference_of(invoice_id))


def subscription_told(subscription: dict[str, Any]) -> Finding:
    """By the subscription's own status, whichever event brings it."""
    ours = _ours(subscription.get("metadata"))
    if ours is None:
        return Ignored("not_ours")
    status = subscription.get("status")
    state = STATES.get(status) if isinstance(status, str) else None
    if state is None:
        return Ignored("subscription_paused") if status == "paused" else _odd("bad_subscription_status")
    return SubscriptionTold(ours, judging.identifier(subscription.get("id")), state)


def subscribed_or(find: Callable[[dict[str, Any]], Finding]) -> Callable[[dict[str, Any]], Finding]:
    """A Checkout Session that begins a subscription moves no money by itself; any other is ``find``'s."""

    def found(session: dict[str, Any]) -> Finding:
        return _subscribed(session) if session.get("mode") == "subscription" else find(session)

    return found


def reference_of(invoice_id: str) -> str:
    """Our reference of what is paid for an invoice: the same from whatever tells of it."""
    digest = hashlib.sha256(f"stripe:invoice:{invoice_id}".encode()).digest()
    return make_reference(int.from_bytes(digest) >> (8 * len(digest) - RANDOM_BITS))


def _subscribed(session: dict[str, Any]) -> Finding:
    ours = _ours(session.get("metadata"))
    if ours is None:
        return Ignored("not_ours")
    state: State = "canceled" if session.get("status") == "expired" else "incomplete"
    return SubscriptionTold(ours, judging.identifier(id_of(session.get("subscription"))), state)


def _period(invoice: dict[str, Any], state: Literal["paid", "failed"], units: Any) -> Finding:
    details = _subscription_details(invoice)
    ours = _ours(details.get("metadata"))
    if ours is None:
        return Ignored("not_ours")
    if units == 0:
        return Ignored("nothing_to_pay")
    invoice_id = judging.identifier(invoice.get("id"))
    if invoice_id is None:
        raise OddEvent("bad_invoice_id")
    begins_at, ends_at = _period_of(invoice)
    subscription_id = id_of(details.get("subscription") or invoice.get("subscription"))
    return PeriodTold(
        subscription_id=ours,
        gateway_subscription_id=judging.identifier(subscription_id),
        invoice_id=invoice_id,
        reference=reference_of(invoice_id),
        state=state,
        amount=judging.amount(units, invoice.get("currency")),
        begins_at=begins_at,
        ends_at=ends_at,
        reason_code="" if state == "paid" else "invoice_payment_failed",
        reason="" if state == "paid" else "The payment for this period could not be taken",
        page=judging.short_text(invoice.get("hosted_invoice_url"), PAGE_MAX_CHARS) or None,
    )


def _subscription_details(invoice: dict[str, Any]) -> dict[str, Any]:
    """They stand under ``parent`` since 2025-03-31."""
    parent = invoice.get("parent")
    found = (parent if isinstance(parent, dict) else invoice).get("subscription_details")
    return found if isinstance(found, dict) else {}


def _period_of(invoice: dict[str, Any]) -> tuple[datetime, datetime]:
    """That of the line which reaches furthest: the invoice's own is the one before."""
    lines = invoice.get("lines")
    rows = lines.get("data") if isinstance(lines, dict) else None
    spans = [_span(row.get("period")) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    known = [span for span in spans if span is not None]
    if not known:
        raise OddEvent("bad_period")
    return max(known, key=lambda span: span[1])


def _span(period: Any) -> tuple[datetime, datetime] | None:
    if not isinstance(period, dict):
        return None
    begins_at, ends_at = judging.unix_time(period.get("start")), judging.unix_time(period.get("end"))
    return None if begins_at is None or ends_at is None or begins_at >= ends_at else (begins_at, ends_at)


def _confirmed(row: Any, reference: str) -> Finding:
    payment = row.get("payment") if isinstance(row, dict) else None
    intent = id_of(payment.get("payment_intent")) if isinstance(payment, dict) else None
    if intent is None or not row.get("amount_paid"):
        return Ignored("not_by_intent")
    received = judging.amount(row.get("amount_paid"), row.get("currency"))
    return Confirmed(judging.payment_identifier(intent), received, reference=reference)


def _ours(metadata: Any) -> str | None:
    return judging.identifier(metadata.get(OUR_KEY)) if isinstance(metadata, dict) else None


def _odd(reason: str) -> Finding:
    raise OddEvent(reason)
