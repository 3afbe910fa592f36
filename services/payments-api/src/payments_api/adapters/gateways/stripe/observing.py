"""What Stripe's objects say about a payment, as observations: the same news that its webhooks bring. No I/O.

A name repeats with the news that it stands for, so asking again tells nothing twice. Ids and amounts are those that the
webhooks have, since the ledger knows an effect by them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from payments_api.adapters.gateways.stripe.wire import asset_of, ours_first
from payments_api.application.gateways import (
    METADATA_MAX_KEYS,
    METADATA_VALUE_MAX_CHARS,
    AskedPayment,
    Observation,
    ObservationKind,
)

NAME = "stripe"
REFUND_STATES: Mapping[str, str] = {
    "pending": "pending",
    "requires_action": "pending",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}
DISPUTE_STATES: Mapping[str, str] = {
    "needs_response": "opened",
    "under_review": "opened",
    "won": "won",
    "lost": "lost",
}
OUT_OF_TIME = ("expired", "automatic")
"""Reasons that Stripe itself cancels an intent for: no attempt failed."""
CANCELED, NOT_PAID_LATER = "canceled", "async_payment_failed"
"""Ends come once, and are named as gateway-ingest names them."""
_NOT_IN_A_CODE = re.compile(r"[^A-Za-z0-9_.-]")


def of_intent(intent: Mapping[str, Any], payment: AskedPayment) -> Sequence[Observation]:
    """How a PaymentIntent stands; nothing while it waits for the payer."""
    status = intent["status"]
    if status == "succeeded":
        return [_confirmed(intent, payment), *_fees(intent["id"], [_charge(intent)])]
    if status in ("processing", "requires_action"):
        fields = {"state": status, "amount": _amount(intent["amount"], intent["currency"])}
        return [_news("pending", intent["id"], status, intent, payment, fields)]
    if status == "canceled":
        if intent.get("cancellation_reason") in OUT_OF_TIME:
            return []
        code = intent.get("cancellation_reason") or CANCELED
        return [_failed(intent["id"], code, "", intent, payment, CANCELED, attempt_id=CANCELED)]
    error = intent.get("last_payment_error")
    return [_declined(intent, error, payment)] if error else []


def of_session(session: Mapping[str, Any], payment: AskedPayment) -> Sequence[Observation]:
    """How a Checkout Session stands, by its intent where it has one. That nobody paid in time is no failure: the
    payment expires by its own quote."""
    intent = session.get("payment_intent")
    if not isinstance(intent, dict):
        return []
    news = of_intent(intent, payment)
    if session.get("status") == "complete" and intent["status"] == "requires_payment_method":
        # A delayed method did not pay, and a completed session cannot be paid again.
        end = (NOT_PAID_LATER, "", session, payment, NOT_PAID_LATER)
        return [*news, _failed(intent["id"], *end, attempt_id=NOT_PAID_LATER)]
    return news


def of_refunds(payment_id: str, refunds: Iterable[Mapping[str, Any]]) -> Sequence[Observation]:
    """What became of each refund, and what Stripe kept for it."""
    news: list[Observation] = []
    for refund in refunds:
        told = of_refund(payment_id, refund)
        news += [told] if told is not None else []
        news += _fees(payment_id, [refund])
    return news


def of_refund(payment_id: str, refund: Mapping[str, Any]) -> Observation | None:
    """None for a state that we do not know: its webhook is quarantined for a person to look at."""
    state = REFUND_STATES.get(refund.get("status") or "")
    if state is None:
        return None
    return Observation(
        NAME,
        f"{payment_id}.refund.{refund['id']}.{state}",
        "refund",
        payment_id,
        at=_time(refund.get("created")),
        fields={
            "refund_id": refund["id"],
            "amount": _amount(refund["amount"], refund["currency"]),
            "state": state,
            "reason": _text(refund.get("failure_reason") or refund.get("reason")),
        },
    )


def of_disputes(payment_id: str, disputes: Iterable[Mapping[str, Any]]) -> Sequence[Observation]:
    """What became of each dispute that moved money, and the fees for it."""
    news: list[Observation] = []
    for dispute in disputes:
        state = DISPUTE_STATES.get(dispute.get("status") or "")
        if state is None:
            continue
        fields = {
            "dispute_id": dispute["id"],
            "state": state,
            "amount": _amount(dispute["amount"], dispute["currency"]),
            "reason": _text(dispute.get("reason")),
        }
        name = f"{payment_id}.dispute.{dispute['id']}.{state}"
        news.append(Observation(NAME, name, "disputed", payment_id, at=_time(dispute.get("created")), fields=fields))
        news += _fees(payment_id, [dispute, *({"balance_transaction": each} for each in _several(dispute))])
    return news


def is_disputed(intent: Mapping[str, Any]) -> bool:
    """Whether its charge was disputed at any time."""
    return bool(_charge(intent).get("disputed"))


def _confirmed(intent: Mapping[str, Any], payment: AskedPayment) -> Observation:
    fields = {
        "received": _amount(intent["amount_received"], intent["currency"]),
        "metadata": ours_first(intent.get("metadata") or {}, METADATA_MAX_KEYS),
    }
    return _news("confirmed", intent["id"], "", {**intent, "created": _paid_at(intent)}, payment, fields)


def _paid_at(intent: Mapping[str, Any]) -> Any:
    """When the money came, as its webhook would say: a slow method's charge is made days before it is settled."""
    charge = _charge(intent)
    settled = charge.get("balance_transaction")
    came = settled.get("created") if isinstance(settled, dict) else None
    return came or charge.get("created") or intent.get("created")


