"""One subscription: its state, and how its events change it. What commands lead to: ``subscription_deciding``.

A gateway either takes the payments of each period by itself (``is_automatic``), or is asked by us for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, cast

from payments_api.domain import subscription_events as events
from payments_api.domain.subscription_periods import Cycle, period_of

INCOMPLETE, ACTIVE, PAST_DUE = "incomplete", "active", "past_due"
CANCELED, UNPAID, LAPSED = "canceled", "unpaid", "lapsed"
ANOTHER_BILL_AFTER = timedelta(minutes=1)
ANOTHER_BILL_AFTER_MAX = timedelta(days=1)
DOUBLINGS_MAX = 16
SUBSCRIPTION_STATUSES = (INCOMPLETE, ACTIVE, PAST_DUE, CANCELED, UNPAID, LAPSED)


class SubscribedTerms(NamedTuple):
    """What each period costs and brings, in smallest units, as it was when the person subscribed."""

    price_asset: str
    price: int
    credit_asset: str
    credits: int
    bonus: int


@dataclass(frozen=True, slots=True)
class Period:
    """One period and the payment that is to pay for it."""

    number: int
    payment_id: str
    begins_at: datetime
    ends_at: datetime
    expires_at: datetime
    state: Literal["open", "failed", "paid"] = "open"


@dataclass(frozen=True)
class Subscription:
    """The state. ``version`` counts its events; ``periods`` are by payment, in the order in which they were opened.

    ``lost_bills`` are payments that were to be for the period that is opened next, and cannot be shown to anybody.
    """

    stream: str
    version: int = 0
    user_id: str = ""
    gateway: str = ""
    package_id: str = ""
    cycle: Cycle = "monthly"
    terms: SubscribedTerms | None = None
    gateway_session_id: str | None = None
    payment_url: str | None = None
    gateway_subscription_id: str | None = None
    gateway_state: str | None = None
    gateway_told_at: datetime | None = None
    is_over_at_gateway: bool = False
    end: str | None = None
    periods: Mapping[str, Period] = field(default_factory=dict)
    lost_bills: tuple[str, ...] = ()
    bill_lost_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def is_automatic(self) -> bool:
        """Whether its gateway takes the payments by itself."""
        return self.gateway_session_id is not None

    @property
    def newest(self) -> Period | None:
        """The period that reaches furthest."""
        return max(self.periods.values(), key=lambda period: (period.begins_at, period.number), default=None)

    @property
    def status(self) -> str:
        """One of SUBSCRIPTION_STATUSES."""
        if self.end is not None:
            return self.end
        if not any(period.state == "paid" for period in self.periods.values()):
            return INCOMPLETE
        newest = self.newest
        has_failed = newest is not None and newest.state == "failed"
        return PAST_DUE if has_failed or self.gateway_state == PAST_DUE else ACTIVE

    @property
    def next_period_at(self) -> datetime | None:
        """When the period after the newest begins; None once it is over, and before the first."""
        newest = self.newest
        return None if self.end is not None or newest is None else newest.ends_at

    @property
    def act_at(self) -> datetime | None:
        """When somebody of ours has to do something for it: end it at its gateway, let it lapse, open a period."""
        if self.is_automatic:
            return self.updated_at if self.end is not None and not self.is_over_at_gateway else None
        newest = self.newest
        if self.end is not None or newest is None:
            return None
        return self._bill_at(newest.ends_at) if newest.state == "paid" else newest.expires_at

    def _bill_at(self, due_at: datetime) -> datetime:
        """After each bill that was lost later, and later still."""
        if self.bill_lost_at is None or not self.lost_bills:
            return due_at
        pause = ANOTHER_BILL_AFTER * (1 << min(len(self.lost_bills) - 1, DOUBLINGS_MAX))
        return max(due_at, self.bill_lost_at + min(pause, ANOTHER_BILL_AFTER_MAX))

    def following(self) -> tuple[int, datetime, datetime]:
        """Number, begin and end of the period that is to be opened next, by the calendar."""
        assert self.created_at is not None, "only what was started goes on"
        number = len(self.periods) + 1
        return (number, *period_of(self.created_at, self.cycle, number))


def evolve_subscription(state: Subscription, event: events.SubscriptionEvent) -> Subscription:
    """The state after ``event``."""
    at = datetime.fromisoformat(event.at)
    changes = _CHANGES[type(event)](state, event)
    created_at = state.created_at or at
    return replace(state, version=event.originator_version, created_at=created_at, updated_at=at, **changes)


def _started(_state: Subscription, event: events.SubscriptionStarted) -> dict[str, Any]:
    return {
        "user_id": event.user_id,
        "gateway": event.gateway,
        "package_id": event.package_id,
        "cycle": cast(Cycle, event.cycle),
        "terms": SubscribedTerms(event.price_asset, event.price, event.credit_asset, event.credits, event.bonus),
        "gateway_session_id": event.gateway_session_id,
        "payment_url": event.payment_url,
    }


def _opened(state: Subscription, event: events.PeriodOpened) -> dict[str, Any]:
    begins_at, ends_at, expires_at = map(datetime.fromisoformat, (event.begins_at, event.ends_at, event.expires_at))
    period = Period(event.number, event.payment_id, begins_at, ends_at, expires_at)
    return {"periods": {**state.periods, period.payment_id: period}, "lost_bills": ()}


def _bill_lost(state: Subscription, event: events.BillLost) -> dict[str, Any]:
    return {
        "lost_bills": (*state.lost_bills, event.payment_id),
        "bill_lost_at": datetime.fromisoformat(event.at),
    }


def _period_becomes(name: Literal["paid", "failed"]) -> Callable[[Subscription, Any], dict[str, Any]]:
    def become(state: Subscription, event: events.PeriodPaid | events.PeriodFailed) -> dict[str, Any]:
        changed = replace(state.periods[event.payment_id], state=name)
        return {"periods": {**state.periods, event.payment_id: changed}}

    return become


def _named(_state: Subscription, event: events.GatewayNamed) -> dict[str, Any]:
    return {"gateway_subscription_id": event.gateway_subscription_id}


def _told(_state: Subscription, event: events.GatewayStateTold) -> dict[str, Any]:
    return {"gateway_state": event.state, "gateway_told_at": datetime.fromisoformat(event.told_at)}


def _ended(_state: Subscription, event: events.SubscriptionEnded) -> dict[str, Any]:
    return {"end": event.reason}


def _over_at_gateway(_state: Subscription, _event: events.GatewayEnded) -> dict[str, Any]:
    return {"is_over_at_gateway": True}


_CHANGES: Mapping[type[Any], Callable[[Subscription, Any], dict[str, Any]]] = {
    events.SubscriptionStarted: _started,
    events.PeriodOpened: _opened,
    events.BillLost: _bill_lost,
    events.PeriodPaid: _period_becomes("paid"),
    events.PeriodFailed: _period_becomes("failed"),
    events.GatewayNamed: _named,
    events.GatewayStateTold: _told,
    events.SubscriptionEnded: _ended,
    events.GatewayEnded: _over_at_gateway,
}
