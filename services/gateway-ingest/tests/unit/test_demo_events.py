"""What the demo gateway's events say."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_ingest.adapters.gateways import demo
from gateway_ingest.domain.facts import Amount, Confirmed, Failed, Finding, Ignored, Odd

PAYMENT = {"payment_id": "pay-1", "reference": "GL123", "user_id": "alice", "amount": 2500, "currency": "usd"}


def finding(kind: str, **changes: Any) -> Finding:
    return demo.read({"id": "demo_evt_1", "type": kind, "created": 1, "data": PAYMENT | changes}).finding


def test_a_confirmed_payment() -> None:
    assert finding("payment.confirmed") == Confirmed("pay-1", Amount(2500, "USD", 2), "GL123", "alice")


def test_a_failed_payment() -> None:
    assert finding("payment.failed", reason="pressed Fail") == Failed(
        "pay-1", "declined", "pressed Fail", "GL123", "alice"
    )


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("payment.confirmed", {"amount": "2500"}, Odd("bad_amount")),
        ("payment.confirmed", {"currency": "tfc"}, Odd("unknown_currency")),
        ("payment.confirmed", {"payment_id": None}, Odd("bad_payment_id")),
        ("payment.refunded", {}, Ignored("type_not_handled")),
    ],
)
def test_what_is_odd(kind: str, changes: dict[str, Any], expected: Finding) -> None:
    assert finding(kind, **changes) == expected


def test_without_data_there_is_no_payment() -> None:
    assert demo.read({"id": "demo_evt_1", "type": "payment.failed", "data": []}).finding == Odd("no_object")
