"""Topic ``payments``: what gateways say happened, and what payments-api asked them for."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from contracts.amounts import Money
from contracts.messages.message import Identifier, Message
from contracts.topics import PAYMENTS


class PaymentInitiated(Message):
    """A person asked to pay. Carries the quote: pay ``price`` until ``expires_at``, get ``credits`` and ``bonus``."""

    TYPE: ClassVar[str] = "gridledger.payments.PaymentInitiated.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    payment_id: Identifier
    reference: Identifier
    user_id: Identifier
    gateway: Identifier
    price: Money
    credits: Money
    bonus: Money
    expires_at: datetime


class PaymentConfirmed(Message):
    """A gateway says that money arrived. ``received`` is what arrived; metadata claims nothing about amounts.

    ``reference`` is ours, if the gateway gave it back; ``user_id`` stands in metadata that the gateway signed.
    ``paid_at`` is the gateway's time, by which a quote's expiry is judged.
    """

    TYPE: ClassVar[str] = "gridledger.payments.PaymentConfirmed.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    gateway: Identifier
    gateway_payment_id: Identifier
    received: Money
    paid_at: datetime
    reference: Identifier | None = None
    user_id: Identifier | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class PaymentFailed(Message):
    """A gateway says that an attempt to pay failed. It may still succeed later."""

    TYPE: ClassVar[str] = "gridledger.payments.PaymentFailed.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    gateway: Identifier
    gateway_payment_id: Identifier
    reason_code: str
    reason: str
    failed_at: datetime
    reference: Identifier | None = None
    user_id: Identifier | None = None


class PaymentRefunded(Message):
    """A gateway says how much of a payment went back so far. Cumulative: a target, never a difference."""

    TYPE: ClassVar[str] = "gridledger.payments.PaymentRefunded.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    gateway: Identifier
    gateway_payment_id: Identifier
    refunded_total: Money
    refunded_at: datetime
