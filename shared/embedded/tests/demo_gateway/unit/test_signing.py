"""What the demo gateway signs and verifies. The address is the one that payments-api's own test expects."""

from __future__ import annotations

import hmac

import pytest

from embedded.demo_gateway.signing import address_signature, is_signed, webhook_signature

SECRET = b"demo-secret"
ADDRESS = {"payment_id": "p1", "reference": "GL123", "user_id": "a.b-c_d", "amount": "2500", "currency": "usd"}
SIGNATURE = "01aa16709583aef1a991cf14c3664f49d84e3aca8811ca0c925faf2b116ac401"


def test_the_address_of_payments_api_is_signed() -> None:
    assert address_signature(ADDRESS, SECRET) == SIGNATURE
    assert is_signed(ADDRESS | {"signature": SIGNATURE, "outcome": "confirmed"}, SECRET)


@pytest.mark.parametrize("name", list(ADDRESS))
def test_any_other_address_is_not(name: str) -> None:
    signed = ADDRESS | {"signature": SIGNATURE}
    assert not is_signed(signed | {name: signed[name] + "0"}, SECRET)
    assert not is_signed({other: value for other, value in signed.items() if other != name}, SECRET)


def test_nor_one_without_a_signature_or_with_another_secret() -> None:
    assert not is_signed(ADDRESS, SECRET)
    assert not is_signed(ADDRESS | {"signature": ""}, SECRET)
    assert not is_signed(ADDRESS | {"signature": "ü"}, SECRET)
    assert not is_signed(ADDRESS | {"signature": SIGNATURE}, b"other")


def test_webhooks_are_signed_as_stripe_signs() -> None:
    expected = hmac.digest(SECRET, b'1700000000.{"id": 1}', "sha256").hex()
    assert webhook_signature(b'{"id": 1}', SECRET, 1_700_000_000) == f"t=1700000000,v1={expected}"
