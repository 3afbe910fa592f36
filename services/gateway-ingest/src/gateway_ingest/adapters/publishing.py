"""Facts as messages of the published language, ready for the outbox.

The message's id is derived from gateway and event id: publishing again repeats it.
"""

from __future__ import annotations

from functools import lru_cache

from chassis.bus.port import OutgoingRecord
from contracts.amounts import Money
from contracts.messages import Message, PaymentConfirmed, PaymentFailed, PaymentRefunded
from contracts.references import normalize_reference
from gateway_ingest.application.ports import ReceivedEvent
from gateway_ingest.domain.facts import Amount, Confirmed, Fact, Failed, Refunded

SOURCE = "gateway-ingest"


def to_record(event: ReceivedEvent, fact: Fact) -> OutgoingRecord:
    """What is published of ``fact``, which ``event`` tells."""
    message = _message(event, fact)
    stream = f"{event.gateway}:{event.event_id}"
    envelope = message.in_envelope(source=SOURCE, stream=stream, version=1, time=event.received_at)
    key = f"{event.gateway}:{fact.payment_id}".encode()
    return OutgoingRecord(message.TOPIC, key, envelope.data, envelope.to_headers())


def _message(event: ReceivedEvent, fact: Fact) -> Message:
    match fact:
        case Confirmed():
            return PaymentConfirmed(
                gateway=event.gateway,
                gateway_payment_id=fact.payment_id,
                received=_money(fact.received),
                paid_at=event.occurred_at,
                reference=_reference(fact.reference),
                user_id=fact.user_id,
                metadata=dict(fact.metadata),
            )
        case Failed():
            return PaymentFailed(
                gateway=event.gateway,
                gateway_payment_id=fact.payment_id,
                reason_code=fact.reason_code,
                reason=fact.reason,
                failed_at=event.occurred_at,
                reference=_reference(fact.reference),
                user_id=fact.user_id,
            )
        case Refunded():
            return PaymentRefunded(
                gateway=event.gateway,
                gateway_payment_id=fact.payment_id,
                refunded_total=_money(fact.refunded_total),
                refunded_at=event.occurred_at,
            )


@lru_cache(maxsize=4096)
def _money(amount: Amount) -> Money:
    """Prices repeat; most payments are one of a few packages."""
    return Money.of(amount.units, amount.asset)


def _reference(text: str | None) -> str | None:
    """Ours, as we write it; another party's reference is none of ours."""
    return normalize_reference(text) if text else None
