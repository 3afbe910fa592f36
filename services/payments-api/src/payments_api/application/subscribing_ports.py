"""What subscriptions need from outside, as Protocols; adapters and tests implement them.

Amounts are integers of the asset's smallest unit throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from payments_api.domain.subscription import SubscribedTerms, Subscription
from payments_api.domain.subscription_deciding import SubscriptionCommand
from payments_api.domain.subscription_periods import Cycle

SUBSCRIPTION_STREAM_PREFIX = "subscription:"


def subscription_of(stream: str) -> str:
    """The subscription of that stream."""
    return stream.removeprefix(SUBSCRIPTION_STREAM_PREFIX)


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said beside: theirs, and not part of the events. ``options`` are the gateway's own part."""

    customer_email: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class PeriodPayment(NamedTuple):
    """A payment that is to pay for a period, and the subscription that it belongs to."""

    subscription_id: str
    payment_id: str


@dataclass(frozen=True, slots=True)
class RecurringRequest:
    """A subscription that is about to begin at a gateway which takes the payments by itself. ``subscription_id`` is the
    idempotency key, and comes back with all news of it."""

    subscription_id: str
    user_id: str
    package_id: str
    cycle: Cycle
    terms: SubscribedTerms
    customer_email: str | None = None


class RecurringStarted(NamedTuple):
    """Where the person agrees to it. ``session_id`` is the gateway's name of that."""

    session_id: str
    payment_url: str


class RecurringGateway(Protocol):
    """A gateway that takes the payment of each period by itself, and tells by webhooks."""

    async def start(self, request: RecurringRequest) -> RecurringStarted:
        """Make it payable; the same request once more comes to the same. Raises GatewayAway, GatewayRefused."""
        ...

    async def end(self, session_id: str, gateway_subscription_id: str | None) -> None:
        """Let it take nothing any more, at once; repeatable. Nobody can agree to it afterwards, either.

        Raises GatewayAway, GatewayRefused.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class Pool(Protocol):
    """A pool of database connections."""

    def acquire(self) -> AbstractAsyncContextManager[Any]: ...


class SubscriptionStore(Protocol):
    """Subscriptions, by id; ``conn`` is the caller's transaction. Whoever changes one and a payment in one transaction
    locks the subscription first: all rows come before the log's lane."""

    async def load(self, conn: Any, subscription_id: str, *, lock: bool = True) -> Subscription:
        """The subscription, its row locked unless told otherwise; version 0 when there is none."""
        ...

    async def save(self, conn: Any, state: Subscription, commands: Sequence[SubscriptionCommand]) -> Subscription:
        """Decide and append. Takes the log's lane: a transaction's last step but for a payment's."""
        ...

    async def keep_said(self, conn: Any, subscription_id: str, said: Said) -> None: ...

    async def said(self, conn: Any, subscription_id: str) -> Said: ...

    async def lock_of_payment(self, conn: Any, reference: str) -> PeriodPayment | None:
        """The subscription, its row locked, whose period is paid by the payment with this reference of ours."""
        ...

    async def take_due(self, now: datetime, limit: int) -> Sequence[str]:
        """Subscriptions that something must be done for; each comes again after a pause that doubles."""
        ...
