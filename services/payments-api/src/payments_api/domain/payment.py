"""One payment: its state, and how its events change it. What commands lead to is decided in ``deciding``.

Money may come in several pieces (coins do), each known by the gateway's id of it; sums are over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from payments_api.domain import events
from payments_api.domain.quotes import Quote

INITIATED, PENDING, FAILED, EXPIRED = "initiated", "pending", "failed", "expired"
CONFIRMED, UNDERPAID, OVERPAID = "confirmed", "underpaid", "overpaid"
PARTIALLY_REFUNDED, REFUNDED = "partially_refunded", "refunded"
DISPUTED, WON, LOST = "disputed", "won", "lost"
WITHDRAWN, REQUIRES_ACTION = "withdrawn", "requires_action"
"""What is seen and yet no money under way: a transaction that left its chain, a payer who has something more to do."""

STATUSES = (
    INITIATED,
    PENDING,
    CONFIRMED,
    UNDERPAID,
    OVERPAID,
    FAILED,
    EXPIRED,
    PARTIALLY_REFUNDED,
    REFUNDED,
    DISPUTED,
    WON,
    LOST,
)


@dataclass(frozen=True)
class Payment:
    """The state. ``version`` counts its events; ``credited`` is None until the ledger gave credits.

    ``received`` and ``reversed`` are by the gateway's id of each piece, ``disputes`` by the dispute's id. Pieces that
    are ``foreign`` came in another asset than the quote's: they count in none of its sums.
    """

    stream: str
    version: int = 0
    user_id: str = ""
    reference: str = ""
    gateway: str = ""
    quote: Quote | None = None
    asked_asset: str = ""
    asked: int = 0
    gateway_payment_id: str | None = None
    package_id: str | None = None
    deposit: Mapping[str, Any] | None = None
    payment_url: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    seen: Mapping[str, str] = field(default_factory=dict)
    confirmations: int | None = None
    failure_reason: str | None = None
    failed_attempts: frozenset[str] = frozenset()
    is_over: bool = False
    is_expired: bool = False
    credited: int | None = None
    last_rule: str | None = None
    received: Mapping[str, int] = field(default_factory=dict)
    reversed: Mapping[str, int] = field(default_factory=dict)
    foreign: frozenset[str] = frozenset()
    disputes: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def received_total(self) -> int:
        """What came, of the quote's asset."""
        return self._of_quote(self.received)

    @property
    def refunded_total(self) -> int:
        """What went back, of the quote's asset."""
        return self._of_quote(self.reversed)

    @property
    def status(self) -> str:
        """One of STATUSES. ``confirmed`` only once it is credited; what happened last to the money is said first."""
        if self.credited is None:
            return self._status_before_credits()
        if DISPUTED in self.disputes.values():
            return DISPUTED
        if any(self.reversed.values()):
            return REFUNDED if self._is_all_back() else PARTIALLY_REFUNDED
        if self.disputes:
            return LOST if LOST in self.disputes.values() else WON
        return self._status_of_amount()

    @property
    def is_open(self) -> bool:
        """Whether it may still become credits by itself: its gateway is worth asking, and its time may run out."""
        return self.credited is None and not self.is_over and not self.is_expired

    @property
    def is_under_way(self) -> bool:
        """Whether a gateway has seen money that is not final."""
        return any(state not in (WITHDRAWN, REQUIRES_ACTION) for state in self.seen.values())

    def _of_quote(self, units: Mapping[str, int]) -> int:
        return sum(of_piece for piece, of_piece in units.items() if piece not in self.foreign)

    def _is_all_back(self) -> bool:
        is_back = all(self.reversed.get(piece, 0) >= self.received[piece] for piece in self.foreign)
        return is_back and self.refunded_total >= self.received_total

    def _status_before_credits(self) -> str:
        is_waiting = REQUIRES_ACTION in self.seen.values() and not self.is_expired
        if self.is_under_way or is_waiting:
            return PENDING
        if self.failure_reason is not None:
            return FAILED
        return EXPIRED if self.is_expired else INITIATED

    def _status_of_amount(self) -> str:
        if self.quote is None or self.last_rule in ("quote", "topped_up"):
            return CONFIRMED
        if self.last_rule == "overpaid" or self.received_total > self.quote.price:
            return OVERPAID
        return UNDERPAID if self.received_total < self.quote.price else CONFIRMED


def evolve(state: Payment, event: events.PaymentEvent) -> Payment:
    """The state after ``event``."""
    changes = _CHANGES[type(event)](state, event)
    at = datetime.fromisoformat(event.at)
    created_at = state.created_at or at
    return replace(state, version=event.originator_version, created_at=created_at, updated_at=at, **changes)


def _initiated(_state: Payment, event: events.PaymentInitiated) -> dict[str, Any]:
    expires_at = datetime.fromisoformat(event.expires_at)
    return {
        "user_id": event.user_id,
        "reference": event.reference,
        "gateway": event.gateway,
        "quote": Quote(event.price_asset, event.price, event.credit_asset, event.credits, event.bonus, expires_at),
        "asked_asset": event.asked_asset,
        "asked": event.asked,
        "gateway_payment_id": event.gateway_payment_id,
        "package_id": event.package_id,
        "deposit": event.deposit,
    }


def _opened(_state: Payment, event: events.CheckoutOpened) -> dict[str, Any]:
    return {"payment_url": event.payment_url, "details": event.details}


def _seen(state: Payment, event: events.PaymentSeen) -> dict[str, Any]:
    seen = {**state.seen, event.gateway_payment_id: event.state}
    return {"seen": seen, "confirmations": event.confirmations, "gateway_payment_id": event.gateway_payment_id}


def _failed(state: Payment, event: events.PaymentAttemptFailed) -> dict[str, Any]:
    named = set() if event.attempt_id is None else {event.attempt_id}
    return {
        "failure_reason": event.reason or event.reason_code,
        "failed_attempts": state.failed_attempts | named,
        "is_over": event.is_over,
        "seen": {},
    }


def _expired(_state: Payment, _event: events.PaymentExpired) -> dict[str, Any]:
    return {"is_expired": True, "seen": {}}


def _credited(state: Payment, event: events.PaymentCredited) -> dict[str, Any]:
    quoted = state.quote is None or event.received_asset == state.quote.price_asset
    return {
        "credited": (state.credited or 0) + event.credits,
        "last_rule": event.rule,
        "received": {**state.received, event.gateway_payment_id: event.received},
        "foreign": state.foreign if quoted else state.foreign | {event.gateway_payment_id},
        "gateway_payment_id": event.gateway_payment_id or state.gateway_payment_id,
        "failure_reason": None,
    }


def _reversed(state: Payment, event: events.PaymentReversed) -> dict[str, Any]:
    return {"reversed": {**state.reversed, event.gateway_payment_id: event.refunded_total}}


def _disputed(state: Payment, event: events.PaymentDisputed) -> dict[str, Any]:
    shown = DISPUTED if event.state == "opened" else event.state
    return {"disputes": {**state.disputes, event.dispute_id: shown}}


_CHANGES: Mapping[type[Any], Callable[[Payment, Any], dict[str, Any]]] = {
    events.PaymentInitiated: _initiated,
    events.CheckoutOpened: _opened,
    events.PaymentSeen: _seen,
    events.PaymentAttemptFailed: _failed,
    events.PaymentExpired: _expired,
    events.PaymentCredited: _credited,
    events.PaymentReversed: _reversed,
    events.PaymentDisputed: _disputed,
}
