"""Whole events as Stripe sends them, in the shapes of the API version that we pin and of the oldest that we take."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway_ingest.adapters.gateways.stripe import gateway as stripe
from gateway_ingest.domain.facts import (
    Amount,
    Confirmed,
    Disputed,
    Failed,
    FeeKept,
    Finding,
    Ignored,
    Odd,
    Pending,
    Reading,
    Refunded,
    RefundTold,
)

EVENTS = Path(__file__).parent / "stripe_events"
VERSIONS = ("2023-10-16", "2026-10-28.endive")
PAYMENT, REFERENCE = "pi_3QxGridLedger01", "4F7K2M9QXT8ZB3C6W5H1"
CHARGE, REFUND, DISPUTE = "ch_3QxGridLedger01", "re_3QxGridLedger01", "du_1QxGridLedger01"
ALL, PART = Amount(2500, "USD", 2), Amount(1000, "USD", 2)
METADATA = {
    "reference": REFERENCE,
    "user_id": "alice",
    "payment_id": "0197f0aa-8a4e-7b1e-9c7d-0d8c1c1f2a55",
    "credits": "25.00",
    "tfc_amount": "25.00",
    "purpose": "tfc_purchase",
}
PAID = Confirmed(PAYMENT, ALL, REFERENCE, "alice", METADATA)
DISPUTE_FEE = FeeKept(PAYMENT, "txn_1QxGridLedger03", Amount(1500, "USD", 2))

EXPECTED: dict[str, Finding] = {
    "payment_intent.succeeded": PAID,
    "payment_intent.processing": Pending(PAYMENT, "processing", ALL, reference=REFERENCE),
    "payment_intent.requires_action": Pending(PAYMENT, "requires_action", ALL, reference=REFERENCE),
    "payment_intent.payment_failed": Failed(
        PAYMENT, "insufficient_funds", "Your card has insufficient funds.", REFERENCE, "alice", attempt_id=CHARGE
    ),
    "payment_intent.canceled": Failed(PAYMENT, "abandoned", "", REFERENCE, "alice", True, "canceled"),
    "checkout.session.completed": PAID,
    "checkout.session.completed.unpaid": Ignored("checkout_unpaid"),
    "checkout.session.async_payment_succeeded": PAID,
    "checkout.session.async_payment_failed": Failed(
        PAYMENT, "async_payment_failed", "", REFERENCE, "alice", True, "async_payment_failed"
    ),
    "checkout.session.expired": Ignored("nobody_paid"),
    "charge.updated": FeeKept(PAYMENT, "txn_3QxGridLedger01", Amount(103, "USD", 2)),
    "charge.succeeded": Ignored("fee_not_told"),
    "charge.refunded": Refunded(PAYMENT, PART),
    "charge.refund.updated": RefundTold(PAYMENT, REFUND, PART, "pending", "requested_by_customer"),
    "refund.created": RefundTold(PAYMENT, REFUND, PART, "succeeded", "requested_by_customer"),
    "refund.updated": RefundTold(PAYMENT, REFUND, PART, "failed", "requested_by_customer"),
    "refund.failed": RefundTold(PAYMENT, REFUND, PART, "failed", "lost_or_stolen_card"),
    "charge.dispute.created": Disputed(PAYMENT, DISPUTE, "opened", ALL, "fraudulent"),
    "charge.dispute.funds_withdrawn": Disputed(PAYMENT, DISPUTE, "opened", ALL, "fraudulent"),
    "charge.dispute.updated.inquiry": Ignored("dispute_inquiry"),
    "charge.dispute.closed.lost": Disputed(PAYMENT, DISPUTE, "lost", ALL, "fraudulent"),
    "charge.dispute.funds_reinstated": Disputed(PAYMENT, DISPUTE, "won", ALL, "fraudulent"),
}
BILLING = ("invoice.", "invoice_payment.", "customer.subscription.")
"""Types whose shape differs between the versions: see test_stripe_invoices."""
FEES_BESIDE = {"charge.dispute.funds_withdrawn", "charge.dispute.closed.lost", "charge.dispute.funds_reinstated"}


def recorded(version: str, name: str) -> Any:
    return msgspec.json.decode((EVENTS / version / f"{name}.json").read_bytes())


def changed(name: str, **changes: Any) -> Reading:
    event = recorded(VERSIONS[1], name)
    event["data"]["object"] |= changes
    return stripe.read(event)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", EXPECTED)
def test_both_shapes_say_the_same(version: str, name: str) -> None:
    event = recorded(version, name)
    assert event["api_version"] == version
    reading = stripe.read(event)
    assert reading.finding == EXPECTED[name]
    assert reading.besides == ((DISPUTE_FEE,) if name in FEES_BESIDE else ())


def test_every_type_that_we_act_upon_was_recorded() -> None:
    kinds = {recorded(VERSIONS[0], path.stem)["type"] for path in (EVENTS / VERSIONS[0]).iterdir()}
    # charge.dispute.updated is the inquiry; every name of the table has a file.
    assert kinds == {kind for kind in stripe.HANDLED if not kind.startswith(BILLING)}
    for version in VERSIONS:
        assert {path.stem for path in (EVENTS / version).iterdir()} == set(EXPECTED)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", "pending"),
        ("requires_action", "pending"),
        ("succeeded", "succeeded"),
        ("failed", "failed"),
        ("canceled", "failed"),
    ],
)
def test_a_refunds_status_in_our_words(status: str, state: str) -> None:
    finding = changed("refund.updated", status=status).finding
    assert isinstance(finding, RefundTold)
    assert finding.state == state


@pytest.mark.parametrize(
    ("status", "finding"),
    [
        ("warning_needs_response", Ignored("dispute_inquiry")),
        ("warning_under_review", Ignored("dispute_inquiry")),
        ("warning_closed", Ignored("dispute_inquiry")),
        ("prevented", Ignored("dispute_prevented")),
        ("charge_refunded", Ignored("dispute_refunded")),
        ("appeal_under_review", Ignored("dispute_appealed")),
        ("of_a_later_version", Odd("bad_dispute_status")),
        (None, Odd("bad_dispute_status")),
        (["won"], Odd("bad_dispute_status")),
    ],
)
def test_disputes_that_move_nothing(status: Any, finding: Finding) -> None:
    assert changed("charge.dispute.created", status=status).finding == finding


def test_a_dispute_under_review_is_still_open() -> None:
    finding = changed("charge.dispute.updated.inquiry", status="under_review").finding
    assert finding == Disputed(PAYMENT, DISPUTE, "opened", ALL, "fraudulent")


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("refund.updated", {"status": None}, "bad_refund_status"),
        ("refund.updated", {"status": ["failed"]}, "bad_refund_status"),
        ("refund.updated", {"id": "re:1"}, "bad_refund_id"),
        ("refund.updated", {"amount": 0}, "amount_not_positive"),
        ("refund.updated", {"payment_intent": None, "charge": None}, "bad_payment_id"),
        ("charge.dispute.created", {"id": None}, "bad_dispute_id"),
        ("charge.dispute.created", {"amount": "2500"}, "bad_amount"),
        ("payment_intent.processing", {"currency": "xyz"}, "unknown_currency"),
        ("payment_intent.canceled", {"id": None}, "bad_payment_id"),
        ("checkout.session.async_payment_failed", {"payment_intent": None, "id": "cs:1"}, "bad_payment_id"),
        ("charge.updated", {"balance_transaction": {"id": "txn:1", "fee": 5, "currency": "usd"}}, "bad_fee_id"),
    ],
)
def test_what_makes_no_sense_is_odd(name: str, changes: dict[str, Any], reason: str) -> None:
    assert changed(name, **changes).finding == Odd(reason)


@pytest.mark.parametrize("reason", ["expired", "automatic"])
def test_an_intent_whose_time_was_over_is_no_attempt_that_failed(reason: str) -> None:
    assert changed("payment_intent.canceled", cancellation_reason=reason).finding == Ignored("nobody_paid")


@pytest.mark.parametrize(
    ("charge", "attempt_id"),
    [("ch_1", "ch_1"), ({"id": "ch_1"}, "ch_1"), (None, None), ("ch:1", None), (["ch_1"], None), ({}, None)],
)
def test_an_attempt_is_known_by_its_charge(charge: Any, attempt_id: str | None) -> None:
    finding = changed("payment_intent.payment_failed", last_payment_error={"charge": charge}).finding
    assert isinstance(finding, Failed)
    assert finding.attempt_id == attempt_id


def test_a_refund_or_dispute_of_a_bare_charge_is_known_by_the_charge() -> None:
    for name in ("refund.updated", "charge.dispute.created"):
        finding = changed(name, payment_intent=None).finding
        assert isinstance(finding, RefundTold | Disputed)
        assert finding.payment_id == "ch_3QxGridLedger01"


def test_a_fee_that_stripe_gives_back_is_below_zero() -> None:
    given_back = {"id": "txn_9", "fee": -1500, "currency": "usd"}
    reading = changed("charge.dispute.closed.lost", status="won", balance_transactions=[given_back])
    assert reading.besides == (FeeKept(PAYMENT, "txn_9", Amount(-1500, "USD", 2)),)


def test_a_fee_is_in_the_currency_of_the_balance() -> None:
    settled = {"id": "txn_9", "fee": 103, "currency": "eur"}
    finding = changed("charge.updated", currency="jpy", balance_transaction=settled).finding
    assert finding == FeeKept(PAYMENT, "txn_9", Amount(103, "EUR", 2))


@pytest.mark.parametrize("fee", ["1500", None, True, 10**20])
def test_an_unreadable_fee_does_not_cost_the_dispute(fee: Any) -> None:
    settled = {"id": "txn_9", "fee": fee, "currency": "usd"}
    reading = changed("charge.dispute.created", balance_transactions=[settled, "txn_10", None])
    assert (type(reading.finding), reading.besides) == (Disputed, ())


def test_an_expanded_refund_tells_its_fee_beside() -> None:
    settled = {"id": "txn_9", "fee": 25, "currency": "usd"}
    reading = changed("refund.created", balance_transaction=settled)
    assert reading.besides == (FeeKept(PAYMENT, "txn_9", Amount(25, "USD", 2)),)
    assert isinstance(reading.finding, RefundTold)


def test_our_reference_is_found_among_more_metadata_than_is_passed_on() -> None:
    crowded = {f"a{number:02}": "theirs" for number in range(20)} | METADATA
    finding = changed("payment_intent.succeeded", metadata=crowded).finding
    assert isinstance(finding, Confirmed)
    assert (finding.reference, finding.user_id, len(finding.metadata)) == (REFERENCE, "alice", 20)
    assert METADATA.items() <= finding.metadata.items()


def test_a_session_names_our_reference_also_as_the_clients() -> None:
    finding = changed("checkout.session.completed", metadata={}).finding
    assert isinstance(finding, Confirmed)
    assert finding.reference == REFERENCE


def test_a_packages_bonus_is_no_contradiction() -> None:
    claims = METADATA | {"credits": "27.50", "tfc_amount": "27.50"}
    odd = changed("payment_intent.succeeded", metadata=claims).finding
    fine = changed("payment_intent.succeeded", metadata=claims | {"package_id": "starter"}).finding
    assert isinstance(odd, Confirmed)
    assert isinstance(fine, Confirmed)
    assert (len(odd.oddities), fine.oddities) == (2, ())
    assert dataclasses.replace(odd, metadata={}, oddities=()) == dataclasses.replace(fine, metadata={}, oddities=())
