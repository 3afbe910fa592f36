"""What is done for subscriptions behind: open the next period where we ask for it, let lapse what was not paid, end at
its gateway what is over.

The gateway is asked outside of a transaction; what it made is stored only if the subscription still stands as it did.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

import structlog

from chassis.bus.retry import passes
from chassis.clock import Clock
from chassis.errors import DomainError
from chassis.rounds import in_rounds
from chassis.runtime import StopSignal
from payments_api.application.gateways import ReferenceTaken
from payments_api.application.initiating import Initiating
from payments_api.application.notifying import Notifying
from payments_api.application.ports import PaymentStore
from payments_api.application.subscribing import AskedSubscription, Subscribing, bill_id
from payments_api.application.subscribing_ports import Pool, SubscriptionStore, subscription_of
from payments_api.domain.payment import PENDING, Payment
from payments_api.domain.subscription import Subscription
from payments_api.domain.subscription_deciding import Lapse, LoseBill, OpenPeriod, PayPeriod

BATCH_MAX_SUBSCRIPTIONS = 20
LOOK_EVERY_S = 1.0

log = structlog.get_logger("renewing")


class Wakeup(Protocol):
    """Tells the relay that there is something to publish."""

    def set(self) -> None: ...


class Renewing:
    """The process. ``late_s`` is how long after a period's time its payment may still be on its way to us."""

    def __init__(
        self,
        pool: Pool,
        store: SubscriptionStore,
        payments: PaymentStore,
        subscribing: Subscribing,
        initiating: Initiating,
        notifying: Notifying,
        clock: Clock,
        wakeup: Wakeup,
        *,
        frontend_url: str,
        late_s: float,
    ) -> None:
        self._pool = pool
        self._store = store
        self._payments = payments
        self._subscribing = subscribing
        self._initiating = initiating
        self._notifying = notifying
        self._clock = clock
        self._wakeup = wakeup
        self._frontend_url = frontend_url.rstrip("/")
        self._late = timedelta(seconds=late_s)

    async def run(self, stop: StopSignal) -> None:
        """Act until stopped; what is away is asked again later, bugs are raised."""

        async def act() -> None:
            while await self.act_once() == BATCH_MAX_SUBSCRIPTIONS and not stop.is_set():
                continue

        await in_rounds(act, stop, every_s=LOOK_EVERY_S, failed="subscriptions_not_looked_at")

    async def act_once(self) -> int:
        """Do what is due; answers for how many."""
        due = await self._store.take_due(self._clock.now(), BATCH_MAX_SUBSCRIPTIONS)
        for subscription_id in due:
            try:
                await self._act(subscription_id)
            except DomainError as refused:
                log.error("renewal_refused", subscription=subscription_id, code=refused.code, reason=refused.title)
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("renewal_put_off", subscription=subscription_id, error=str(error))
        return len(due)

    async def _act(self, subscription_id: str) -> None:
        async with self._pool.acquire() as conn:
            state = await self._store.load(conn, subscription_id, lock=False)
        newest = state.newest
        if state.is_automatic:
            await self._subscribing.end_at_gateway(state)
        elif state.end is None and newest is not None and newest.state == "paid":
            await self._open_next(state)
        elif state.end is None:
            await self._settle_open(subscription_id, self._clock.now())

    async def _open_next(self, state: Subscription) -> None:
        assert state.terms is not None, "a subscription that was started has terms"
        subscription_id = subscription_of(state.stream)
        number, begins_at, ends_at = state.following()
        async with self._pool.acquire() as conn:
            said = await self._store.said(conn, subscription_id)
        asked = AskedSubscription(state.gateway, state.package_id, state.cycle, said)
        attempt = len(state.lost_bills)
        try:
            bill = await self._subscribing.prepare_bill(
                subscription_id, state.user_id, asked, state.terms, number, attempt
            )
        except ReferenceTaken:
            await self._lose_bill(subscription_id, number, attempt)
            return
        async with self._pool.acquire() as conn, conn.transaction():
            current = await self._store.load(conn, subscription_id)
            if current.end is not None or len(current.periods) != number - 1:
                return
            opened = OpenPeriod(bill.request.payment_id, begins_at, ends_at, bill.quote.expires_at)
            await self._store.save(conn, current, [opened])
            payment = await self._initiating.store(conn, bill)
            await self._notifying.on_renewal(conn, payment, self._where_to_pay(payment, bill.request.payment_id))
        self._wakeup.set()

    async def _lose_bill(self, subscription_id: str, number: int, attempt: int) -> None:
        """The gateway has this bill and its answer never came here, so nobody was shown it: the next has another name.

        Should it be paid after all, its money waits unallocated, since no payment of ours has its reference.
        """
        lost = LoseBill(number, bill_id(subscription_id, number, attempt))
        log.error("bill_lost", subscription=subscription_id, period=number, payment=lost.payment_id)
        async with self._pool.acquire() as conn, conn.transaction():
            current = await self._store.load(conn, subscription_id)
            await self._store.save(conn, current, [lost])

    async def _settle_open(self, subscription_id: str, now: datetime) -> None:
        """Its newest period's time is over: it was paid without our hearing, somebody is paying, or it lapses."""
        async with self._pool.acquire() as conn, conn.transaction():
            state = await self._store.load(conn, subscription_id)
            newest = state.newest
            if state.end is not None or newest is None or newest.state == "paid":
                return
            payment = await self._payments.load(conn, newest.payment_id)
            if payment.credited is not None:
                await self._store.save(conn, state, [PayPeriod(newest.payment_id)])
            elif payment.status != PENDING and now >= newest.expires_at + self._late:
                await self._store.save(conn, state, [Lapse()])

    def _where_to_pay(self, payment: Payment, payment_id: str) -> str:
        return payment.payment_url or f"{self._frontend_url}/payments/{payment_id}"
