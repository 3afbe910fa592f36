"""Stripe's PaymentIntents and Checkout Sessions, read into what became of a payment.

A payment's id is always its PaymentIntent's; a session that ended without one is named by its own, and moves no money.
Raises OddEvent for what cannot be read.
"""

from __future__ import annotations

from typing import Any

from gateway_ingest.domain import judging
from gateway_ingest.domain.facts import Confirmed, Failed, Finding, Ignored, Pending
from gateway_ingest.domain.judging import OddEvent

OURS = ("reference", "user_id", "payment_id", "package_id", "credits", "tfc_amount", "purpose")
"""Metadata that we gave to Stripe ourselves: kept before that of requests, should there be more than is passed on."""
OUT_OF_TIME = ("expired", "automatic")
"""Reasons that Stripe itself cancels an intent for."""
NOBODY_PAID = "nobody_paid"
CANCELED, NOT_PAID_LATER = "canceled", "async_payment_failed"
"""Ends come once, and are named as payments-api names them."""


def intent_succeeded(intent: dict[str, Any]) -> Finding:
    """By what was received, never by what was asked for."""
    return _confirmed(intent.get("id"), intent.get("amount_received"), intent)


def intent_failed(intent: dict[str, Any]) -> Finding:
    """An attempt only: the intent waits for another way to pay. Each has a charge of its own, where it came so far."""
    error = intent.get("last_payment_error")
    error = error if isinstance(error, dict) else {}
    code = error.get("decline_code") or error.get("code")
    return _failed(intent.get("id"), code, error.get("message"), intent, attempt_id=id_of(error.get("charge")))


def intent_canceled(intent: dict[str, Any]) -> Finding:
    """Nobody can pay it any more; where only its time was over, no attempt failed."""
    if intent.get("cancellation_reason") in OUT_OF_TIME:
        return Ignored(NOBODY_PAID)
    code = intent.get("cancellation_reason") or CANCELED
    return _failed(intent.get("id"), code, "", intent, is_over=True, attempt_id=CANCELED)


def intent_processing(intent: dict[str, Any]) -> Finding:
    """A slow method: the money is on its way."""
    payment_id = judging.payment_identifier(intent.get("id"))
    return Pending(payment_id, "processing", _asked(intent), reference=_reference(intent))


def intent_requires_action(intent: dict[str, Any]) -> Finding:
    """The payer has to do something more."""
    payment_id = judging.payment_identifier(intent.get("id"))
    return Pending(payment_id, "requires_action", _asked(intent), reference=_reference(intent))


def checkout_completed(session: dict[str, Any]) -> Finding:
    """Completed does not mean paid: a delayed method pays later, under an event of its own."""
    status = session.get("payment_status")
    if status in ("unpaid", "no_payment_required"):
        return Ignored(f"checkout_{status}")
    if status != "paid":
        raise OddEvent("bad_payment_status")
    return _confirmed(id_of(session.get("payment_intent")), session.get("amount_total"), session)


def checkout_failed(session: dict[str, Any]) -> Finding:
    """A delayed method did not pay, and a completed session cannot be paid again."""
    return _failed(_payment_of(session), NOT_PAID_LATER, "", session, is_over=True, attempt_id=NOT_PAID_LATER)


def checkout_expired(_session: dict[str, Any]) -> Finding:
    """Nobody paid in time, which is no failure: who begins payments knows when their time is over."""
    return Ignored(NOBODY_PAID)


def id_of(value: Any) -> Any:
    """Stripe sends a related object as its id, or whole where the endpoint asked for that."""
    return value.get("id") if isinstance(value, dict) else value


def _payment_of(session: dict[str, Any]) -> Any:
    """A session makes its intent when somebody begins to pay."""
    payment = id_of(session.get("payment_intent"))
    return session.get("id") if payment is None else payment


def _confirmed(payment_id: Any, units: Any, paid: dict[str, Any]) -> Confirmed:
    received = judging.amount(units, paid.get("currency"))
    metadata = judging.metadata(_ours_first(paid))
    user_id, oddities = judging.user_id(_raw_metadata(paid).get("user_id"))
    # A package's credits hold its bonus, so they say nothing about the amount.
    claims = () if "package_id" in metadata else judging.contradicted_claims(metadata, received)
    return Confirmed(
        payment_id=judging.payment_identifier(payment_id),
        received=received,
        reference=_reference(paid),
        user_id=user_id,
        metadata=metadata,
        oddities=oddities + claims,
    )


def _failed(
    payment_id: Any,
    code: Any,
    reason: Any,
    subject: dict[str, Any],
    *,
    is_over: bool = False,
    attempt_id: Any = None,
) -> Failed:
    user_id, _ = judging.user_id(_raw_metadata(subject).get("user_id"))
    return Failed(
        payment_id=judging.payment_identifier(payment_id),
        reason_code=judging.short_text(code, judging.CODE_MAX_CHARS) or "unknown",
        reason=judging.short_text(reason),
        reference=_reference(subject),
        user_id=user_id,
        is_over=is_over,
        attempt_id=judging.identifier(attempt_id),
    )


def _asked(intent: dict[str, Any]) -> Any:
    return judging.amount(intent.get("amount"), intent.get("currency"))


def _reference(subject: dict[str, Any]) -> str | None:
    """Ours, from the metadata before it is cut; a session also has it as the client's reference."""
    given = _raw_metadata(subject).get("reference") or subject.get("client_reference_id")
    return judging.short_text(given, judging.METADATA_VALUE_MAX_CHARS) or None


def _ours_first(subject: dict[str, Any]) -> dict[str, Any]:
    metadata = _raw_metadata(subject)
    ours = {key: metadata[key] for key in OURS if key in metadata}
    return ours | metadata


def _raw_metadata(subject: dict[str, Any]) -> dict[str, Any]:
    """As it came: an id that is none is seen there, and not just missing."""
    metadata = subject.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
