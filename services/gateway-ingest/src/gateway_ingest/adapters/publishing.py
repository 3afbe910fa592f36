"""Facts as messages of the published language, ready for the outbox.

The message's id is derived from gateway and event id: publishing again repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from chassis.bus.port import OutgoingRecord
from contracts.amounts import Money
from contracts.messages import (
    GatewayFeeCharged,
    Message,
    PaymentConfirmed,
    PaymentDisputed,
    PaymentFailed,
    PaymentPending,
    PaymentRefunded,
    RefundReported,
    SubscriptionPeriodReported,
    SubscriptionReported,
)
from contracts.references import normalize_reference
from gateway_ingest.application.ports import ReceivedEvent
from gateway_ingest.domain.facts import (
    Amount,
    Confirmed,
    Disputed,
    Fact,
    Failed,
    FeeKept,
    Pending,
    PeriodTold,
    Refunded,
    RefundTold,
    SubscriptionTold,
)

SOURCE = "gateway-ingest"


def to_record(event: ReceivedEvent, fact: Fact) -> OutgoingRecord:
    """What is published of ``fact``, which ``event`` tells."""
    message = _message(event, fact)
    stream = f"{event.gateway}:{event.event_id}"
    envelope = message.in_envelope(
        source=SOURCE, stream=stream, version=1, time=event.received_at, traceparent=event.traceparent
    )
    key = f"{event.gateway}:{_subject(fact)}".encode()
    return OutgoingRecord(message.TOPIC, key, envelope.data, envelope.to_headers())


def _subject(fact: Fact) -> str:
    """News of one subject keep their order on the bus."""
    return fact.subscription_id if isinstance(fact, PeriodTold | SubscriptionTold) else fact.payment_id


def _message(event: ReceivedEvent, fact: Fact) -> Message:
    return _MESSAGES[type(fact)](event, fact)


def _confirmed(event: ReceivedEvent, fact: Confirmed) -> Message:
    return PaymentConfirmed(
        gateway=event.gateway,
        gateway_payment_id=fact.payment_id,
        received=_money(fact.received),
        paid_at=event.occurred_at,
        reference=_reference(fact.reference),
        user_id=fact.user_id,
        metadata=dict(fact.metadata),
        worth=None if fact.worth is None else _money(fact.worth),
    )


def _pending(event: ReceivedEvent, fact: Pending) -> Message:
    return PaymentPending(
        gateway=event.gateway,
        gateway_payment_id=fact.payment_id,
        seen_at=event.occurred_at,
        state=fact.state,
        amount=None if fact.amount is None else _money(fact.amount),
        confirmations=fact.confirmations,
        confirmations_required=fact.confirmations_required,
        reference=_reference(fact.reference),
    )


def _failed(event: ReceivedEvent, fact: Failed) -> Message:
    return PaymentFailed(
        gateway=event.gateway,
        gateway_payment_id=fact.payment_id,
        reason_code=fact.reason_code,
        reason=fact.reason,
        failed_at=event.occurred_at,
        reference=_reference(fact.reference),
        user_id=fact.user_id,
        is_over=fact.is_over,
        attempt_id=fact.attempt_id,
    )


def _refunded(event: ReceivedEvent, fact: Refunded) -> Message:
    return PaymentRefunded(
        gateway=event.gateway,
        gateway_payment_id=fact.payment_id,
        refunded_total=_money(fact.refunded_total),
        refunded_at=event.occurred_at,
    )


def _refund_told(event: ReceivedEvent, fact: RefundTold) -> Message:
    return RefundReported(
        gateway=event.gateway,
        gateway_payment_id=fact.payment_id,
        refund_id=fact.refund_id,
        amount=_money(fact.amount),
        state=fact.state,
        reason=fact.reason,
        reported_at=event.occurred_at,
    )


def _disputed(event: ReceivedEvent, fact: Disputed) -> Message:
    return PaymentDisputed(
        gateway=event.gateway,
        gateway_payment_id=fact.payment_id,
        dispute_id=fact.dispute_id,
        state=fact.state,
        amount=_money(fact.amount),
        reason=fact.reason,
        reported_at=event.occurred_at,
    )


def _fee(event: ReceivedEvent, fact: FeeKept) -> Message:
    return GatewayFeeCharged(
        gateway=event.gateway,
        gateway_payment_id=fact.payment_id,
        fee_id=fact.fee_id,
        amount=_money(fact.amount),
        charged_at=event.occurred_at,
    )


def _period(event: ReceivedEvent, fact: PeriodTold) -> Message:
    return SubscriptionPeriodReported(
        gateway=event.gateway,
        subscription_id=fact.subscription_id,
        gateway_subscription_id=fact.gateway_subscription_id,
        gateway_invoice_id=fact.invoice_id,
        payment_reference=fact.reference,
        state=fact.state,
        amount=_money(fact.amount),
        begins_at=fact.begins_at,
        ends_at=fact.ends_at,
        reason_code=fact.reason_code,
        reason=fact.reason,
        payment_url=fact.page,
        reported_at=event.occurred_at,
    )


def _subscription(event: ReceivedEvent, fact: SubscriptionTold) -> Message:
    return SubscriptionReported(
        gateway=event.gateway,
        subscription_id=fact.subscription_id,
        gateway_subscription_id=fact.gateway_subscription_id,
        state=fact.state,
        reported_at=event.occurred_at,
    )


_MESSAGES: Mapping[type, Callable[[ReceivedEvent, Any], Message]] = {
    Confirmed: _confirmed,
    Pending: _pending,
    Failed: _failed,
    Refunded: _refunded,
    RefundTold: _refund_told,
    Disputed: _disputed,
    FeeKept: _fee,
    PeriodTold: _period,
    SubscriptionTold: _subscription,
}


@lru_cache(maxsize=4096)
def _money(amount: Amount) -> Money:
    """Prices repeat; most payments are one of a few packages."""
    return Money.of(amount.units, amount.asset)


def _reference(text: str | None) -> str | None:
    """Ours, as we write it; another party's reference is none of ours."""
    return normalize_reference(text) if text else None
