"""Beginning and ending subscriptions: a package again each period, by a gateway that takes it itself or by our bills.

As with payments, the gateway is asked first and then ours is stored; an end is stored first and asked for until it is
known. Credits nothing: each period is a payment, and goes the way of payments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import structlog

from chassis.bus.retry import passes
from chassis.clock import Clock
from chassis.errors import InvalidField
from chassis.ids import IdFactory
from payments_api.application.gateways import GatewayRefused
from payments_api.application.initiating import Asked, Initiating, Prepared, Promised
from payments_api.application.refusals import GatewayNotConfigured, UnknownGateway
from payments_api.application.subscribing_ports import (
    SUBSCRIPTION_STREAM_PREFIX,
    Pool,
    RecurringGateway,
    RecurringRequest,
    RecurringStarted,
    Said,
    SubscriptionStore,
    subscription_of,
)
from payments_api.domain.quotes import Pricing
from payments_api.domain.subscription import SubscribedTerms, Subscription
from payments_api.domain.subscription_deciding import Cancel, NoteOverAtGateway, OpenPeriod, Start, SubscriptionCommand
from payments_api.domain.subscription_periods import Cycle, period_of

_IDS_BY_KEY = UUID("0b8f8a76-3b0a-4d53-9d0e-57e3d5b1c0a4")
_PERIODS = UUID("c8c8ae0d-1a8e-4e0a-8f33-5f0b5a2f6c1d")

log = structlog.get_logger("subscribing")


@dataclass(frozen=True, slots=True)
class AskedSubscription:
    """What a person asks for; ``gateway`` is how each period is paid."""

    gateway: str
    package_id: str
    cycle: Cycle
    said: Said


@dataclass(frozen=True, slots=True)
class PreparedSubscription:
    """A subscription that its gateway knows and our books do not yet: with the payment of its first period, or where
    the gateway takes the payments by itself, with where the person agrees to that."""

    subscription_id: str
    user_id: str
    asked: AskedSubscription
    terms: SubscribedTerms
    started: RecurringStarted | None = None
    first: Prepared | None = None


class Subscribing:
    """The use case. ``grace_s`` is how long the payment of a period may take where we ask for it."""

    def __init__(
        self,
        pool: Pool,
        store: SubscriptionStore,
        initiating: Initiating,
        recurring: Mapping[str, RecurringGateway],
        pricing: Pricing,
        clock: Clock,
        ids: IdFactory,
        *,
        grace_s: int,
    ) -> None:
        self._pool = pool
        self._store = store
        self._initiating = initiating
        self._recurring = dict(recurring)
        self._pricing = pricing
        self._clock = clock
        self._ids = ids
        self._grace_s = grace_s

    def new_id(self, user_id: str, key: str | None) -> str:
        """The id of one that is about to begin; the same again for the same key of the same person."""
        return str(self._ids.new()) if key is None else str(uuid5(_IDS_BY_KEY, f"{user_id}\x1f{key}"))

    def check(self, asked: AskedSubscription) -> SubscribedTerms:
        """What each period costs and brings. Raises InvalidField for what cannot be subscribed to."""
        try:
            self._initiating.gateway(asked.gateway)
        except (GatewayNotConfigured, UnknownGateway) as error:
            raise InvalidField("payment_method", error.code, error.title) from error
        package = self._pricing.packages.get(asked.package_id)
        if package is None:
            raise InvalidField("package_id", "unknown_package", "There is no such package")
        if asked.gateway not in self._recurring and asked.said.customer_email is None:
            raise InvalidField("customer_email", "missing", "is needed, since the bill of each period is mailed")
        terms = self._pricing.terms
        return SubscribedTerms(terms.price_asset, package.price, terms.credit_asset, package.credits, package.bonus)

    async def prepare(self, subscription_id: str, user_id: str, asked: AskedSubscription) -> PreparedSubscription:
        """Make it payable. Raises InvalidField, GatewayAway, GatewayRefused."""
        terms = self.check(asked)
        gateway = self._recurring.get(asked.gateway)
        if gateway is not None:
            request = RecurringRequest(
                subscription_id, user_id, asked.package_id, asked.cycle, terms, asked.said.customer_email
            )
            started = await gateway.start(request)
            return PreparedSubscription(subscription_id, user_id, asked, terms, started=started)
        first = await self.prepare_bill(subscription_id, user_id, asked, terms, 1)
        return PreparedSubscription(subscription_id, user_id, asked, terms, first=first)

    async def prepare_bill(
        self,
        subscription_id: str,
        user_id: str,
        asked: AskedSubscription,
        terms: SubscribedTerms,
        number: int,
        attempt: int = 0,
    ) -> Prepared:
        """The payment of period ``number``, payable; the same ``attempt`` once more comes to the same payment.

        Who subscribes now pays now: only bills that are mailed hold for the time of grace, during which coins may fall.
        Raises ReferenceTaken where the gateway has this bill and does not say how it is paid.
        """
        return await self._initiating.prepare(
            bill_id(subscription_id, number, attempt),
            user_id,
            asked.gateway,
            Asked(
                asset=terms.price_asset,
                price=terms.price,
                package_id=asked.package_id,
                description=f"Subscription, period {number}",
                customer_email=asked.said.customer_email,
                metadata={"subscription_id": subscription_id, "period": str(number)},
                options=asked.said.options,
                promised=Promised(terms.credits, terms.bonus, None if number == 1 else self._grace_s),
            ),
        )

    async def store(self, conn: Any, prepared: PreparedSubscription) -> Subscription:
        """Store it in ``conn``'s transaction."""
        asked, started, first = prepared.asked, prepared.started, prepared.first
        commands: list[SubscriptionCommand] = [
            Start(
                user_id=prepared.user_id,
                gateway=asked.gateway,
                package_id=asked.package_id,
                cycle=asked.cycle,
                terms=prepared.terms,
                gateway_session_id=None if started is None else started.session_id,
                payment_url=None if started is None else started.payment_url,
            )
        ]
        if first is not None:
            begins_at, ends_at = period_of(self._clock.now(), asked.cycle, 1)
            commands.append(OpenPeriod(first.request.payment_id, begins_at, ends_at, first.quote.expires_at))
        state = Subscription(SUBSCRIPTION_STREAM_PREFIX + prepared.subscription_id)
        state = await self._store.save(conn, state, commands)
        await self._store.keep_said(conn, prepared.subscription_id, asked.said)
        if first is not None:
            await self._initiating.store(conn, first)
        return state

    async def cancel(self, user_id: str, subscription_id: str) -> bool:
        """End it, once; False if this person has none of that id. What was credited stays."""
        async with self._pool.acquire() as conn, conn.transaction():
            state = await self._store.load(conn, subscription_id)
            if state.version == 0 or state.user_id != user_id:
                return False
            state = await self._store.save(conn, state, [Cancel()])
        try:
            await self.end_at_gateway(state)
        except Exception as error:
            if not passes(error):
                raise
            log.warning("subscription_not_ended_yet", subscription=subscription_id, error=str(error))
        return True

    async def end_at_gateway(self, state: Subscription) -> None:
        """Ask its gateway to take nothing any more, if that is not known yet. Raises GatewayAway."""
        subscription_id = subscription_of(state.stream)
        gateway = self._recurring.get(state.gateway)
        if state.gateway_session_id is None or state.end is None or state.is_over_at_gateway:
            return
        if gateway is None:
            log.error("subscription_without_gateway", subscription=subscription_id, gateway=state.gateway)
            return
        try:
            await gateway.end(state.gateway_session_id, state.gateway_subscription_id)
        except GatewayRefused as refused:
            log.error("subscription_end_refused", subscription=subscription_id, reason=refused.title)
            return
        async with self._pool.acquire() as conn, conn.transaction():
            state = await self._store.load(conn, subscription_id)
            await self._store.save(conn, state, [NoteOverAtGateway()])


def bill_id(subscription_id: str, number: int, attempt: int) -> str:
    """The payment of period ``number``, at the ``attempt``-th time that a bill for it is made."""
    again = f"\x1f{attempt}" if attempt else ""
    return str(uuid5(_PERIODS, f"{subscription_id}\x1f{number}{again}"))
