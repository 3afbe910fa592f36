"""What Stripe's events say: amounts received, cumulative refunds, paid or unpaid checkouts, and all that is odd."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_ingest.adapters.gateways import demo
from gateway_ingest.adapters.gateways.stripe import gateway as stripe
from gateway_ingest.domain.facts import (
    Amount,
    Confirmed,
    Failed,
    Finding,
    Ignored,
    Odd,
    Reading,
    Refunded,
    content_hash,
)

CREATED = 1_767_225_600


def event(kind: str, subject: Any, **more: Any) -> dict[str, Any]:
    return {"id": "evt_1", "type": kind, "created": CREATED, "data": {"object": subject}} | more


def intent(**more: Any) -> dict[str, Any]:
    return {"id": "pi_1", "amount": 9900, "amount_received": 2500, "currency": "usd", "metadata": {}} | more


def succeeded(**more: Any) -> Finding:
    return stripe.read(event("payment_intent.succeeded", intent(**more))).finding


def test_a_payment_counts_by_what_was_received() -> None:
    reading = stripe.read(event("payment_intent.succeeded", intent(metadata={"user_id": "alice", "note": "x"})))
    assert reading == Reading(
        "evt_1",
        "payment_intent.succeeded",
        datetime(2026, 1, 1, tzinfo=UTC),
        Confirmed("pi_1", Amount(2500, "USD", 2), None, "alice", {"user_id": "alice", "note": "x"}),
    )


@pytest.mark.parametrize(
    ("currency", "asset"), [("jpy", "JPY/0"), ("KWD", "KWD/3"), ("tzs", "TZS/2"), ("isk", "ISK/2")]
)
def test_exponents_are_stripes(currency: str, asset: str) -> None:
    finding = succeeded(currency=currency)
    assert isinstance(finding, Confirmed)
    assert finding.received.asset == asset


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount_received": 0}, "amount_not_positive"),
        ({"amount_received": -2500}, "amount_not_positive"),
        ({"amount_received": None}, "bad_amount"),
        ({"amount_received": "2500"}, "bad_amount"),
        ({"amount_received": 2500.0}, "bad_amount"),
        ({"amount_received": True}, "bad_amount"),
        ({"amount_received": [2500]}, "bad_amount"),
        ({"amount_received": 10**15}, "amount_too_large"),
        ({"amount_received": 10**40}, "amount_too_large"),
        ({"currency": "xyz"}, "unknown_currency"),
        ({"currency": None}, "unknown_currency"),
        ({"currency": 840}, "unknown_currency"),
        ({"id": None}, "bad_payment_id"),
        ({"id": ""}, "bad_payment_id"),
        ({"id": "pi:1"}, "bad_payment_id"),
        ({"id": "pi_\u0000"}, "bad_payment_id"),
        ({"id": {"id": "pi_1"}}, "bad_payment_id"),
        ({"id": "p" * 201}, "bad_payment_id"),
    ],
)
def test_a_payment_that_makes_no_sense_is_odd(changes: dict[str, Any], reason: str) -> None:
    assert succeeded(**changes) == Odd(reason)


def test_the_largest_amount_of_the_books_is_taken() -> None:
    finding = succeeded(amount_received=999_999_999_999_999)
    assert isinstance(finding, Confirmed)
    assert finding.received.units == 999_999_999_999_999


def test_a_missing_amount_received_is_not_made_up_from_the_amount_asked_for() -> None:
    subject = intent()
    del subject["amount_received"]
    assert stripe.read(event("payment_intent.succeeded", subject)).finding == Odd("bad_amount")


@pytest.mark.parametrize("user", ["al ice", "a:b", "a" * 65, "ünal", "a\u0000", 7, ["alice"], {"id": 1}, True])
def test_a_bad_user_id_does_not_cost_the_payment(user: Any) -> None:
    finding = succeeded(metadata={"user_id": user})
    assert isinstance(finding, Confirmed)
    assert (finding.user_id, finding.oddities) == (None, ("bad_user_id",))


@pytest.mark.parametrize("metadata", [None, [], "user_id", 5, {}, {"user_id": None}, {"user_id": ""}])
def test_no_user_id_is_nothing_odd(metadata: Any) -> None:
    finding = succeeded(metadata=metadata)
    assert isinstance(finding, Confirmed)
    assert (finding.user_id, finding.oddities) == (None, ())


def test_claims_are_compared_and_never_used() -> None:
    claims = {"user_id": "mallory", "tfc_amount": "1000000", "credits": "25", "amount_usd": "a lot"}
    finding = succeeded(metadata=claims)
    assert isinstance(finding, Confirmed)
    assert finding.received == Amount(2500, "USD", 2)
    assert finding.oddities == ("claim_differs:tfc_amount", "claim_differs:amount_usd")


def test_claims_in_another_currency_cannot_be_compared() -> None:
    finding = succeeded(currency="eur", metadata={"tfc_amount": "1"})
    assert isinstance(finding, Confirmed)
    assert finding.oddities == ()


def test_metadata_is_cut_to_short_texts_and_kept_exactly() -> None:
    metadata: dict[str, Any] = {"n": "nul \u0000 and ünïcode", "long": "x" * 501, "k" * 41: "v", "number": 5}
    metadata |= {f"key{number:02}": "v" for number in range(30)}
    finding = succeeded(metadata=metadata)
    assert isinstance(finding, Confirmed)
    assert finding.metadata == {"n": "nul \u0000 and ünïcode"} | {f"key{number:02}": "v" for number in range(19)}


def checkout(**more: Any) -> Finding:
    session = {
        "id": "cs_1", "payment_intent": "pi_1", "payment_status": "paid", "amount_total": 1000, "currency": "usd",
        "metadata": {"user_id": "1", "credits": "1000"},
    }  # fmt: skip
    return stripe.read(event("checkout.session.completed", session | more)).finding


def test_a_paid_checkout_counts_under_its_payment_intent() -> None:
    finding = checkout()
    assert isinstance(finding, Confirmed)
    assert (finding.payment_id, finding.received, finding.user_id) == ("pi_1", Amount(1000, "USD", 2), "1")


def test_a_payment_intent_may_come_expanded() -> None:
    finding = checkout(payment_intent={"id": "pi_7", "object": "payment_intent"})
    assert isinstance(finding, Confirmed)
    assert finding.payment_id == "pi_7"


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"payment_status": "unpaid"}, Ignored("checkout_unpaid")),
        ({"payment_status": "no_payment_required"}, Ignored("checkout_no_payment_required")),
        ({"payment_status": "PAID"}, Odd("bad_payment_status")),
        ({"payment_status": ["paid"]}, Odd("bad_payment_status")),
        ({"payment_intent": None}, Odd("bad_payment_id")),
        ({"amount_total": None}, Odd("bad_amount")),
    ],
)
def test_a_checkout_that_is_not_paid_gives_nothing(changes: dict[str, Any], finding: Finding) -> None:
    assert checkout(**changes) == finding


def test_a_refund_says_how_much_went_back_in_all() -> None:
    charge = {"id": "ch_1", "payment_intent": "pi_1", "amount": 2500, "amount_refunded": 700, "currency": "usd"}
    refunded = Amount(700, "USD", 2)
    assert stripe.read(event("charge.refunded", charge)).finding == Refunded("pi_1", refunded)
    without = charge | {"payment_intent": None}
    assert stripe.read(event("charge.refunded", without)).finding == Refunded("ch_1", refunded)
    assert stripe.read(event("charge.refunded", charge | {"amount_refunded": 0})).finding == Odd("amount_not_positive")


def test_a_failed_payment_says_why() -> None:
    error = {"code": "card_declined", "decline_code": "insufficient_funds", "message": "Your card has too little."}
    subject = intent(last_payment_error=error, metadata={"user_id": "bob", "reference": "GL1"})
    expected = Failed("pi_1", "insufficient_funds", "Your card has too little.", "GL1", "bob")
    assert stripe.read(event("payment_intent.payment_failed", subject)).finding == expected
    bare = stripe.read(event("payment_intent.payment_failed", {"id": "pi_1", "last_payment_error": None})).finding
    assert bare == Failed("pi_1", "unknown", "")


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"type": "customer.created"}, Ignored("type_not_handled")),
        ({"type": None}, Odd("bad_event_type")),
        ({"type": "payment_intent.succeeded\u0000"}, Odd("bad_event_type")),
        ({"id": None}, Odd("bad_event_id")),
        ({"id": "evt_\u0000"}, Odd("bad_event_id")),
        ({"id": 5}, Odd("bad_event_id")),
        ({"data": None}, Odd("no_object")),
        ({"data": {"object": "pi_1"}}, Odd("no_object")),
    ],
)
def test_the_event_around_it(changes: dict[str, Any], finding: Finding) -> None:
    assert stripe.read(event("payment_intent.succeeded", intent()) | changes).finding == finding


def test_a_redelivery_has_the_same_content_although_its_bytes_differ() -> None:
    first = stripe.read(event("payment_intent.succeeded", intent(), pending_webhooks=2))
    again = stripe.read(event("payment_intent.succeeded", intent(), pending_webhooks=1))
    other = stripe.read(event("payment_intent.succeeded", intent(amount_received=2501)))
    assert content_hash(first) == content_hash(again) != content_hash(other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KEYS = (
    "id", "amount_received", "amount_total", "amount_refunded", "currency", "metadata", "payment_intent",
    "payment_status", "last_payment_error", "amount", "status", "reason", "failure_reason", "cancellation_reason",
    "client_reference_id", "charge", "balance_transaction", "balance_transactions", "fee",
)  # fmt: skip
VALUES = ["pi_1", "usd", "paid", 2500, "lost", "failed"]
SUBJECTS = st.dictionaries(st.sampled_from(KEYS), JSON | st.sampled_from(VALUES), max_size=9)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON | st.just("evt_1"),
        "type": JSON | st.sampled_from(sorted(stripe.HANDLED) + sorted(demo.HANDLED)),
        "created": JSON,
        "data": JSON | SUBJECTS | st.fixed_dictionaries({"object": JSON | SUBJECTS}),
    },
)


@given(value=JSON | EVENTS)
def test_no_json_is_more_than_odd(value: Any) -> None:
    """Through real bytes, as they come: neither reader raises, and what they make of it can be hashed and stored."""
    parsed = msgspec.json.decode(json.dumps(value).encode())
    for read in (stripe.read, demo.read):
        reading = read(parsed)
        assert len(content_hash(reading)) == 32
        assert reading.event_id is None or "\u0000" not in reading.event_id
        assert "\u0000" not in reading.event_type
        assert all(len(content_hash(replace(reading, finding=fee))) == 32 for fee in reading.besides)
        if isinstance(reading.finding, Confirmed):
            assert 0 < reading.finding.received.units < 10**16
