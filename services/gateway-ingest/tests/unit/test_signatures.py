"""Signatures of the form t=…,v1=…: the reference's vector, rotation, tolerance, and everything that is none."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_ingest.domain.signatures import HEADER_MAX_BYTES, SIGNATURES_MAX, InvalidSignature, sign, verify

BODY = b'{"id":"evt_test","object":"event"}'
SECRET = b"whsec_test"
AT = 1_700_000_000
# Computed with Stripe's own library.
VECTOR = b"c25fec335f20601dcb662f0e7c4944646158a9324bb6ed8b7f6ab126449f507a"
HEADER = b"t=1700000000,v1=" + VECTOR


def refusal(header: bytes | None, body: bytes = BODY, secrets: tuple[bytes, ...] = (SECRET,), now_s: float = AT) -> str:
    with pytest.raises(InvalidSignature) as refused:
        verify(header, body, secrets, now_s)
    return refused.value.reason


def test_the_reference_vector_is_taken() -> None:
    verify(HEADER, BODY, [SECRET], AT)


def test_our_own_signing_makes_the_reference_vector() -> None:
    assert sign(BODY, SECRET, AT) == HEADER


@pytest.mark.parametrize("now_s", [AT - 300, AT + 300, AT + 299.9])
def test_five_minutes_either_way_are_tolerated(now_s: float) -> None:
    verify(HEADER, BODY, [SECRET], now_s)


@pytest.mark.parametrize("now_s", [AT - 301, AT + 301, AT + 300.1])
def test_more_is_stale(now_s: float) -> None:
    assert refusal(HEADER, now_s=now_s) == "stale"


def test_any_signature_may_match_any_secret() -> None:
    header = b"t=1700000000,v0=" + b"a" * 64 + b", v1=" + b"0" * 64 + b",v1=" + VECTOR
    verify(header, BODY, [b"whsec_old", SECRET, b"whsec_new"], AT)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "missing"),
        (b"", "missing"),
        (b"nonsense", "malformed"),
        (b"v1=" + VECTOR, "malformed"),
        (b"t=1700000000", "malformed"),
        (b"t=1700000000,v0=" + VECTOR, "malformed"),
        (b"t=,v1=" + VECTOR, "malformed"),
        (b"t=-1700000000,v1=" + VECTOR, "malformed"),
        (b"t=17e8,v1=" + VECTOR, "malformed"),
        (b"t=\xb21700000000,v1=" + VECTOR, "malformed"),
        (b"t=1700000000,t=1700000000,v1=" + VECTOR, "malformed"),
        (b"t=" + b"9" * 400 + b",v1=" + VECTOR, "malformed"),
        (b"t=1700000000" + b",v1=00" * (SIGNATURES_MAX + 1), "malformed"),
        (HEADER + b"," + b"x" * HEADER_MAX_BYTES, "malformed"),
        (b"t=1700000000,v1=" + VECTOR.upper(), "wrong"),
        (b"t=1700000000,v1=" + VECTOR[:-1], "wrong"),
        (b"t=1700000000,v1=\xff\xfe", "wrong"),
        (b"t=1700000001,v1=" + VECTOR, "wrong"),
    ],
)
def test_what_is_refused(header: bytes | None, reason: str) -> None:
    assert refusal(header) == reason


def test_another_body_or_secret_is_wrong() -> None:
    assert refusal(HEADER, BODY + b" ") == "wrong"
    assert refusal(HEADER, secrets=(b"whsec_other",)) == "wrong"
    assert refusal(HEADER, secrets=()) == "wrong"


@given(body=st.binary(max_size=200), secret=st.binary(min_size=1, max_size=40), at=st.integers(0, 10**12 - 1))
def test_signing_agrees_with_the_definition(body: bytes, secret: bytes, at: int) -> None:
    expected = hmac.new(secret, str(at).encode() + b"." + body, hashlib.sha256).hexdigest()
    header = sign(body, secret, at)
    assert header == f"t={at},v1={expected}".encode()
    verify(header, body, [secret], at)


@given(header=st.binary(max_size=300))
def test_no_header_raises_anything_else(header: bytes) -> None:
    assert refusal(header) in {"missing", "malformed", "stale", "wrong"}
