"""What we ask of ClickPesa, and what its rows say, without ClickPesa."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from payments_api.adapters.gateways.clickpesa import observing
from payments_api.adapters.gateways.clickpesa.wire import ChecksumKey, checkout_body, checksum, signed
from payments_api.application.gateways import AskedPayment, Observation, PayRequest
from payments_api.domain.quotes import Quote

KEY = ChecksumKey(b"CHKtestsecret")
LEGACY = ChecksumKey(b"CHKtestsecret", "legacy")
REQUEST = PayRequest("p-1", "REF1", "alice", "TZS/0", 10_000, customer_email="asha@example.com", description="é" * 300)
QUOTE = Quote("TZS/0", 10_000, "TFC/2", 376, 0, datetime(2026, 11, 21, 13, tzinfo=UTC))
ASKED = AskedPayment("p-1", "REF1", "alice", None, "TZS/0", 10_000)
AT = datetime(2026, 11, 20, 10, tzinfo=UTC)


def row(**changed: Any) -> dict[str, Any]:
    return {
        "id": "LCP1",
        "status": "SUCCESS",
        "orderReference": "REF1",
        "collectedAmount": 10_000,
        "collectedCurrency": "TZS",
        "message": "fine",
        "createdAt": "2026-11-20T10:00:00.000Z",
        "updatedAt": "2026-11-21T10:00:00.000Z",
    } | changed


def observed(*rows: Any, rate: Fraction | None = None) -> list[Observation]:
    return list(observing.observations(rows, ASKED, rate))


def confirmed(payment_id: str = "LCP1", units: int = 10_000, asset: str = "TZS/0", **more: Any) -> Observation:
    fields = {"received": {"units": units, "asset": asset}} | more
    name = f"{payment_id}.confirmed" + (".worth" if "worth" in more else "")
    return Observation("clickpesa", name, "confirmed", payment_id, AT, "REF1", "alice", fields)


def test_checksums_are_those_that_were_computed_elsewhere() -> None:
    asked = {
        "totalPrice": "1000",
        "orderReference": "ORD123",
        "orderCurrency": "TZS",
        "customerName": "Asha Müller",
        "description": "a/b <c>",
    }
    told = "82063df088a7ebead7b04b3bb002a5cefc6ad0ee9e7b7b40e6fd3eb432ec98f8"
    assert signed(asked, KEY) == asked | {"checksum": told}
    assert checksum(asked | {"checksum": "x", "checksumMethod": "y"}, KEY) == told
    by_values = signed({"b": "2", "a": "1"}, LEGACY)
    assert by_values["checksum"] == checksum({"only": "12"}, LEGACY)
    assert by_values["checksumMethod"] == "legacy"


def test_amounts_go_as_texts_in_their_currencys_own_decimals() -> None:
    body = checkout_body(REQUEST, QUOTE, None)
    assert body == {
        "totalPrice": "10000",
        "orderReference": "REF1",
        "orderCurrency": "TZS",
        "customerEmail": "asha@example.com",
        "description": "é" * 200,
    }
    plain = replace(REQUEST, customer_email=None, description=None)
    dollars = checkout_body(plain, replace(QUOTE, price_asset="USD/2", price=2505), KEY)
    assert (dollars["totalPrice"], dollars["orderCurrency"]) == ("25.05", "USD")
    assert set(dollars) == {"totalPrice", "orderReference", "orderCurrency", "checksum"}


def test_paid_and_settled_are_one_piece_of_news() -> None:
    for status in ("SUCCESS", "SETTLED"):
        assert observed(row(status=status)) == [confirmed()]
    assert "verysecret" not in repr(ChecksumKey(b"verysecret"))


def test_the_worth_of_shillings_is_rounded_down_and_dollars_have_none() -> None:
    told = observed(row(), rate=Fraction("0.00038999"))
    assert told == [confirmed(worth={"units": 389, "asset": "USD/2"})]
    assert observed(row(collectedAmount=1), rate=Fraction("0.00038")) == [confirmed(units=1)]
    dollars = row(collectedCurrency="USD", collectedAmount="25.50")
    assert observed(dollars, rate=Fraction(1)) == [confirmed(units=2550, asset="USD/2")]


def test_worth_that_is_learnt_later_is_news_and_then_a_repeat() -> None:
    """At gateway-ingest a name stands for one piece of news: under the first one the worth would be lost."""
    without, first, again = (observed(row(), rate=rate)[0] for rate in (None, Fraction("0.00038"), Fraction("0.00039")))
    assert without.name != first.name == again.name
    assert {news.payment_id for news in (without, first, again)} == {"LCP1"}


def test_what_went_back_was_paid_first() -> None:
    for status in ("REFUNDED", "REVERSED"):
        fields = {"refunded_total": {"units": 10_000, "asset": "TZS/0"}}
        refunded = Observation("clickpesa", "LCP1.refunded", "refunded", "LCP1", AT, fields=fields)
        assert observed(row(status=status)) == [confirmed(), refunded]


def test_each_payment_of_a_reference_counts_and_a_failed_attempt_beside_does_not() -> None:
    assert observed(row(), row(id="F", status="FAILED"), row(id="B", collectedAmount="5.9")) == [
        confirmed(),
        confirmed("B", 5),
    ]


def test_without_money_the_latest_attempt_counts_and_one_under_way_before_it() -> None:
    first = row(id="F1", status="FAILED", message="Insufficient balance")
    second = first | {"id": "F2", "createdAt": "2026-11-20T11:00:00Z"}
    [failed] = observed(second, first)
    assert (failed.name, failed.kind, failed.reference, failed.user_id) == ("F2.failed", "failed", "REF1", "alice")
    expected = {"reason_code": "payment_failed", "reason": "Insufficient balance", "is_over": False, "attempt_id": "F2"}
    assert failed.fields == expected
    for status in ("PROCESSING", "PENDING", "ON-HOLD"):
        [pending] = observed(second, row(status=status))
        assert (pending.name, pending.kind, pending.user_id) == ("LCP1.pending", "pending", None)
        assert pending.fields == {"state": "processing"}


def test_another_currency_is_told_as_it_came() -> None:
    rows = row(collectedCurrency="kes", collectedAmount="12.5"), row(id="B", collectedCurrency="UGX")
    assert observed(*rows) == [confirmed(units=1250, asset="KES/2"), confirmed("B", 1_000_000, "UGX/2")]


@pytest.mark.parametrize(
    "unreadable",
    [
        7,
        row(orderReference="REF2"),
        row(id="a:b"),
        row(id=None),
        row(status="PAID"),
        row(status=None),
        row(collectedCurrency="KESX"),
        row(collectedCurrency=None, collectedAmount=5),
        row(collectedAmount="0"),
        row(collectedAmount="0.5"),
        row(collectedAmount=-1),
        row(collectedAmount=True),
        row(collectedAmount=10.5),
        row(collectedAmount="NaN"),
        row(collectedAmount="1E+999999"),
        row(collectedAmount=None),
    ],
)
def test_a_row_that_makes_no_sense_says_nothing_and_the_others_do(unreadable: Any) -> None:
    assert observed() == []
    assert observed(unreadable, row(id="LCP2")) == [confirmed("LCP2")]


def test_a_rate_is_needed_for_shillings_that_came() -> None:
    assert observing.needs_a_rate([row()])
    assert observing.needs_a_rate([row(status="refunded", collectedCurrency="tzs")])
    assert not observing.needs_a_rate([row(status="FAILED"), row(collectedCurrency="USD"), 7])


def test_numbers_of_the_query_are_exact() -> None:
    told = json.loads('{"n": 25.05}', parse_float=Decimal)["n"]
    assert observed(row(collectedCurrency="USD", collectedAmount=told)) == [confirmed(units=2505, asset="USD/2")]
