"""The demo gateway's events, read into facts: money that nobody paid, for trying things out.

Its webhooks are signed as Stripe's are. Whether it may be heard at all is decided where the service is put together.
"""

from __future__ import annotations

from typing import Any

from gateway_ingest.domain import judging
from gateway_ingest.domain.facts import Confirmed, Failed, Finding, Ignored, Odd, Reading
from gateway_ingest.domain.judging import OddEvent

NAME = "demo"
SIGNATURE_HEADER = b"demo-signature"


def read(event: Any) -> Reading:
    """What the event says."""
    if not isinstance(event, dict):
        return Reading(None, "", None, Odd("not_an_object"))
    kind = judging.event_type(event.get("type"))
    event_id = judging.identifier(event.get("id"))
    occurred_at = judging.unix_time(event.get("created"))
    if kind is None:
        return Reading(event_id, "", occurred_at, Odd("bad_event_type"))
    if event_id is None:
        return Reading(None, kind, occurred_at, Odd("bad_event_id"))
    return Reading(event_id, kind, occurred_at, _find(kind, event.get("data")))


def _find(kind: str, payment: Any) -> Finding:
    find = HANDLED.get(kind)
    if find is None:
        return Ignored("type_not_handled")
    if not isinstance(payment, dict):
        return Odd("no_object")
    try:
        return find(payment)
    except OddEvent as odd:
        return Odd(odd.reason)


def _confirmed(payment: dict[str, Any]) -> Finding:
    user_id, oddities = judging.user_id(payment.get("user_id"))
    return Confirmed(
        payment_id=judging.payment_identifier(payment.get("payment_id")),
        received=judging.amount(payment.get("amount"), payment.get("currency")),
        reference=judging.short_text(payment.get("reference")) or None,
        user_id=user_id,
        metadata={},
        oddities=oddities,
    )


def _failed(payment: dict[str, Any]) -> Finding:
    user_id, _ = judging.user_id(payment.get("user_id"))
    return Failed(
        payment_id=judging.payment_identifier(payment.get("payment_id")),
        reason_code="declined",
        reason=judging.short_text(payment.get("reason")),
        reference=judging.short_text(payment.get("reference")) or None,
        user_id=user_id,
    )


HANDLED = {"payment.confirmed": _confirmed, "payment.failed": _failed}
