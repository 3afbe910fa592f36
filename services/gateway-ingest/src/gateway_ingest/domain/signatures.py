"""Webhook signatures of the form ``t=<unix seconds>,v1=<hex>[,v1=<hex>…]``: Stripe's scheme, and our demo gateway's.

v1 is HMAC-SHA256 over ``<t>.<raw body>``. Any v1 may match any live secret, so that secrets can be rotated. Decides on
the raw bytes and a given time; never parses the body.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

TOLERANCE_S = 300
HEADER_MAX_BYTES = 4096
SIGNATURES_MAX = 16
TIMESTAMP_MAX_DIGITS = 12


class InvalidSignature(Exception):
    """Not proven to come from the gateway. ``reason`` (missing, malformed, stale, wrong) is for our counters only."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def verify(
    header: bytes | None, body: bytes, secrets: Sequence[bytes], now_s: float, tolerance_s: int = TOLERANCE_S
) -> None:
    """Return when one signature of ``header`` is right for ``body`` and its time within ``tolerance_s`` of ``now_s``,
    before or after. Raises InvalidSignature. The secrets are compared in constant time."""
    if not header:
        raise InvalidSignature("missing")
    timestamp, signatures = _parse(header)
    if abs(now_s - int(timestamp)) > tolerance_s:
        raise InvalidSignature("stale")
    signed = timestamp + b"." + body
    matches = False
    for secret in secrets:
        expected = hmac.digest(secret, signed, "sha256").hex().encode()
        for signature in signatures:
            matches |= hmac.compare_digest(signature, expected)
    if not matches:
        raise InvalidSignature("wrong")


def sign(body: bytes, secret: bytes, timestamp_s: int) -> bytes:
    """The header that ``verify`` takes."""
    signed = b"%d." % timestamp_s + body
    return b"t=%d,v1=%s" % (timestamp_s, hmac.digest(secret, signed, "sha256").hex().encode())


def _parse(header: bytes) -> tuple[bytes, Sequence[bytes]]:
    if len(header) > HEADER_MAX_BYTES:
        raise InvalidSignature("malformed")
    timestamps: list[bytes] = []
    signatures: list[bytes] = []
    for part in header.split(b","):
        name, _, value = part.strip().partition(b"=")
        if name == b"t":
            timestamps.append(value)
        elif name == b"v1":
            signatures.append(value)
    if len(timestamps) != 1 or not 0 < len(signatures) <= SIGNATURES_MAX:
        raise InvalidSignature("malformed")
    # bytes.isdigit knows ASCII digits only, so int() cannot fail.
    if not timestamps[0].isdigit() or len(timestamps[0]) > TIMESTAMP_MAX_DIGITS:
        raise InvalidSignature("malformed")
    return timestamps[0], signatures
