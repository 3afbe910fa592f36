"""What follows a Stripe payment: refunds, disputes, and what Stripe kept of it, read into facts.

Amounts of refunds and disputes are in the charge's currency, fees in that of the account's balance. Raises OddEvent for
what cannot be read, save for a fee beside other news: that must not cost anybody the news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

import structlog

from gateway_ingest.adapters.gateways.stripe.payments import id_of
from gateway_ingest.domain import judging
from gateway_ingest.domain.facts import Amount, Disputed, FeeKept, Finding, Ignored, Refunded, RefundTold
from gateway_ingest.domain.judging import OddEvent

log = structlog.get_logger(__name__)

REFUND_STATES: Mapping[str, Literal["pending", "succeeded", "failed"]] = MappingProxyType(
    {
        "pending": "pending",
        "requires_action": "pending",
        "succeeded": "succeeded",
        "failed": "failed",
        "canceled": "failed",
    }
)
DISPUTE_STATES: Mapping[str, Literal["opened", "won", "lost"]] = MappingProxyType(
    {"needs_response": "opened", "under_review": "opened", "won": "won", "lost": "lost"}
)
DISPUTES_WITHOUT_MONEY: Mapping[str, str] = MappingProxyType(
    {
        "warning_needs_response": "dispute_inquiry",
        "warning_under_review": "dispute_inquiry",
        "warning_closed": "dispute_inquiry",
        "prevented": "dispute_prevented",
        # The refund's own event says what went back.
        "charge_refunded": "dispute_refunded",
        "appeal_needs_response": "dispute_appealed",
        "appeal_under_review": "dispute_appealed",
    }
)
"""States in which Stripe moves nothing, with the reason that we note."""


def charge_refunded(charge: dict[str, Any]) -> Finding:
    """``amount_refunded`` is the sum of all refunds so far, also in the event of a partial one."""
    return Refunded(
        payment_id=_payment_of_charge(charge),
        refunded_total=judging.amount(charge.get("amount_refunded"), charge.get("currency")),
    )


def charge_settled(charge: dict[str, Any]) -> Finding:
    """Tells the fee where the endpoint had the balance transaction expanded."""
    settled = charge.get("balance_transaction")
    if not isinstance(settled, dict) or settled.get("fee") == 0:
        return Ignored("fee_not_told")
    return _fee(_payment_of_charge(charge), settled)


def refund_told(refund: dict[str, Any]) -> Finding:
    """One refund; ``failed`` may follow on ``succeeded``."""
    state = _state(REFUND_STATES, refund.get("status"))
    if state is None:
        raise OddEvent("bad_refund_status")
    return RefundTold(
        payment_id=_payment_of(refund),
        refund_id=_identifier(refund.get("id"), "bad_refund_id"),
        amount=judging.amount(refund.get("amount"), refund.get("currency")),
        state=state,
        reason=judging.short_text(refund.get("failure_reason") or refund.get("reason")),
    )


def disputed(dispute: dict[str, Any]) -> Finding:
    """By the dispute's own status, whichever event brings it: the type says what changed, not how it stands."""
    status = dispute.get("status")
    harmless = _state(DISPUTES_WITHOUT_MONEY, status)
    if harmless is not None:
        return Ignored(harmless)
    state = _state(DISPUTE_STATES, status)
    if state is None:
        raise OddEvent("bad_dispute_status")
    return Disputed(
        payment_id=_payment_of(dispute),
        dispute_id=_identifier(dispute.get("id"), "bad_dispute_id"),
        state=state,
        amount=judging.amount(dispute.get("amount"), dispute.get("currency")),
        reason=judging.short_text(dispute.get("reason")),
    )


def fees(subject: dict[str, Any]) -> tuple[FeeKept, ...]:
    """What the balance transactions of a refund or dispute kept. One that cannot be read is logged and left out."""
    return tuple(fee for settled in _settlements(subject) if (fee := _readable_fee(subject, settled)) is not None)


def _settlements(subject: dict[str, Any]) -> Iterable[dict[str, Any]]:
    several = subject.get("balance_transactions")
    found = [subject.get("balance_transaction"), *(several if isinstance(several, list) else ())]
    return [settled for settled in found if isinstance(settled, dict) and settled.get("fee", 0) != 0]


def _readable_fee(subject: dict[str, Any], settled: dict[str, Any]) -> FeeKept | None:
    try:
        return _fee(_payment_of(subject), settled)
    except OddEvent as odd:
        log.warning("fee_unreadable", gateway="stripe", fee_id=judging.identifier(settled.get("id")), reason=odd.reason)
        return None


def _fee(payment_id: str, settled: dict[str, Any]) -> FeeKept:
    return FeeKept(
        payment_id=payment_id,
        fee_id=_identifier(settled.get("id"), "bad_fee_id"),
        amount=_signed_amount(settled.get("fee"), settled.get("currency")),
    )


def _signed_amount(units: Any, currency: Any) -> Amount:
    """A fee that Stripe gives back is below zero."""
    if isinstance(units, int) and not isinstance(units, bool) and units < 0:
        amount = judging.amount(-units, currency)
        return replace(amount, units=-amount.units)
    return judging.amount(units, currency)


def _payment_of_charge(charge: dict[str, Any]) -> str:
    payment = id_of(charge.get("payment_intent"))
    return judging.payment_identifier(charge.get("id") if payment is None else payment)


def _payment_of(subject: dict[str, Any]) -> str:
    payment = id_of(subject.get("payment_intent"))
    return judging.payment_identifier(id_of(subject.get("charge")) if payment is None else payment)


def _identifier(value: Any, reason: str) -> str:
    found = judging.identifier(value)
    if found is None:
        raise OddEvent(reason)
    return found


def _state(states: Mapping[str, Any], status: Any) -> Any:
    """None for what is no text at all, too: a list cannot be looked up."""
    return states.get(status) if isinstance(status, str) else None
