"""A wallet's history as people see it: which line each event makes, with the seeds' descriptions and metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from contracts.amounts import Asset, Money
from contracts.messages import TransactionRow, WalletSnapshot
from contracts.messages.ledger import TransactionType
from ledger.domain import events

GATEWAY_TITLES = {
    "stripe": "Stripe",
    "clickpesa": "ClickPesa",
    "bank": "bank transfer",
    "crypto": "crypto",
    "demo": "demo gateway",
}
Line = tuple[TransactionType, int, str, dict[str, str | int]]


def snapshot_after(event: events.WalletEvent, asset: str) -> WalletSnapshot:
    """The wallet as the event left it."""
    return WalletSnapshot(
        user_id=event.user_id,
        version=event.originator_version,
        available=Money.of(max(0, event.spendable), asset),
        held=Money.of(event.held, asset),
        debt=Money.of(max(0, -event.spendable), asset),
    )


def transaction_of(event: events.WalletEvent, recorded_at: datetime, asset: str) -> TransactionRow | None:
    """The line of history that the event makes; None for one that moves nothing a person can spend."""
    describe = _LINES.get(type(event))
    if describe is None:
        return None
    kind, amount, description, metadata = describe(event, Asset.parse(asset).code)
    if not amount and isinstance(event, events.DisputeEvent):
        return None
    return TransactionRow(
        id=event.reference,
        user_id=event.user_id,
        transaction_type=kind,
        amount=Money.of(amount, asset),
        balance_before=Money.of(event.spendable - amount, asset),
        balance_after=Money.of(event.spendable, asset),
        description=description,
        metadata=metadata,
        created_at=recorded_at,
    )


def _purchase(event: events.CreditsPurchased, code: str) -> Line:
    title = GATEWAY_TITLES.get(event.gateway, event.gateway)
    metadata: dict[str, str | int] = {"gateway": event.gateway, "received": str(event.received)}
    if event.gateway == "stripe":
        metadata = {"payment_intent_id": event.payment_id, "stripe_amount_cents": event.received}
    if event.payment_reference is not None:
        metadata["payment_reference"] = event.payment_reference
    return "Purchase", event.credits, f"{code} purchase via {title} ({event.payment_id})", metadata


def _hold(event: events.CreditsHeld, code: str) -> Line:
    metadata: dict[str, str | int] = {"deployment_id": event.deployment_id, "service_name": event.service_name}
    return "Deployment", -event.amount, f"Deployment: {event.service_name} ({event.deployment_id})", metadata


def _return(event: events.HoldReleased | events.CreditsRefunded, code: str) -> Line:
    metadata: dict[str, str | int] = {"deployment_id": event.deployment_id, "service_name": event.service_name}
    return "Refund", event.amount, f"Refund: {event.service_name} ({event.deployment_id})", metadata


def _reversal(event: events.CreditsBack, code: str) -> Line:
    """Any way back: what left the wallet, or came to it, once all that the payment bought is where it must be."""
    title = GATEWAY_TITLES.get(event.gateway, event.gateway)
    metadata: dict[str, str | int] = {"gateway": event.gateway, "payment_id": event.payment_id}
    if isinstance(event, events.DisputeEvent):
        metadata["dispute_id"] = event.dispute_id
    if event.payment_reference is not None:
        metadata["payment_reference"] = event.payment_reference
    amount = -event.credits_taken - event.credits_disputed
    return "Refund", amount, f"{_WAYS_BACK[type(event)]} via {title} ({event.payment_id})", metadata


_WAYS_BACK: Mapping[type, str] = {
    events.PaymentReversed: "Payment refunded",
    events.PaymentRestored: "Refund failed",
    events.CreditsDisputed: "Payment disputed",
    events.DisputeWon: "Dispute won",
    events.DisputeLost: "Dispute lost",
}


def _sent(event: events.CreditsSent, code: str) -> Line:
    return "Transfer", -event.amount, f"Transfer to {event.to_user_id}", {"to_user_id": event.to_user_id}


def _received(event: events.CreditsReceived, code: str) -> Line:
    return "Transfer", event.amount, f"Transfer from {event.from_user_id}", {"from_user_id": event.from_user_id}


def _adjusted(event: events.CreditsAdjusted, code: str) -> Line:
    return "AdminAdjustment", event.amount, f"Adjustment: {event.reason}", {"reason": event.reason}


_LINES: Mapping[type, Callable[[Any, str], Line]] = {
    events.CreditsPurchased: _purchase,
    events.CreditsHeld: _hold,
    events.HoldReleased: _return,
    events.CreditsRefunded: _return,
    **dict.fromkeys(_WAYS_BACK, _reversal),
    events.CreditsSent: _sent,
    events.CreditsReceived: _received,
    events.CreditsAdjusted: _adjusted,
}
