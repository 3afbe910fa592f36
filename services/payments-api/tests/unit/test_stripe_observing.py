"""What Stripe's objects become as observations: names that repeat with the news, amounts in Stripe's units."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payments_api.adapters.gateways.stripe import observing
from payments_api.application.gateways import AskedPayment, Observation

CREATED = 1_767_225_600
AT = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = AskedPayment("p-1", "REF1", "alice", "pi_1", "USD/2", 2500)
METADATA = {"reference": "REF1", "user_id": "alice"}
USD_2500 = {"units": 2500, "asset": "USD/2"}


def intent(**more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"id": "pi_1", "status": "requires_payment_method", "amount": 2500, "currency": "usd"}
    return made | {"created": CREATED, "metadata": METADATA, "latest_charge": None} | more


def settled(**more: Any) -> dict[str, Any]:
    return {"id": "txn_1", "fee": 103, "currency": "usd", "created": CREATED} | more


def paid(**more: Any) -> dict[str, Any]:
    charge = {"id": "ch_1", "created": CREATED, "balance_transaction": settled(), "disputed": False}
    return intent(status="succeeded", amount_received=2500, latest_charge=charge) | more


def test_a_paid_intent_is_confirmed_with_its_fee() -> None:
    assert list(observing.of_intent(paid(), ASKED)) == [
        Observation(
            "stripe",
            "pi_1.confirmed",
            "confirmed",
            "pi_1",
            AT,
            "REF1",
            "alice",
            {"received": USD_2500, "metadata": METADATA},
        ),
        Observation(
            "stripe",
            "pi_1.fee.txn_1",
            "fee",
            "pi_1",
            AT,
            fields={"fee_id": "txn_1", "amount": {"units": 103, "asset": "USD/2"}},
        ),
    ]


@pytest.mark.parametrize(
    ("balance", "charged", "came"),
    [
        (settled(created=CREATED + 5), CREATED + 3, 5),
        (None, CREATED + 3, 3),
        ("txn_1", CREATED + 3, 3),
        (None, None, 0),
    ],
)
def test_a_slow_method_paid_when_its_money_came(balance: Any, charged: int | None, came: int) -> None:
    charge = {"id": "ch_1", "created": charged, "balance_transaction": balance}
    confirmed = observing.of_intent(paid(latest_charge=charge), ASKED)[0]
    assert confirmed.at == AT + timedelta(seconds=came)


def test_what_was_received_counts_in_stripes_own_units() -> None:
    news = observing.of_intent(paid(amount_received=5000, currency="jpy"), ASKED)
    assert news[0].fields["received"] == {"units": 5000, "asset": "JPY/0"}


def test_a_balance_that_is_not_settled_has_no_fee_yet() -> None:
    for balance in (None, "txn_1", settled(fee=0)):
        charge = {"id": "ch_1", "created": CREATED, "balance_transaction": balance}
        assert [each.kind for each in observing.of_intent(paid(latest_charge=charge), ASKED)] == ["confirmed"]


def test_metadata_is_cut_with_ours_first() -> None:
    crowded = {f"a{number:02}": "theirs" for number in range(30)} | METADATA | {"number": 5}
    fields = observing.of_intent(paid(metadata=crowded), ASKED)[0].fields
    assert len(fields["metadata"]) == 20
    assert METADATA.items() <= fields["metadata"].items()


@pytest.mark.parametrize("status", ["requires_payment_method", "requires_confirmation", "requires_capture"])
def test_an_intent_that_waits_says_nothing(status: str) -> None:
    assert list(observing.of_intent(intent(status=status), ASKED)) == []


@pytest.mark.parametrize("status", ["processing", "requires_action"])
def test_a_pending_one(status: str) -> None:
    (news,) = observing.of_intent(intent(status=status), ASKED)
    assert (news.name, news.kind, news.user_id) == (f"pi_1.pending.{status}", "pending", None)
    assert news.fields == {"state": status, "amount": USD_2500}


def test_a_declined_attempt_is_not_the_end_and_a_cancellation_is() -> None:
    error = {"code": "card_declined", "decline_code": "insufficient_funds", "message": "Too little.", "charge": "ch_9"}
    (declined,) = observing.of_intent(intent(last_payment_error=error), ASKED)
    assert declined.name == "pi_1.failed.ch_9"
    assert declined.fields == {
        "reason_code": "insufficient_funds",
        "reason": "Too little.",
        "is_over": False,
        "attempt_id": "ch_9",
    }
    (canceled,) = observing.of_intent(intent(status="canceled", cancellation_reason="abandoned"), ASKED)
    assert canceled.name == "pi_1.failed.canceled"
    assert canceled.fields == {"reason_code": "abandoned", "reason": "", "is_over": True, "attempt_id": "canceled"}


@pytest.mark.parametrize(
    ("status", "held", "names"),
    [
        ("open", None, []),
        ("open", intent(), []),
        ("expired", None, []),
        ("expired", intent(), []),
        ("expired", intent(status="canceled", cancellation_reason="expired"), []),
        ("expired", intent(last_payment_error={"code": "card_declined", "charge": "ch_9"}), ["pi_1.failed.ch_9"]),
        ("expired", paid(), ["pi_1.confirmed", "pi_1.fee.txn_1"]),
        ("complete", intent(status="processing"), ["pi_1.pending.processing"]),
        ("complete", intent(), ["pi_1.failed.async_payment_failed"]),
        ("complete", paid(), ["pi_1.confirmed", "pi_1.fee.txn_1"]),
    ],
)
def test_a_session_speaks_by_its_intent(status: str, held: Any, names: list[str]) -> None:
    session = {"id": "cs_1", "status": status, "payment_intent": held, "created": CREATED, "metadata": METADATA}
    assert [news.name for news in observing.of_session(session, ASKED)] == names


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
def test_refunds(status: str, state: str) -> None:
    refund = {
        "id": "re_1",
        "status": status,
        "amount": 700,
        "currency": "usd",
        "created": CREATED,
        "reason": "duplicate",
    }
    (news,) = observing.of_refunds("pi_1", [refund])
    assert (news.name, news.kind, news.payment_id) == (f"pi_1.refund.re_1.{state}", "refund", "pi_1")
    amount = {"units": 700, "asset": "USD/2"}
    assert news.fields == {"refund_id": "re_1", "amount": amount, "state": state, "reason": "duplicate"}


@pytest.mark.parametrize("status", [None, "of_a_later_version"])
def test_a_refund_in_a_state_that_we_do_not_know_is_not_guessed(status: str | None) -> None:
    assert list(observing.of_refunds("pi_1", [{"id": "re_1", "status": status}])) == []


@pytest.mark.parametrize(
    ("status", "state"), [("needs_response", "opened"), ("under_review", "opened"), ("won", "won"), ("lost", "lost")]
)
def test_disputes_and_their_fees(status: str, state: str) -> None:
    dispute = {"id": "du_1", "status": status, "amount": 2500, "currency": "usd", "created": CREATED}
    dispute |= {"reason": "fraudulent", "balance_transactions": [settled(id="txn_2", fee=1500), settled(fee=0)]}
    told, fee = observing.of_disputes("pi_1", [dispute])
    assert (told.name, told.fields["state"], told.fields["amount"]) == (f"pi_1.dispute.du_1.{state}", state, USD_2500)
    assert (fee.name, fee.fields["amount"]["units"]) == ("pi_1.fee.txn_2", 1500)


@pytest.mark.parametrize("status", ["warning_needs_response", "warning_closed", "prevented", "appeal_under_review"])
def test_an_inquiry_moves_nothing(status: str) -> None:
    dispute = {"id": "du_1", "status": status, "balance_transactions": [settled()]}
    assert list(observing.of_disputes("pi_1", [dispute])) == []


def test_every_name_can_be_an_events_id() -> None:
    error = {"code": "odd code: ünïcode", "message": 5, "charge": None}
    for made in (paid(), intent(status="processing"), intent(last_payment_error=error)):
        for news in observing.of_intent(made, ASKED):
            assert re.fullmatch(r"[A-Za-z0-9_.-]{1,180}", news.name)
            assert re.fullmatch(r"[A-Za-z0-9_.-]{1,180}", news.fields.get("reason_code", "x"))
