"""Subscriptions, put together: gateways that take payments by themselves, and what is done behind for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from chassis.clock import Clock
from chassis.ids import IdFactory
from eventstore.port import EventStore
from payments_api.adapters.gateways.stripe.connection import NAME as STRIPE
from payments_api.adapters.gateways.stripe.connection import StripeConnection
from payments_api.adapters.gateways.stripe.subscriptions import StripeSubscriptions
from payments_api.adapters.subscription_repository import SubscriptionRepository
from payments_api.application.initiating import Initiating
from payments_api.application.notifying import Notifying
from payments_api.application.ports import PaymentStore
from payments_api.application.subscribing import Subscribing
from payments_api.application.subscribing_ports import RecurringGateway
from payments_api.application.subscription_hearing import SubscriptionHearing
from payments_api.application.subscription_renewing import Renewing
from payments_api.bootstrap.gateways import stripe_access
from payments_api.domain.quotes import Pricing
from payments_api.projections.subscription_views import SubscriptionViews
from payments_api.settings import PaymentsApiSettings


@dataclass(frozen=True)
class SubscriptionParts:
    """``recurring`` are to be closed at the end."""

    recurring: Mapping[str, RecurringGateway]
    subscribing: Subscribing
    renewing: Renewing
    hearing: SubscriptionHearing
    views: SubscriptionViews


def subscription_parts(
    settings: PaymentsApiSettings,
    pool: asyncpg.Pool[Any],
    store: EventStore,
    payments: PaymentStore,
    initiating: Initiating,
    notifying: Notifying,
    pricing: Pricing,
    clock: Clock,
    ids: IdFactory,
    wakeup: asyncio.Event,
) -> SubscriptionParts:
    """All of it."""
    repository = SubscriptionRepository(pool, store, clock)
    recurring = recurring_gateways(settings)
    grace_s = settings.subscription_grace_s
    subscribing = Subscribing(pool, repository, initiating, recurring, pricing, clock, ids, grace_s=grace_s)
    renewing = Renewing(
        pool,
        repository,
        payments,
        subscribing,
        initiating,
        notifying,
        clock,
        wakeup,
        frontend_url=str(settings.frontend_url),
        late_s=settings.expiry_grace_s,
    )
    hearing = SubscriptionHearing(repository, payments, notifying, clock, grace_s=grace_s)
    return SubscriptionParts(recurring, subscribing, renewing, hearing, SubscriptionViews(pool))


def recurring_gateways(settings: PaymentsApiSettings) -> Mapping[str, RecurringGateway]:
    """Name → gateway, of those that take the payments of each period by themselves."""
    access = stripe_access(settings)
    if access is None:
        return {}
    return {STRIPE: StripeSubscriptions(StripeConnection(access), str(settings.frontend_url))}
