"""What a subscription takes, and what it leads to: commands, and ``decide_subscription``.

News come in any order and more than once: a repeat leads to nothing, what was paid never becomes failed, and an end is
final. A period that is paid after the end is noted all the same: the money came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from payments_api.domain import subscription_events as events
from payments_api.domain.subscription import (
    CANCELED,
    LAPSED,
    PAST_DUE,
    UNPAID,
    SubscribedTerms,
    Subscription,
)
from payments_api.domain.subscription_periods import Cycle

Events: TypeAlias = tuple[events.SubscriptionEvent, ...]


class SubscriptionError(Exception):
    """A command that this subscription does not take; it stays as it was."""


@dataclass(frozen=True)
class Start:
    """Begin it. With ``gateway_session_id`` the gateway takes the payments by itself."""

    user_id: str
    gateway: str
    package_id: str
    cycle: Cycle
    terms: SubscribedTerms
    gateway_session_id: str | None = None
    payment_url: str | None = None


@dataclass(frozen=True)
class OpenPeriod:
    """A further period is to be paid by ``payment_id``, on the promised terms until ``expires_at``."""

    payment_id: str
    begins_at: datetime
    ends_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class LoseBill:
    """The bill that was to be ``payment_id`` of period ``number`` cannot be shown: the gateway has it, we do not."""

    number: int
    payment_id: str


@dataclass(frozen=True)
class PayPeriod:
    """The period's payment became credits."""

    payment_id: str


@dataclass(frozen=True)
class FailPeriod:
    """An attempt to pay the period failed."""

    payment_id: str
    reason: str


@dataclass(frozen=True)
class Cancel:
    """The person does not want it any more."""


@dataclass(frozen=True)
class Lapse:
    """A period was not paid in time."""


@dataclass(frozen=True)
class HearGateway:
    """The gateway's name of it, None before it has one, and how it stood there at ``told_at``."""

    gateway_subscription_id: str | None
    state: str | None
    told_at: datetime


@dataclass(frozen=True)
class NoteOverAtGateway:
    """The gateway says that it takes nothing any more."""


SubscriptionCommand: TypeAlias = (
    Start | OpenPeriod | LoseBill | PayPeriod | FailPeriod | Cancel | Lapse | HearGateway | NoteOverAtGateway
)


def decide_subscription(state: Subscription, command: SubscriptionCommand, now: datetime) -> Events:
    """What ``command`` leads to at ``now``. Raises SubscriptionError."""
    if (state.version == 0) != isinstance(command, Start):
        raise SubscriptionError(f"{state.stream} is {'not there' if state.version == 0 else 'there already'}")
    made = _DECISIONS[type(command)](state, command)
    return tuple(
        kind(originator_id=state.stream, originator_version=state.version + place, at=now.isoformat(), **fields)
        for place, (kind, fields) in enumerate(made, start=1)
    )


_Made: TypeAlias = list[tuple[type[events.SubscriptionEvent], dict[str, Any]]]


def _start(_state: Subscription, command: Start) -> _Made:
    fields = {
        "user_id": command.user_id,
        "gateway": command.gateway,
        "package_id": command.package_id,
        "cycle": command.cycle,
        **command.terms._asdict(),
        "gateway_session_id": command.gateway_session_id,
        "payment_url": command.payment_url,
    }
    return [(events.SubscriptionStarted, fields)]


def _open(state: Subscription, command: OpenPeriod) -> _Made:
    if command.payment_id in state.periods:
        return []
    if not state.is_automatic and state.end is not None:
        raise SubscriptionError(f"{state.stream} is over")
    fields = {
        "number": len(state.periods) + 1,
        "payment_id": command.payment_id,
        "begins_at": command.begins_at.isoformat(),
        "ends_at": command.ends_at.isoformat(),
        "expires_at": command.expires_at.isoformat(),
    }
    return [(events.PeriodOpened, fields)]


def _lose(state: Subscription, command: LoseBill) -> _Made:
    """Only of the period that is to be opened next, and of each bill once: whoever was faster has another by now."""
    if state.end is not None or command.number != len(state.periods) + 1 or command.payment_id in state.lost_bills:
        return []
    return [(events.BillLost, {"number": command.number, "payment_id": command.payment_id})]


def _pay(state: Subscription, command: PayPeriod) -> _Made:
    period = state.periods.get(command.payment_id)
    is_news = period is not None and period.state != "paid"
    return [(events.PeriodPaid, {"payment_id": command.payment_id})] if is_news else []


def _fail(state: Subscription, command: FailPeriod) -> _Made:
    period = state.periods.get(command.payment_id)
    if period is None or period.state != "open":
        return []
    return [(events.PeriodFailed, {"payment_id": command.payment_id, "reason": command.reason})]


def _cancel(state: Subscription, _command: Cancel) -> _Made:
    return _end(state, CANCELED)


def _lapse(state: Subscription, _command: Lapse) -> _Made:
    return _end(state, LAPSED)


def _hear(state: Subscription, command: HearGateway) -> _Made:
    made: _Made = []
    name, known = command.gateway_subscription_id, state.gateway_subscription_id
    if known is not None and name != known:
        # Another one under our id: a session that was opened twice, and that nobody agreed to.
        return made
    if name is not None and known is None:
        made.append((events.GatewayNamed, {"gateway_subscription_id": name}))
    match command.state:
        case "active" | "past_due":
            made += _standing(state, command.state, command.told_at)
        case "unpaid":
            made += _end(state, UNPAID)
        case "canceled":
            # Without a name it is a session that nobody agreed to, which may be an earlier one than ours.
            made += _end(state, CANCELED) + ([] if name is None else _over(state))
    return made


def _standing(state: Subscription, told: str, told_at: datetime) -> _Made:
    """The newest counts. Of the same second ``active`` does: a period that failed is known by itself."""
    known_at = state.gateway_told_at
    is_older = known_at is not None and (told_at < known_at or (told_at == known_at and told == PAST_DUE))
    if state.end is not None or is_older or (state.gateway_state, known_at) == (told, told_at):
        return []
    return [(events.GatewayStateTold, {"state": told, "told_at": told_at.isoformat()})]


def _note_over(state: Subscription, _command: NoteOverAtGateway) -> _Made:
    return _over(state)


def _end(state: Subscription, reason: str) -> _Made:
    return [] if state.end is not None else [(events.SubscriptionEnded, {"reason": reason})]


def _over(state: Subscription) -> _Made:
    return [] if state.is_over_at_gateway else [(events.GatewayEnded, {})]


_DECISIONS: Mapping[type[Any], Callable[[Subscription, Any], _Made]] = {
    Start: _start,
    OpenPeriod: _open,
    LoseBill: _lose,
    PayPeriod: _pay,
    FailPeriod: _fail,
    Cancel: _cancel,
    Lapse: _lapse,
    HearGateway: _hear,
    NoteOverAtGateway: _note_over,
}
