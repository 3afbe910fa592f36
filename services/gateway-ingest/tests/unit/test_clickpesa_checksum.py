"""ClickPesa's checksums: both methods, every place, and what is not proven by them."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest

from embedded.gateway_simulators.clickpesa.checksum import checksum
from gateway_ingest.adapters.gateways.clickpesa.checksum import canonical, legacy, proved_with
from gateway_ingest.domain.signatures import InvalidSignature

KEY = b"CHKtestsecret"
EVENT = {
    "event": "PAYMENT RECEIVED",
    "data": {
        "status": "SUCCESS",
        "orderReference": "ORD123",
        "collectedAmount": "1000",
        "customer": {"customerName": "A", "customerEmail": None},
    },
}
EVENT_DIGEST = "0f0c7422bea7a677a540aa906eea2d0dbc6735b56dceceef3ee8299289f22ba4"
HEADER = b"x-clickpesa-signature"


def proven(event: Any, *, header: str | None = None, keys: tuple[bytes, ...] = (KEY,)) -> str:
    """``yes``, or the reason why not."""
    body = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
    headers = [] if header is None else [(HEADER, header.encode())]
    try:
        proved_with(keys)(headers, body, 0)
    except InvalidSignature as invalid:
        return invalid.reason
    return "yes"


def test_the_canonical_form_is_that_of_javascript() -> None:
    asked = {
        "totalPrice": "1000",
        "orderReference": "ORD123",
        "orderCurrency": "TZS",
        "customerName": "Asha Müller",
        "description": "a/b <c>",
    }
    digest = hmac.digest(KEY, canonical(asked).encode(), "sha256").hex()
    assert digest == "82063df088a7ebead7b04b3bb002a5cefc6ad0ee9e7b7b40e6fd3eb432ec98f8"
    assert canonical({"b": [1, True, None], "a": "\u2028\x01\x7f"}) == '{"a":"\u2028\\u0001\x7f","b":[1,true,null]}'
    # By code units an astral letter stands before one at the end of the basic plane.
    assert canonical({"\uff5e": "1", "\U0001f600": "2"}) == '{"\U0001f600":"2","\uff5e":"1"}'


def test_in_the_body() -> None:
    assert proven(EVENT | {"checksum": EVENT_DIGEST, "checksumMethod": "canonical"}) == "yes"
    assert proven(EVENT | {"checksum": EVENT_DIGEST.upper()}) == "yes"
    assert proven(EVENT | {"checksum": EVENT_DIGEST}, keys=(b"CHKnew", KEY)) == "yes"
    assert proven(EVENT | {"checksum": EVENT_DIGEST}, keys=(b"CHKnew",)) == "wrong"
    assert proven(EVENT | {"checksum": EVENT_DIGEST, "event": "PAYMENT FAILED"}) == "wrong"


def test_in_the_data_over_the_data() -> None:
    data = {**EVENT["data"], "checksum": checksum(EVENT["data"], KEY)}  # type: ignore[dict-item, arg-type]
    assert proven({"event": "PAYMENT RECEIVED", "data": data}) == "yes"
    assert proven({"event": "PAYMENT RECEIVED", "data": data | {"status": "FAILED"}}) == "wrong"


def test_in_the_header_over_the_canonical_form_or_the_raw_body() -> None:
    body = json.dumps(EVENT, indent=1).encode()
    assert proven(body, header=EVENT_DIGEST) == "yes"
    assert proven(body, header=hmac.digest(KEY, body, "sha256").hex()) == "yes"
    assert proven(body + b" ", header=hmac.digest(KEY, body, "sha256").hex()) == "wrong"


def test_the_body_goes_before_the_header() -> None:
    assert proven(EVENT | {"checksum": "0" * 64}, header=EVENT_DIGEST) == "wrong"


def test_the_legacy_method_covers_what_is_inside() -> None:
    assert legacy({"b": "2", "a": "1", "c": {"y": "4", "x": "3"}}) == '12{"x":"3","y":"4"}'
    signed = EVENT | {"checksumMethod": "legacy"}
    signed["checksum"] = checksum(signed, KEY, "legacy")
    assert proven(signed) == "yes"
    assert proven(signed | {"data": {**EVENT["data"], "collectedAmount": "9000"}}) == "wrong"  # type: ignore[dict-item]
    assert proven(signed | {"checksumMethod": "canonical"}) == "wrong"


@pytest.mark.parametrize("number", ["1000", "1000.50", "0.1", "1e21", "12345678901234567890.123456789"])
def test_numbers_count_as_they_were_written(number: str) -> None:
    text = f'{{"amount":{number},"event":"x"}}'
    digest = hmac.digest(KEY, text.encode(), "sha256").hex()
    assert proven(f'{{"event":"x", "amount": {number}, "checksum":"{digest}"}}'.encode()) == "yes"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "malformed"),
        (b"[]", "malformed"),
        (b"\xff", "malformed"),
        (b'{"a":NaN,"checksum":"x"}', "malformed"),
        (b'{"checksum":5}', "malformed"),
        (b'{"checksum":null}', "malformed"),
        (b'{"\\ud800":"x","checksum":"x"}', "malformed"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b',"checksum":"x"}', "malformed"),
        (b"{}", "missing"),
        (b'{"data":[]}', "missing"),
        (b'{"checksum":""}', "wrong"),
        ('{"checksum":"é"}'.encode(), "wrong"),
    ],
)
def test_what_proves_nothing(body: bytes, reason: str) -> None:
    assert proven(body) == reason


def test_without_a_key_nothing_is_proven() -> None:
    assert proven(EVENT | {"checksum": EVENT_DIGEST}, keys=()) == "wrong"
