"""Stripe's snapshot events, read into facts. At the bottom stands the table of the types that we act upon.

Reads only what the event itself says; asks Stripe nothing. Must not raise for any JSON: what it cannot read is Odd.
The shapes are those of every API version since 2023-10-16: but for invoices, what we read of them has not moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway_ingest.adapters.gateways.reading import read_event
from gateway_ingest.adapters.gateways.signed import signed_by
from gateway_ingest.adapters.gateways.stripe import afterwards, invoices, payments
from gateway_ingest.application.ports import GatewayPort
from gateway_ingest.domain.facts import Fact, Finding, Ignored, Odd, Reading
from gateway_ingest.domain.judging import OddEvent

NAME = "stripe"
SIGNATURE_HEADER = b"stripe-signature"
PATHS = ("/api/webhooks/stripe", "/api/credits/webhook", "/stripe/webhook")


def gateway(secrets: Sequence[bytes]) -> GatewayPort:
    """Stripe, whose webhooks are signed with one of ``secrets``."""
    return GatewayPort(NAME, PATHS, bool(secrets), signed_by(SIGNATURE_HEADER, secrets), read)


def read(event: Any) -> Reading:
    """What the event says, and what it tells beside: fees, and how a period was paid."""
    reading = read_event(event, _find)
    told_beside = TOLD_BESIDE.get(reading.event_type)
    if told_beside is None or isinstance(reading.finding, Odd):
        return reading
    return replace(reading, besides=told_beside(reading.finding, event["data"]["object"]))


def _fees_beside(finding: Finding, subject: dict[str, Any]) -> tuple[Fact, ...]:
    # An event that is about a fee has told it already.
    fees = afterwards.fees(subject)
    return tuple(fee for fee in fees if fee != finding)


def _find(kind: str, event: dict[str, Any]) -> Finding:
    find = HANDLED.get(kind)
    if find is None:
        return Ignored("type_not_handled")
    data = event.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict):
        raise OddEvent("no_object")
    return find(subject)


HANDLED: Mapping[str, Callable[[dict[str, Any]], Finding]] = {
    "payment_intent.succeeded": payments.intent_succeeded,
    "payment_intent.payment_failed": payments.intent_failed,
    "payment_intent.canceled": payments.intent_canceled,
    "payment_intent.processing": payments.intent_processing,
    "payment_intent.requires_action": payments.intent_requires_action,
    "checkout.session.completed": invoices.subscribed_or(payments.checkout_completed),
    "checkout.session.async_payment_succeeded": invoices.subscribed_or(payments.checkout_completed),
    "checkout.session.async_payment_failed": invoices.subscribed_or(payments.checkout_failed),
    "checkout.session.expired": invoices.subscribed_or(payments.checkout_expired),
    "charge.succeeded": afterwards.charge_settled,
    "charge.updated": afterwards.charge_settled,
    "charge.refunded": afterwards.charge_refunded,
    "charge.refund.updated": afterwards.refund_told,
    "refund.created": afterwards.refund_told,
    "refund.updated": afterwards.refund_told,
    "refund.failed": afterwards.refund_told,
    "charge.dispute.created": afterwards.disputed,
    "charge.dispute.updated": afterwards.disputed,
    "charge.dispute.closed": afterwards.disputed,
    "charge.dispute.funds_withdrawn": afterwards.disputed,
    "charge.dispute.funds_reinstated": afterwards.disputed,
    "invoice.paid": invoices.paid,
    "invoice.payment_failed": invoices.payment_failed,
    "invoice_payment.paid": invoices.invoice_payment_paid,
    "customer.subscription.created": invoices.subscription_told,
    "customer.subscription.updated": invoices.subscription_told,
    "customer.subscription.deleted": invoices.subscription_told,
}

TOLD_BESIDE: Mapping[str, Callable[[Finding, dict[str, Any]], tuple[Fact, ...]]] = {
    **{kind: _fees_beside for kind, find in HANDLED.items() if find in (afterwards.refund_told, afterwards.disputed)},
    "invoice.paid": invoices.payments_of,
}
"""Types whose object may tell more than what the event is about: balance transactions, the payments of an invoice."""
