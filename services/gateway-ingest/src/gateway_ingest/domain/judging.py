"""The rules by which values of a genuine event are taken or refused, the same for every gateway.

What is unusable about the money itself raises OddEvent: the event is quarantined. What is unusable beside it (a user
id that is none, a claim that contradicts the amount) is noted, since it must not cost anybody their payment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gateway_ingest.domain.currencies import STRIPE_EXPONENTS
from gateway_ingest.domain.facts import Amount

AMOUNT_MAX = Decimal("9999999999999.99")
"""Largest amount that the books take, in whole units of its currency."""
METADATA_MAX_KEYS = 20
METADATA_KEY_MAX_CHARS = 40
METADATA_VALUE_MAX_CHARS = 500
TEXT_MAX_CHARS = 500
CODE_MAX_CHARS = 64
TYPE_MAX_CHARS = 100
TIMESTAMP_MAX_S = 1 << 33

CLAIM_KEYS = ("tfc_amount", "credits", "amount_usd")
"""Metadata in which a client says what it wants credited. Never used; compared, because it tells of a bug or a try."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9_.-]{1,200}", re.ASCII)
_USER_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_EVENT_TYPE = re.compile(rf"[\x21-\x7e]{{1,{TYPE_MAX_CHARS}}}")
_PLAIN_DECIMAL = re.compile(r"\d{1,18}(\.\d{1,18})?", re.ASCII)


class OddEvent(Exception):
    """The event is genuine and makes no sense. ``reason`` is a stable code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def identifier(value: Any) -> str | None:
    """An id as gateways make them, or None. No colon: ids become parts of references."""
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None


def payment_identifier(value: Any) -> str:
    """The gateway's id of the payment. Raises OddEvent."""
    found = identifier(value)
    if found is None:
        raise OddEvent("bad_payment_id")
    return found


def event_type(value: Any) -> str | None:
    """The name of the event's type, or None when it is none."""
    return value if isinstance(value, str) and _EVENT_TYPE.fullmatch(value) else None


def amount(units: Any, currency: Any) -> Amount:
    """A positive amount of a currency that we know. Raises OddEvent."""
    code = currency.upper() if isinstance(currency, str) else ""
    exponent = STRIPE_EXPONENTS.get(code)
    if exponent is None:
        raise OddEvent("unknown_currency")
    # bool is an int in Python, not in JSON.
    if not isinstance(units, int) or isinstance(units, bool):
        raise OddEvent("bad_amount")
    if units <= 0:
        raise OddEvent("amount_not_positive")
    if units > AMOUNT_MAX.scaleb(exponent):
        raise OddEvent("amount_too_large")
    return Amount(units, code, exponent)


def unix_time(value: Any) -> datetime | None:
    """A time in whole seconds since 1970, or None when it is none."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < TIMESTAMP_MAX_S:
        return None
    return datetime.fromtimestamp(value, UTC)


def metadata(value: Any) -> dict[str, str]:
    """What of the metadata is passed on: short texts, the first METADATA_MAX_KEYS of them, exactly as they are."""
    if not isinstance(value, dict):
        return {}
    kept: dict[str, str] = {}
    for key, text in value.items():
        if len(kept) == METADATA_MAX_KEYS:
            break
        if len(key) <= METADATA_KEY_MAX_CHARS and isinstance(text, str) and len(text) <= METADATA_VALUE_MAX_CHARS:
            kept[key] = text
    return kept


def user_id(value: Any) -> tuple[str | None, tuple[str, ...]]:
    """The user that the gateway signed, and what is odd about it. Who has no usable id still has paid."""
    if value is None or value == "":
        return None, ()
    if isinstance(value, str) and _USER_ID.fullmatch(value):
        return value, ()
    return None, ("bad_user_id",)


def contradicted_claims(given: Mapping[str, Any], received: Amount) -> tuple[str, ...]:
    """The claims that differ from what was received. Only US dollars can be compared: claims name no other."""
    if received.currency != "USD":
        return ()
    truth = Decimal(received.units).scaleb(-received.exponent)
    return tuple(f"claim_differs:{key}" for key in CLAIM_KEYS if key in given and _claimed(given[key]) != truth)


def short_text(value: Any, limit: int = TEXT_MAX_CHARS) -> str:
    """A text that a gateway wrote for people, cut; empty when it is none."""
    return value[:limit] if isinstance(value, str) else ""


def _claimed(value: Any) -> Decimal | None:
    return Decimal(value) if isinstance(value, str) and _PLAIN_DECIMAL.fullmatch(value) else None
