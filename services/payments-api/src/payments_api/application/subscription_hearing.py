"""What news mean for subscriptions: a period that its gateway took or could not take, and payments that were credited.

Works in the transaction of the news. A period that a gateway tells of begins a payment here, on the terms of the
subscription; the credits come by the ledger, as for any payment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import structlog

from chassis.clock import Clock
from payments_api.application.gateways import PayRequest
from payments_api.application.notifying import Notifying
from payments_api.application.ports import PaymentStore
from payments_api.application.subscribing_ports import PeriodPayment, SubscriptionStore, subscription_of
from payments_api.domain.deciding import Initiate, OpenCheckout, ReportFailedAttempt
from payments_api.domain.payment import Payment
from payments_api.domain.quotes import Quote
from payments_api.domain.subscription import Subscription
from payments_api.domain.subscription_deciding import (
    FailPeriod,
    HearGateway,
    OpenPeriod,
    PayPeriod,
    SubscriptionCommand,
)

_PAYMENTS = UUID("5f6c9d2b-43a8-4b9e-9c56-0f5f0a1c7e55")

log = structlog.get_logger("subscriptions")


@dataclass(frozen=True, slots=True)
class PeriodNews:
    """A gateway says of one period that it was paid, or why an attempt ``failed``. ``reference`` is ours."""

    gateway: str
    subscription_id: str
    gateway_subscription_id: str | None
    invoice_id: str
    reference: str
    begins_at: datetime
    ends_at: datetime
    told_at: datetime
    payment_url: str | None = None
    failed: ReportFailedAttempt | None = None


class SubscriptionHearing:
    """The use case. What was promised for a period holds until ``grace_s`` after its end: cards are tried for weeks."""

    def __init__(
        self, store: SubscriptionStore, payments: PaymentStore, notifying: Notifying, clock: Clock, *, grace_s: int
    ) -> None:
        self._store = store
        self._payments = payments
        self._notifying = notifying
        self._clock = clock
        self._grace = timedelta(seconds=grace_s)

    async def hear_period(self, conn: Any, news: PeriodNews) -> None:
        """Begin the period's payment, if that is not done, and note an attempt that failed."""
        state = await self._ours(conn, news.gateway, news.subscription_id)
        if state is None:
            return
        payment_id = str(uuid5(_PAYMENTS, news.reference))
        expires_at = max(news.ends_at, self._clock.now()) + self._grace
        payment = await self._payments.load(conn, payment_id)
        if payment.version == 0:
            payment = await self._begin(conn, state, payment, payment_id, news, expires_at)
        commands: list[SubscriptionCommand] = [
            HearGateway(news.gateway_subscription_id, None, news.told_at),
            OpenPeriod(payment_id, news.begins_at, news.ends_at, expires_at),
        ]
        if news.failed is not None and payment.credited is None:
            commands.append(FailPeriod(payment_id, news.failed.reason or news.failed.reason_code))
            after = await self._payments.save(conn, payment, [news.failed])
            await self._notifying.on_failed(conn, payment, after)
        await self._store.save(conn, state, commands)

    async def hear_state(self, conn: Any, gateway: str, subscription_id: str, told: HearGateway) -> None:
        """How it stands at its gateway."""
        state = await self._ours(conn, gateway, subscription_id)
        if state is not None:
            await self._store.save(conn, state, [told])

    async def lock_of_payment(self, conn: Any, reference: str | None) -> PeriodPayment | None:
        """The period that is paid under ``reference``; its subscription is locked before the payment changes."""
        return None if reference is None else await self._store.lock_of_payment(conn, reference)

    async def hear_payment(self, conn: Any, period: PeriodPayment) -> None:
        """Its payment was credited, or an attempt to pay it failed: what of both, the payment says itself."""
        payment = await self._payments.load(conn, period.payment_id)
        state = await self._store.load(conn, period.subscription_id)
        if payment.credited is not None:
            await self._store.save(conn, state, [PayPeriod(period.payment_id)])
        elif payment.failure_reason is not None:
            await self._store.save(conn, state, [FailPeriod(period.payment_id, payment.failure_reason)])

    async def _ours(self, conn: Any, gateway: str, subscription_id: str) -> Subscription | None:
        state = await self._store.load(conn, subscription_id)
        if state.version == 0 or state.gateway != gateway:
            # Its money waits unallocated and is listed: somebody else's subscription on the same account.
            log.warning("subscription_unknown", subscription=subscription_id, gateway=gateway)
            return None
        return state

    async def _begin(
        self,
        conn: Any,
        state: Subscription,
        payment: Payment,
        payment_id: str,
        news: PeriodNews,
        expires_at: datetime,
    ) -> Payment:
        terms = state.terms
        assert terms is not None, "a subscription that was started has terms"
        subscription_id = subscription_of(state.stream)
        initiate = Initiate(
            user_id=state.user_id,
            reference=news.reference,
            gateway=state.gateway,
            quote=Quote(*terms, expires_at=expires_at),
            asked_asset=terms.price_asset,
            asked=terms.price,
            package_id=state.package_id,
        )
        details = {"subscription_id": subscription_id, "invoice_id": news.invoice_id}
        payment = await self._payments.save(conn, payment, [initiate, OpenCheckout(news.payment_url, details)])
        said = await self._store.said(conn, subscription_id)
        request = PayRequest(
            payment_id=payment_id,
            reference=news.reference,
            user_id=state.user_id,
            asset=terms.price_asset,
            price=terms.price,
            package_id=state.package_id,
            description="Subscription",
            customer_email=said.customer_email,
            metadata={"subscription_id": subscription_id},
        )
        await self._payments.keep_details(conn, request, None)
        return payment
