"""The stored events of a payment, private to this service.

Each has a stable TOPIC; its fields are JSON's own types. A changed shape is a new ``class_version`` with an upcaster,
and a file in ``tests/golden`` for ever. Amounts are integers of the asset's smallest unit, times ISO 8601.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class PaymentEvent:
    """What all have in common. ``originator_id`` is the stream, ``at`` when it was decided."""

    TOPIC: ClassVar[str]

    originator_id: str
    originator_version: int
    at: str


@dataclass(frozen=True)
class PaymentInitiated(PaymentEvent):
    """A person wants to pay ``price``; until ``expires_at`` that buys ``credits`` and ``bonus``."""

    TOPIC: ClassVar[str] = "payments_api.PaymentInitiated"

    user_id: str
    reference: str
    gateway: str
    price_asset: str
    price: int
    credit_asset: str
    credits: int
    bonus: int
    expires_at: str


@dataclass(frozen=True)
class CheckoutOpened(PaymentEvent):
    """The gateway is ready for the person, at ``payment_url``."""

    TOPIC: ClassVar[str] = "payments_api.CheckoutOpened"

    payment_url: str


@dataclass(frozen=True)
class PaymentAttemptFailed(PaymentEvent):
    """An attempt to pay failed; a later one may still succeed."""

    TOPIC: ClassVar[str] = "payments_api.PaymentAttemptFailed"

    reason_code: str
    reason: str


@dataclass(frozen=True)
class PaymentCredited(PaymentEvent):
    """The ledger gave ``credits`` (bonus included) for ``received``."""

    TOPIC: ClassVar[str] = "payments_api.PaymentCredited"

    received_asset: str
    received: int
    credit_asset: str
    credits: int
    rule: str


@dataclass(frozen=True)
class PaymentReversed(PaymentEvent):
    """Money went back: ``refunded_total`` so far."""

    TOPIC: ClassVar[str] = "payments_api.PaymentReversed"

    refunded_asset: str
    refunded_total: int


EVENT_TYPES: tuple[type[PaymentEvent], ...] = (
    PaymentInitiated,
    CheckoutOpened,
    PaymentAttemptFailed,
    PaymentCredited,
    PaymentReversed,
)