def _declined(intent: Mapping[str, Any], error: Mapping[str, Any], payment: AskedPayment) -> Observation:
    code = error.get("decline_code") or error.get("code") or "unknown"
    # Each attempt has a charge of its own; where there is none, attempts that fail alike are one piece of news.
    charge = _id_of(error.get("charge"))
    reason = _text(error.get("message"))
    return _failed(intent["id"], code, reason, intent, payment, charge or code, attempt_id=charge, is_over=False)


def _failed(
    payment_id: str,
    code: str,
    reason: str,
    subject: Mapping[str, Any],
    payment: AskedPayment,
    name: str,
    *,
    attempt_id: str | None,
    is_over: bool = True,
) -> Observation:
    fields = {"reason_code": _NOT_IN_A_CODE.sub("_", code), "reason": reason, "is_over": is_over}
    fields |= {} if attempt_id is None else {"attempt_id": attempt_id}
    return _news("failed", payment_id, _NOT_IN_A_CODE.sub("_", name), subject, payment, fields)


def _news(
    kind: ObservationKind,
    payment_id: str,
    detail: str,
    subject: Mapping[str, Any],
    payment: AskedPayment,
    fields: Mapping[str, Any],
) -> Observation:
    metadata = subject.get("metadata") or {}
    return Observation(
        NAME,
        f"{payment_id}.{kind}" + (f".{detail}" if detail else ""),
        kind,
        payment_id,
        at=_time(subject.get("created")),
        reference=metadata.get("reference") or payment.reference,
        # A pending one names nobody, as its webhook does.
        user_id=None if kind == "pending" else metadata.get("user_id") or payment.user_id,
        fields=fields,
    )


def _fees(payment_id: str, carriers: Iterable[Mapping[str, Any]]) -> list[Observation]:
    settled = [carrier.get("balance_transaction") for carrier in carriers]
    return [_fee(payment_id, each) for each in settled if isinstance(each, dict) and each.get("fee")]


def _fee(payment_id: str, settled: Mapping[str, Any]) -> Observation:
    amount = _amount(settled["fee"], settled["currency"])
    fields = {"fee_id": settled["id"], "amount": amount}
    name = f"{payment_id}.fee.{settled['id']}"
    return Observation(NAME, name, "fee", payment_id, at=_time(settled.get("created")), fields=fields)


def _charge(intent: Mapping[str, Any]) -> Mapping[str, Any]:
    charge = intent.get("latest_charge")
    return charge if isinstance(charge, dict) else {}


def _id_of(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) else None


def _several(dispute: Mapping[str, Any]) -> Sequence[Any]:
    return dispute.get("balance_transactions") or ()


def _amount(units: int, currency: str) -> dict[str, Any]:
    return {"units": units, "asset": asset_of(currency)}


def _text(value: Any) -> str:
    return value[:METADATA_VALUE_MAX_CHARS] if isinstance(value, str) else ""


def _time(value: Any) -> datetime | None:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) else None
