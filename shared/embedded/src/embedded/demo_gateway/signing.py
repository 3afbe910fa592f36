"""What the demo gateway signs and verifies, with the secret that it shares with payments-api and gateway-ingest.

A payment's address carries a signature over its own parameters; a webhook carries one over its time and raw body, in
Stripe's scheme.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

PARAMETERS = ("payment_id", "reference", "user_id", "amount", "currency")
SIGNATURE = "signature"


def is_signed(parameters: Mapping[str, str], secret: bytes, names: Sequence[str] = PARAMETERS) -> bool:
    """Whether these are the parameters of a payment that payments-api began. Compared in constant time."""
    if any(name not in parameters for name in (*names, SIGNATURE)):
        return False
    expected = address_signature(parameters, secret, names)
    return hmac.compare_digest(expected.encode(), parameters[SIGNATURE].encode())


def address_signature(parameters: Mapping[str, str], secret: bytes, names: Sequence[str] = PARAMETERS) -> str:
    """Hex HMAC-SHA256 over the parameters as a query, in the order of ``names``."""
    query = urlencode([(name, parameters[name]) for name in names])
    return hmac.digest(secret, query.encode(), "sha256").hex()


def webhook_signature(body: bytes, secret: bytes, timestamp_s: int) -> str:
    """The ``Demo-Signature`` header."""
    return f"t={timestamp_s},v1={hmac.digest(secret, b'%d.' % timestamp_s + body, 'sha256').hex()}"
