"""Stripe's subscriptions and invoices: both shapes of an invoice say the same, and name its payment alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.references import normalize_reference
from gateway_ingest.adapters.gateways.stripe import gateway as stripe
from gateway_ingest.adapters.gateways.stripe.invoices import reference_of
from gateway_ingest.domain.facts import (
    Amount,
    Confirmed,
    Finding,
    Ignored,
    Odd,
    PeriodTold,
    Reading,
    SubscriptionTold,
    content_hash,
)

CREATED = 1_767_225_600
BEGINS_S, ENDS_S = 1_767_225_600, 1_769_904_000
OURS, INVOICE, INTENT, SUBSCRIPTION = "0197f0aa-8a4e", "in_1QxGrid", "pi_3QxGrid", "sub_1QxGrid"
METADATA = {"subscription_id": OURS, "user_id": "alice", "package_id": "starter", "purpose": "tfc_subscription"}
PRICE = Amount(4500, "USD", 2)
PAGE = "https://invoice.stripe.com/i/acct_1/test_1"
PAID = PeriodTold(
    subscription_id=OURS,
    gateway_subscription_id=SUBSCRIPTION,
    invoice_id=INVOICE,
    reference=reference_of(INVOICE),
    state="paid",
    amount=PRICE,
    begins_at=datetime.fromtimestamp(BEGINS_S, UTC),
    ends_at=datetime.fromtimestamp(ENDS_S, UTC),
    page=PAGE,
)
BY_INTENT = Confirmed(INTENT, PRICE, reference=PAID.reference)


def line(start: int, end: int) -> dict[str, Any]:
    return {"object": "line_item", "amount": 4500, "currency": "usd", "period": {"start": start, "end": end}}


def invoice(**more: Any) -> dict[str, Any]:
    """What both shapes share. Its own period is the one before; so is what was used up in it."""
    rows = [line(BEGINS_S - 2_678_400, BEGINS_S), line(BEGINS_S, ENDS_S)]
    return {
        "id": INVOICE,
        "object": "invoice",
        "amount_due": 4500,
        "amount_paid": 4500,
        "billing_reason": "subscription_cycle",
        "currency": "usd",
        "hosted_invoice_url": PAGE,
        "lines": {"object": "list", "data": rows, "has_more": False},
        "metadata": {},
        "period_end": BEGINS_S,
        "period_start": BEGINS_S - 2_678_400,
        "status": "paid",
    } | more


def of_2023(**more: Any) -> dict[str, Any]:
    details = {"metadata": METADATA}
    return invoice(payment_intent=INTENT, subscription=SUBSCRIPTION, subscription_details=details) | more


def of_2026(**more: Any) -> dict[str, Any]:
    details = {"metadata": METADATA, "subscription": SUBSCRIPTION}
    return invoice(parent={"type": "subscription_details", "subscription_details": details}) | more


def paid_by(**more: Any) -> dict[str, Any]:
    return {
        "id": "inpay_1QxGrid",
        "object": "invoice_payment",
        "amount_paid": 4500,
        "amount_requested": 4500,
        "currency": "usd",
        "invoice": INVOICE,
        "payment": {"type": "payment_intent", "payment_intent": INTENT},
        "status": "paid",
    } | more


def read(kind: str, subject: dict[str, Any]) -> Reading:
    return stripe.read({"id": "evt_1", "type": kind, "created": CREATED, "data": {"object": subject}})


def found(kind: str, subject: dict[str, Any]) -> Finding:
    return read(kind, subject).finding


@pytest.mark.parametrize(
    ("subject", "besides"),
    [
        (of_2023(), (BY_INTENT,)),
        (of_2023(payment_intent={"id": INTENT, "object": "payment_intent"}), (BY_INTENT,)),
        (of_2023(payment_intent=None), ()),
        (of_2023(paid_out_of_band=False), (BY_INTENT,)),
        (of_2023(paid_out_of_band=True), ()),
        (of_2026(), ()),
        (of_2026(payments={"object": "list", "data": [paid_by()]}), (BY_INTENT,)),
        (of_2026(payments={"object": "list", "data": [paid_by(payment={"type": "payment_record"}), 7]}), ()),
        (of_2026(payments=None), ()),
    ],
)
def test_a_paid_invoice_in_both_shapes(subject: dict[str, Any], besides: tuple[Confirmed, ...]) -> None:
    reading = read("invoice.paid", subject)
    assert (reading.finding, reading.besides) == (PAID, besides)
    assert reading.occurred_at == datetime.fromtimestamp(CREATED, UTC)


def test_which_payment_paid_it_is_told_by_itself_under_the_same_reference() -> None:
    assert found("invoice_payment.paid", paid_by()) == BY_INTENT
    assert found("invoice_payment.paid", paid_by(invoice={"id": INVOICE})) == BY_INTENT
    assert found("invoice_payment.paid", paid_by(payment={"type": "charge", "charge": "ch_1"})) == Ignored(
        "not_by_intent"
    )
    assert found("invoice_payment.paid", paid_by(amount_paid=None)) == Ignored("not_by_intent")
    assert found("invoice_payment.paid", paid_by(invoice=None)) == Odd("bad_invoice_id")
    assert found("invoice_payment.paid", paid_by(currency="xyz")) == Odd("unknown_currency")


def test_the_reference_is_one_of_ours_and_the_invoices_own() -> None:
    assert normalize_reference(PAID.reference) == PAID.reference
    assert reference_of("in_2") != PAID.reference


@pytest.mark.parametrize("shape", [of_2023, of_2026])
def test_a_period_that_could_not_be_taken(shape: Any) -> None:
    finding = found("invoice.payment_failed", shape(amount_paid=0, status="open"))
    reason = "The payment for this period could not be taken"
    assert finding == replace(PAID, state="failed", reason_code="invoice_payment_failed", reason=reason)
    assert read("invoice.payment_failed", shape(amount_paid=0)).besides == ()


@pytest.mark.parametrize(
    ("subject", "finding"),
    [
        (of_2026(amount_paid=0, amount_due=0), Ignored("nothing_to_pay")),
        (of_2026(parent=None), Ignored("not_ours")),
        (of_2026(parent={"subscription_details": {"metadata": None}}), Ignored("not_ours")),
        (of_2023(subscription_details=None), Ignored("not_ours")),
        (of_2023(subscription_details={"metadata": {"subscription_id": "a:b"}}), Ignored("not_ours")),
        (of_2026(id=None), Odd("bad_invoice_id")),
        (of_2026(currency="xyz"), Odd("unknown_currency")),
        (of_2026(amount_paid="4500"), Odd("bad_amount")),
        (of_2026(lines=None), Odd("bad_period")),
        (of_2026(lines={"data": [{"period": {"start": 5, "end": 5}}, {"period": 1}, 3]}), Odd("bad_period")),
    ],
)
def test_invoices_that_are_not_a_paid_period_of_ours(subject: dict[str, Any], finding: Finding) -> None:
    reading = read("invoice.paid", subject)
    assert (reading.finding, reading.besides) == (finding, ())


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("incomplete", "incomplete"),
        ("trialing", "active"),
        ("active", "active"),
        ("past_due", "past_due"),
        ("unpaid", "unpaid"),
        ("canceled", "canceled"),
        ("incomplete_expired", "canceled"),
    ],
)
@pytest.mark.parametrize("kind", ["created", "updated", "deleted"])
def test_a_subscriptions_status_in_our_words(kind: str, status: str, state: Any) -> None:
    subject = {"id": SUBSCRIPTION, "object": "subscription", "status": status, "metadata": METADATA}
    assert found(f"customer.subscription.{kind}", subject) == SubscriptionTold(OURS, SUBSCRIPTION, state)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"status": "paused"}, Ignored("subscription_paused")),
        ({"status": "new"}, Odd("bad_subscription_status")),
        ({"status": ["active"]}, Odd("bad_subscription_status")),
        ({"metadata": {}}, Ignored("not_ours")),
    ],
)
def test_subscriptions_that_say_nothing(changes: dict[str, Any], finding: Finding) -> None:
    subject = {"id": SUBSCRIPTION, "status": "active", "metadata": METADATA} | changes
    assert found("customer.subscription.updated", subject) == finding


def session(**more: Any) -> dict[str, Any]:
    return {
        "id": "cs_test_1",
        "object": "checkout.session",
        "amount_total": 4500,
        "currency": "usd",
        "metadata": METADATA,
        "mode": "subscription",
        "payment_intent": None,
        "payment_status": "paid",
        "status": "complete",
        "subscription": SUBSCRIPTION,
    } | more


def test_a_checkout_that_begins_a_subscription_moves_no_money() -> None:
    told = SubscriptionTold(OURS, SUBSCRIPTION, "incomplete")
    assert found("checkout.session.completed", session()) == told
    assert found("checkout.session.async_payment_succeeded", session()) == told
    never = session(status="expired", subscription=None, payment_status="unpaid")
    assert found("checkout.session.expired", never) == SubscriptionTold(OURS, None, "canceled")
    assert found("checkout.session.completed", session(metadata={})) == Ignored("not_ours")


def test_contents_that_differ_have_other_hashes() -> None:
    failed = read("invoice.paid", of_2026())
    subjects = [
        failed,
        replace(failed, finding=replace(PAID, state="failed")),
        replace(failed, finding=replace(PAID, invoice_id="in_2")),
        replace(failed, finding=replace(PAID, amount=Amount(4501, "USD", 2))),
        replace(failed, finding=SubscriptionTold(OURS, None, "active")),
        replace(failed, finding=SubscriptionTold(OURS, None, "unpaid")),
    ]
    assert len({content_hash(subject) for subject in subjects}) == len(subjects)
    assert content_hash(failed) == content_hash(read("invoice.paid", of_2026(hosted_invoice_url=None)))
