"""Topic ``payments``: what gateways say happened, and what payments-api asked them for."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.amounts import Money
from contracts.messages.message import Identifier, Message
from contracts.topics import PAYMENTS

RefundState = Literal["pending", "succeeded", "failed"]
DisputeState = Literal["opened", "won", "lost"]
SubscriptionState = Literal["incomplete", "active", "past_due", "unpaid", "canceled"]


class Deposit(BaseModel):
    """Where coins for one payment are awaited: an address of its own, on one network. ``token`` is the contract of an
    ERC-20 token, absent for a network's own coin; ``confirmations`` are how many blocks it takes to be believed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    network: Identifier
    address: Identifier
    token: Identifier | None = None
    confirmations: int = Field(ge=0)


class PaymentInitiated(Message):
    """A person asked to pay. Carries the quote: pay ``price`` until ``expires_at``, get ``credits`` and ``bonus``.

    ``gateway_payment_id`` is the gateway's name for it, where it has one before anybody paid. ``metadata`` is what the
    person's program gave along; it claims nothing about amounts.
    """

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
    gateway_payment_id: Identifier | None = None
    deposit: Deposit | None = None
    package_id: Identifier | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class PaymentExpired(Message):
    """Nobody paid in time. What is paid later is taken nevertheless, without the quote."""

    TYPE: ClassVar[str] = "gridledger.payments.PaymentExpired.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    payment_id: Identifier
    reference: Identifier
    user_id: Identifier
    gateway: Identifier
    expired_at: datetime


class PaymentPending(Message):
    """A gateway has seen money that is not final: a bank that is asked, a transaction without enough blocks.

    Moves no money. ``confirmations`` counts blocks, of ``confirmations_required``; ``withdrawn`` takes back what was
    said before: a transaction that is in no block any more.
    """

    TYPE: ClassVar[str] = "gridledger.payments.PaymentPending.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    gateway: Identifier
    gateway_payment_id: Identifier
    seen_at: datetime
    state: Literal["processing", "requires_action", "unconfirmed", "withdrawn"]
    amount: Money | None = None
    confirmations: int | None = None
    confirmations_required: int | None = None
    reference: Identifier | None = None


class PaymentConfirmed(Message):
    """A gateway says that money arrived. ``received`` is what arrived; metadata claims nothing about amounts.

    ``reference`` is ours, if the gateway gave it back; ``user_id`` stands in metadata that the gateway signed.
    ``paid_at`` is the gateway's time, by which a quote's expiry is judged. ``worth`` is what it was worth then in a
    currency that has a rate, where the received one has none and no quote covers it: coins that came late.
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
    worth: Money | None = None


class PaymentFailed(Message):
    """A gateway says that an attempt to pay failed. Another may still succeed, unless the payment ``is_over``.

    ``attempt_id`` tells the payment's attempts apart, where the gateway does: one that is told twice failed once.
    """

    TYPE: ClassVar[str] = "gridledger.payments.PaymentFailed.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    gateway: Identifier
    gateway_payment_id: Identifier
    reason_code: str
    reason: str
    failed_at: datetime
    reference: Identifier | None = None
    user_id: Identifier | None = None
    is_over: bool = False
    attempt_id: Identifier | None = None


class PaymentRefunded(Message):
    """A gateway says how much of a payment went back so far. Cumulative: a target, never a difference."""

    TYPE: ClassVar[str] = "gridledger.payments.PaymentRefunded.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    gateway: Identifier
    gateway_payment_id: Identifier
    refunded_total: Money
    refunded_at: datetime


class RefundReported(Message):
    """A gateway says what became of one refund. ``failed`` may come after ``succeeded``: the money is ours again, and
    so are the credits. Stands beside PaymentRefunded: gateways tell of a refund in one way, or the other, or both."""

    TYPE: ClassVar[str] = "gridledger.payments.RefundReported.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    gateway: Identifier
    gateway_payment_id: Identifier
    refund_id: Identifier
    amount: Money
    state: RefundState
    reason: str = ""
    reported_at: datetime


class PaymentDisputed(Message):
    """A payer asks the money back through their bank. ``amount`` is what the dispute is about; ``lost`` takes it."""

    TYPE: ClassVar[str] = "gridledger.payments.PaymentDisputed.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    gateway: Identifier
    gateway_payment_id: Identifier
    dispute_id: Identifier
    state: DisputeState
    amount: Money
    reason: str
    reported_at: datetime


class GatewayFeeCharged(Message):
    """A gateway kept a fee, by its own figures. ``fee_id`` names it once: a balance transaction, a dispute's fee.

    A fee that the gateway gives back has an ``amount`` below zero.
    """

    TYPE: ClassVar[str] = "gridledger.payments.GatewayFeeCharged.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    gateway: Identifier
    gateway_payment_id: Identifier
    fee_id: Identifier
    amount: Money
    charged_at: datetime


class SubscriptionPeriodReported(Message):
    """A gateway that takes payments by itself says of one period: it was ``paid``, or an attempt ``failed``.

    Moves no money: that is told by PaymentConfirmed, under the same ``payment_reference``, which is made of the
    gateway's own id of the period. ``amount`` is what was paid or is due, ``payment_url`` where a person can pay what
    failed.
    """

    TYPE: ClassVar[str] = "gridledger.payments.SubscriptionPeriodReported.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    gateway: Identifier
    subscription_id: Identifier
    gateway_subscription_id: Identifier | None = None
    gateway_invoice_id: Identifier
    payment_reference: Identifier
    state: Literal["paid", "failed"]
    amount: Money
    begins_at: datetime
    ends_at: datetime
    reason_code: str = ""
    reason: str = ""
    payment_url: str | None = None
    reported_at: datetime


class SubscriptionReported(Message):
    """A gateway that takes payments by itself says how a subscription stands. ``canceled`` is final; ``unpaid`` is what
    it gave up on, though it may go on to ask."""

    TYPE: ClassVar[str] = "gridledger.payments.SubscriptionReported.v1"
    TOPIC: ClassVar[str] = PAYMENTS

    gateway: Identifier
    subscription_id: Identifier
    gateway_subscription_id: Identifier | None = None
    state: SubscriptionState
    reported_at: datetime
