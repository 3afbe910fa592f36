"""Stripe's snapshot events, read into facts. At the bottom stands the table of the types that we act upon.

Reads only what the event itself says; asks Stripe nothing. Must not raise for any JSON: what it cannot read is Odd.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway_ingest.adapters.gateways.reading import read_event
from gateway_ingest.domain import judging
from gateway_ingest.domain.facts import Confirmed, Failed, Finding, Ignored, Reading, Refunded
from gateway_ingest.domain.judging import OddEvent

NAME = "stripe"
SIGNATURE_HEADER = b"stripe-signature"


def read(event: Any) -> Reading:
    """What the event says."""
    return read_event(event, _find)


def _find(kind: str, event: dict[str, Any]) -> Finding:
    find = HANDLED.get(kind)
    if find is None:
        return Ignored("type_not_handled")
    data = event.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict):
        raise OddEvent("no_object")
    return find(subject)


def _payment_succeeded(intent: dict[str, Any]) -> Finding:
    return _confirmed(intent.get("id"), intent.get("amount_received"), intent)


def _checkout_completed(session: dict[str, Any]) -> Finding:
    """Completed does not mean paid: a delayed method pays later, under an event of its own."""
    status = session.get("payment_status")
    if status in ("unpaid", "no_payment_required"):
        return Ignored(f"checkout_{status}")
    if status != "paid":
        raise OddEvent("bad_payment_status")
    return _confirmed(_id_of(session.get("payment_intent")), session.get("amount_total"), session)


def _confirmed(payment_id: Any, units: Any, paid: dict[str, Any]) -> Confirmed:
    received = judging.amount(units, paid.get("currency"))
    metadata = judging.metadata(paid.get("metadata"))
    user_id, oddities = judging.user_id(_raw_user_id(paid))
    return Confirmed(
        payment_id=judging.payment_identifier(payment_id),
        received=received,
        reference=metadata.get("reference"),
        user_id=user_id,
        metadata=metadata,
        oddities=oddities + judging.contradicted_claims(metadata, received),
    )


def _payment_failed(intent: dict[str, Any]) -> Finding:
    error = intent.get("last_payment_error")
    error = error if isinstance(error, dict) else {}
    code = error.get("decline_code") or error.get("code")
    user_id, _ = judging.user_id(_raw_user_id(intent))
    return Failed(
        payment_id=judging.payment_identifier(intent.get("id")),
        reason_code=judging.short_text(code, judging.CODE_MAX_CHARS) or "unknown",
        reason=judging.short_text(error.get("message")),
        reference=judging.metadata(intent.get("metadata")).get("reference"),
        user_id=user_id,
    )


def _charge_refunded(charge: dict[str, Any]) -> Finding:
    """``amount_refunded`` is the sum of all refunds so far, also in the event of a partial one."""
    payment = _id_of(charge.get("payment_intent"))
    return Refunded(
        payment_id=judging.payment_identifier(charge.get("id") if payment is None else payment),
        refunded_total=judging.amount(charge.get("amount_refunded"), charge.get("currency")),
    )


def _raw_user_id(subject: dict[str, Any]) -> Any:
    """Before metadata is cut to short texts, so that an id that is none is seen and not just missing."""
    metadata = subject.get("metadata")
    return metadata.get("user_id") if isinstance(metadata, dict) else None


def _id_of(value: Any) -> Any:
    """Stripe sends a related object as its id, or whole where the endpoint asked for that."""
    return value.get("id") if isinstance(value, dict) else value


HANDLED: Mapping[str, Callable[[dict[str, Any]], Finding]] = {
    "payment_intent.succeeded": _payment_succeeded,
    "payment_intent.payment_failed": _payment_failed,
    "checkout.session.completed": _checkout_completed,
    "charge.refunded": _charge_refunded,
}
