"""ClickPesa's answers about a payment, and its webhooks, read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from gateway_ingest.adapters.gateways.clickpesa import gateway as clickpesa
from gateway_ingest.adapters.gateways.clickpesa import rows
from gateway_ingest.domain.facts import Amount, Confirmed, Failed, Ignored, Odd, Pending, Refunded

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def row(**changed: Any) -> dict[str, Any]:
    return {
        "id": "LCP1",
        "status": "SUCCESS",
        "paymentReference": "x",
        "orderReference": "REF1",
        "collectedAmount": 10_000,
        "collectedCurrency": "TZS",
        "message": "fine",
        "createdAt": "2026-11-20T10:00:00.000Z",
        "updatedAt": "2026-11-21T10:00:00.000Z",
    } | changed


def confirmed(payment_id: str = "LCP1", units: int = 10_000) -> Confirmed:
    return Confirmed(payment_id, Amount(units, "TZS", 0), "REF1")


def test_paid_is_told_at_the_payments_own_time() -> None:
    reading = rows.reading_of("REF1", [row()])
    assert (reading.event_type, reading.finding, reading.besides) == ("payment.confirmed", confirmed(), ())
    assert reading.occurred_at == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_settling_is_no_news_and_another_amount_is() -> None:
    paid, settled = (rows.reading_of("REF1", [row(status=status)]) for status in ("SUCCESS", "SETTLED"))
    assert (paid.event_id, paid.finding) == (settled.event_id, settled.finding)
    # Stored for ever.
    assert paid.event_id == "REF1.f0a5dd33487a6cc54a35800c"
    assert rows.reading_of("REF1", [row(collectedAmount=9_999)]).event_id != paid.event_id


def test_what_went_back_was_paid_first() -> None:
    for status in ("REFUNDED", "REVERSED"):
        reading = rows.reading_of("REF1", [row(status=status)])
        assert (reading.finding, reading.besides) == (confirmed(), (Refunded("LCP1", Amount(10_000, "TZS", 0)),))


def test_each_payment_of_a_reference_counts_and_a_failed_attempt_beside_does_not() -> None:
    reading = rows.reading_of("REF1", [row(id="B"), row(id="F", status="FAILED"), row(id="A", collectedAmount="5")])
    assert (reading.finding, reading.besides) == (confirmed("A", 5), (confirmed("B"),))


def test_without_money_the_latest_attempt_counts_and_one_under_way_before_it() -> None:
    first = row(id="F1", status="FAILED", collectedAmount=None, message="Insufficient balance")
    second = first | {"id": "F2", "createdAt": "2026-11-20T11:00:00Z"}
    told = rows.reading_of("REF1", [second, first])
    assert told.finding == Failed("F2", "payment_failed", "Insufficient balance", "REF1", attempt_id="F2")
    for status in ("PROCESSING", "PENDING", "ON-HOLD"):
        told = rows.reading_of("REF1", [row(status=status), second])
        assert told.finding == Pending("LCP1", "processing", reference="REF1")


@pytest.mark.parametrize(
    ("amount", "currency", "units", "oddities"),
    [
        (25, "USD", 2500, ()),
        ("25.50", "usd", 2550, ()),
        (json.loads("25.05", parse_float=Decimal), "USD", 2505, ()),
        ("1000.75", "TZS", 1000, ("fraction_left_out",)),
        ("10.009", "USD", 1000, ("fraction_left_out",)),
        ("1000.00", "TZS", 1000, ()),
        ("12.5", "KES", 1250, ()),
    ],
)
def test_amounts_are_exact(amount: Any, currency: str, units: int, oddities: tuple[str, ...]) -> None:
    finding = rows.reading_of("REF1", [row(collectedAmount=amount, collectedCurrency=currency)]).finding
    assert isinstance(finding, Confirmed)
    assert (finding.received.units, finding.oddities) == (units, oddities)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([], "unknown_at_gateway"),
        ([7], "no_object"),
        ([row(status="PAID")], "bad_status"),
        ([row(status=["SUCCESS"])], "bad_status"),
        ([row(id="a:b")], "bad_payment_id"),
        ([row(orderReference="REF2")], "another_reference"),
        ([row(orderReference=None)], "bad_reference"),
        ([row(collectedCurrency="KESX")], "unknown_currency"),
        ([row(collectedAmount="0")], "amount_not_positive"),
        ([row(collectedAmount="0.5")], "amount_not_positive"),
        ([row(collectedAmount="-5")], "amount_not_positive"),
        ([row(collectedAmount=True)], "bad_amount"),
        ([row(collectedAmount=10.5)], "bad_amount"),
        ([row(collectedAmount="NaN")], "bad_amount"),
        ([row(collectedAmount="1E+999999")], "bad_amount"),
        ([row(collectedAmount=None)], "bad_amount"),
        ([row(collectedAmount="99999999999999999")], "amount_too_large"),
        ([row(), row(id=None)], "bad_payment_id"),
    ],
)
def test_what_makes_no_sense_is_odd(answer: list[Any], reason: str) -> None:
    reading = rows.reading_of("REF1", answer)
    assert (reading.event_id, reading.finding) == (None, Odd(reason))


def test_the_worth_of_shillings_is_rounded_down() -> None:
    reading = rows.with_worth(rows.reading_of("REF1", [row()]), Decimal("0.00038999"))
    assert reading.finding == replace(confirmed(), worth=Amount(389, "USD", 2))
    tiny = rows.with_worth(rows.reading_of("REF1", [row(collectedAmount=1)]), Decimal("0.00038"))
    assert tiny.finding == confirmed(units=1)
    dollars = rows.reading_of("REF1", [row(collectedCurrency="USD")])
    assert rows.with_worth(dollars, Decimal(1)) == dollars


@pytest.mark.parametrize(
    ("event", "kind", "finding"),
    [
        (
            {"event": "PAYMENT RECEIVED", "data": {"id": "LCP1", "orderReference": "REF1"}},
            "PAYMENT_RECEIVED",
            Pending("REF1", "processing", reference="REF1"),
        ),
        (
            {"eventType": "payment failed", "data": {"paymentId": "LCP1", "orderReference": "REF1"}},
            "PAYMENT_FAILED",
            Pending("REF1", "processing", reference="REF1"),
        ),
        ({"event": "PAYOUT REFUNDED", "data": {}}, "PAYOUT_REFUNDED", Ignored("type_not_handled")),
        ({"event": "PAYMENT RECEIVED"}, "PAYMENT_RECEIVED", Odd("no_object")),
        ({"event": "PAYMENT RECEIVED", "data": {"orderReference": "a/b"}}, "PAYMENT_RECEIVED", Odd("bad_reference")),
        ({"event": 7}, "", Odd("bad_event_type")),
        ({}, "", Odd("bad_event_type")),
        ([], "", Odd("bad_event_type")),
        ("text", "", Odd("bad_event_type")),
    ],
)
def test_a_webhook_only_says_what_to_ask_about(event: Any, kind: str, finding: Any) -> None:
    reading = clickpesa.read(event)
    assert (reading.event_id, reading.event_type, reading.finding) == (None, kind, finding)


def test_a_rate_must_be_plausible_and_young() -> None:
    told = {"source": "USD", "target": "TZS", "rate": "2600.5", "date": "2026-11-20"}
    assert clickpesa.shillings_per_dollar(["x", told], NOW) == Decimal("2600.5")
    refused: list[dict[str, Any]] = [
        {"rate": Decimal("0.00038")},
        {"rate": "x"},
        {"source": "EUR"},
        {"date": "2026-11-01"},
        {"date": None},
    ]
    for changed in refused:
        assert clickpesa.shillings_per_dollar([told | changed], NOW) is None
    assert clickpesa.shillings_per_dollar([told], NOW + timedelta(days=9)) is None


@pytest.mark.parametrize("told", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon", 5, None])
def test_a_time_that_is_none_costs_nobody_the_payment(told: Any) -> None:
    reading = rows.reading_of("REF1", [row(createdAt=told, updatedAt=told)])
    assert (reading.finding, reading.occurred_at) == (confirmed(), None)
