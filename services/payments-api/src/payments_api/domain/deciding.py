"""What a payment takes, and what it leads to: commands, and ``decide``.

News come in any order and more than once: a repeat leads to nothing, and what was credited is never called failed or
expired afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from payments_api.domain import events
from payments_api.domain.payment import DISPUTED, LOST, WON, Payment
from payments_api.domain.quotes import Quote


class PaymentError(Exception):
    """A command that this payment does not take; it stays as it was."""


@dataclass(frozen=True)
class Initiate:
    """Begin it. ``asked`` of ``asked_asset`` is what the person asked to pay; the quote says what the gateway takes."""

    user_id: str
    reference: str
    gateway: str
    quote: Quote
    asked_asset: str
    asked: int
    gateway_payment_id: str | None = None
    package_id: str | None = None
    deposit: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class OpenCheckout:
    """Tell where and how the person pays."""

    payment_url: str | None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportSeen:
    """A gateway has seen money that is not final."""

    gateway_payment_id: str
    state: str
    confirmations: int | None = None
    confirmations_required: int | None = None


@dataclass(frozen=True)
class ReportFailedAttempt:
    """A gateway says that an attempt failed, or that the payment ``is_over``. ``attempt_id`` tells attempts apart that
    failed for the same reason."""

    reason_code: str
    reason: str
    is_over: bool = False
    attempt_id: str | None = None


@dataclass(frozen=True)
class Expire:
    """Its time is over. ``is_given_up``: so is that of money which a gateway said is under way."""

    is_given_up: bool = False


@dataclass(frozen=True)
class ReportCredited:
    """The ledger says that a piece became credits."""

    received_asset: str
    received: int
    credit_asset: str
    credits: int
    rule: str
    gateway_payment_id: str


@dataclass(frozen=True)
class ReportReversed:
    """The ledger says how much of a piece is gone now. ``came_back``: it may be less than before."""

    refunded_asset: str
    refunded_total: int
    gateway_payment_id: str
    came_back: bool = False


@dataclass(frozen=True)
class ReportDisputed:
    """The ledger says what became of a dispute: ``opened``, ``won``, ``lost``."""

    dispute_id: str
    state: str
    disputed_asset: str
    disputed: int


Command: TypeAlias = (
    Initiate
    | OpenCheckout
    | ReportSeen
    | ReportFailedAttempt
    | Expire
    | ReportCredited
    | ReportReversed
    | ReportDisputed
)


def decide(state: Payment, command: Command, now: datetime) -> tuple[events.PaymentEvent, ...]:
    """What ``command`` leads to at ``now``. Raises PaymentError."""
    if (state.version == 0) != isinstance(command, Initiate):
        raise PaymentError(f"{state.stream} is {'not there' if state.version == 0 else 'there already'}")
    about = {"originator_id": state.stream, "originator_version": state.version + 1, "at": now.isoformat()}
    event = _DECISIONS[type(command)](state, command, about)
    return () if event is None else (event,)


def _initiate(_state: Payment, command: Initiate, about: dict[str, Any]) -> events.PaymentEvent:
    quote = command.quote
    return events.PaymentInitiated(
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
        asked_asset=command.asked_asset,
        asked=command.asked,
        gateway_payment_id=command.gateway_payment_id,
        package_id=command.package_id,
        deposit=None if command.deposit is None else dict(command.deposit),
    )


def _open(state: Payment, command: OpenCheckout, about: dict[str, Any]) -> events.PaymentEvent | None:
    if (state.payment_url, state.details) == (command.payment_url, command.details):
        return None
    return events.CheckoutOpened(**about, payment_url=command.payment_url, details=dict(command.details))


def _see(state: Payment, command: ReportSeen, about: dict[str, Any]) -> events.PaymentEvent | None:
    """Old news once that piece is credited, or the payment is over; a gateway's blocks only count up."""
    if command.gateway_payment_id in state.received or state.is_over:
        return None
    known = state.seen.get(command.gateway_payment_id)
    if known == command.state and (command.confirmations or 0) <= (state.confirmations or 0):
        return None
    return events.PaymentSeen(**about, **vars(command))


def _fail(state: Payment, command: ReportFailedAttempt, about: dict[str, Any]) -> events.PaymentEvent | None:
    """Once credited, an attempt that failed is old news."""
    if state.credited is not None or state.is_over:
        return None
    if command.attempt_id is None:
        is_known = state.failure_reason == (command.reason or command.reason_code)
    else:
        is_known = command.attempt_id in state.failed_attempts
    if is_known and not command.is_over:
        return None
    return events.PaymentAttemptFailed(**about, **vars(command))


def _expire(state: Payment, command: Expire, about: dict[str, Any]) -> events.PaymentEvent | None:
    """Not while money of it is under way, for as long as that is believed."""
    if not state.is_open or (state.is_under_way and not command.is_given_up):
        return None
    return events.PaymentExpired(**about, user_id=state.user_id, reference=state.reference, gateway=state.gateway)


def _credit(state: Payment, command: ReportCredited, about: dict[str, Any]) -> events.PaymentEvent | None:
    known = command.gateway_payment_id in state.received
    return None if known else events.PaymentCredited(**about, **vars(command))


def _reverse(state: Payment, command: ReportReversed, about: dict[str, Any]) -> events.PaymentEvent | None:
    """A lower figure that comes later changes nothing, unless money is said to have come back."""
    known = state.reversed.get(command.gateway_payment_id, 0)
    same_or_old = command.refunded_total == known if command.came_back else command.refunded_total <= known
    if same_or_old:
        return None
    return events.PaymentReversed(
        **about,
        refunded_asset=command.refunded_asset,
        refunded_total=command.refunded_total,
        gateway_payment_id=command.gateway_payment_id,
    )


def _dispute(state: Payment, command: ReportDisputed, about: dict[str, Any]) -> events.PaymentEvent | None:
    """An end is final, whatever is told after it."""
    if state.disputes.get(command.dispute_id) in (WON, LOST):
        return None
    if command.state == "opened" and state.disputes.get(command.dispute_id) == DISPUTED:
        return None
    return events.PaymentDisputed(**about, **vars(command))


_DECISIONS: Mapping[type[Any], Callable[[Payment, Any, dict[str, Any]], events.PaymentEvent | None]] = {
    Initiate: _initiate,
    OpenCheckout: _open,
    ReportSeen: _see,
    ReportFailedAttempt: _fail,
    Expire: _expire,
    ReportCredited: _credit,
    ReportReversed: _reverse,
    ReportDisputed: _dispute,
}
