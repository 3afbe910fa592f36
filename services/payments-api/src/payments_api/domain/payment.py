"""One payment: its state, the commands it takes, and what they lead to.

``decide`` and ``evolve`` are plain functions. News come in any order and more than once: a repeat leads to nothing, and
what was credited is never called failed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from payments_api.domain.events import (
    CheckoutOpened,
    PaymentAttemptFailed,
    PaymentCredited,
    PaymentEvent,
    PaymentInitiated,
    PaymentReversed,
)
from payments_api.domain.quotes import Quote

INITIATED, FAILED, CONFIRMED, REFUNDED = "initiated", "failed", "confirmed", "refunded"


class PaymentError(Exception):
    """A command that this payment does not take; it stays as it was."""


@dataclass(frozen=True)
class Payment:
    """The state. ``version`` counts its events; ``credited`` is None until the ledger gave credits."""

    stream: str
    version: int = 0
    user_id: str = ""
    reference: str = ""
    gateway: str = ""
    quote: Quote | None = None
    payment_url: str | None = None
    failure_reason: str | None = None
    credited: int | None = None
    received: int = 0
    refunded_total: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def status(self) -> str:
        """``confirmed`` only once it is credited; ``refunded`` once all of it went back."""
        if self.credited is not None:
            return REFUNDED if self.refunded_total >= self.received > 0 else CONFIRMED
        return INITIATED if self.failure_reason is None else FAILED


@dataclass(frozen=True)
class Initiate:
    """Begin it."""

    user_id: str
    reference: str
    gateway: str
    quote: Quote


@dataclass(frozen=True)
class OpenCheckout:
    """Tell where the person pays."""

    payment_url: str


@dataclass(frozen=True)
class ReportFailedAttempt:
    """A gateway says that an attempt failed."""

    reason_code: str
    reason: str


@dataclass(frozen=True)
class ReportCredited:
    """The ledger says that it became credits."""

    received_asset: str
    received: int
    credit_asset: str
    credits: int
    rule: str


@dataclass(frozen=True)
class ReportReversed:
    """The ledger says how much went back so far."""

    refunded_asset: str
    refunded_total: int


Command: TypeAlias = Initiate | OpenCheckout | ReportFailedAttempt | ReportCredited | ReportReversed


def decide(state: Payment, command: Command, now: datetime) -> tuple[PaymentEvent, ...]:
    """What ``command`` leads to at ``now``. Raises PaymentError."""
    if (state.version == 0) != isinstance(command, Initiate):
        raise PaymentError(f"{state.stream} is {'not there' if state.version == 0 else 'there already'}")
    about = {"originator_id": state.stream, "originator_version": state.version + 1, "at": now.isoformat()}
    event = _DECISIONS[type(command)](state, command, about)
    return () if event is None else (event,)


def evolve(state: Payment, event: PaymentEvent) -> Payment:
    """The state after ``event``."""
    changes = _CHANGES[type(event)](event)
    at = datetime.fromisoformat(event.at)
    created_at = state.created_at or at
    return replace(state, version=event.originator_version, created_at=created_at, updated_at=at, **changes)


def _initiate(_state: Payment, command: Initiate, about: dict[str, Any]) -> PaymentEvent:
    quote = command.quote
    return PaymentInitiated(
        **about,
        user_id=command.user_id,
        reference=command.reference,
        gateway=command.gateway,
        price_asset=quote.price_asset,
        price=quote.price,
        credit_asset=quote.credit_asset,
        credits=quote.credits,
        bonus=quote.bonus,
        expires_at=quote.expires_at.isoformat(),
    )


def _open(state: Payment, command: OpenCheckout, about: dict[str, Any]) -> PaymentEvent | None:
    return (
        None if state.payment_url == command.payment_url else CheckoutOpened(**about, payment_url=command.payment_url)
    )


def _fail(state: Payment, command: ReportFailedAttempt, about: dict[str, Any]) -> PaymentEvent | None:
    """Once credited, an attempt that failed is old news."""
    if state.credited is not None or state.failure_reason == command.reason:
        return None
    return PaymentAttemptFailed(**about, reason_code=command.reason_code, reason=command.reason)


def _credit(state: Payment, command: ReportCredited, about: dict[str, Any]) -> PaymentEvent | None:
    return None if state.credited is not None else PaymentCredited(**about, **vars(command))


def _reverse(state: Payment, command: ReportReversed, about: dict[str, Any]) -> PaymentEvent | None:
    """Cumulative: a lower figure that comes later changes nothing."""
    return None if command.refunded_total <= state.refunded_total else PaymentReversed(**about, **vars(command))


_DECISIONS: Mapping[type[Any], Callable[[Payment, Any, dict[str, Any]], PaymentEvent | None]] = {
    Initiate: _initiate,
    OpenCheckout: _open,
    ReportFailedAttempt: _fail,
    ReportCredited: _credit,
    ReportReversed: _reverse,
}


def _initiated(event: PaymentInitiated) -> dict[str, Any]:
    expires_at = datetime.fromisoformat(event.expires_at)
    quote = Quote(event.price_asset, event.price, event.credit_asset, event.credits, event.bonus, expires_at)
    return {"user_id": event.user_id, "reference": event.reference, "gateway": event.gateway, "quote": quote}


def _opened(event: CheckoutOpened) -> dict[str, Any]:
    return {"payment_url": event.payment_url}


def _failed(event: PaymentAttemptFailed) -> dict[str, Any]:
    return {"failure_reason": event.reason}


def _credited(event: PaymentCredited) -> dict[str, Any]:
    return {"credited": event.credits, "received": event.received, "failure_reason": None}


def _reversed(event: PaymentReversed) -> dict[str, Any]:
    return {"refunded_total": event.refunded_total}


_CHANGES: Mapping[type[Any], Callable[[Any], dict[str, Any]]] = {
    PaymentInitiated: _initiated,
    CheckoutOpened: _opened,
    PaymentAttemptFailed: _failed,
    PaymentCredited: _credited,
    PaymentReversed: _reversed,
}
