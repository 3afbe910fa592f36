"""Saved cards, wherever Stripe is offered."""

from __future__ import annotations

from typing import Any

import asyncpg

from chassis.clock import Clock
from chassis.ids import IdFactory
from payments_api.adapters.gateways.stripe.connection import StripeConnection
from payments_api.adapters.gateways.stripe.saved_cards import StripeSavedCards
from payments_api.adapters.saved_cards import PostgresCustomerBook
from payments_api.application.saved_cards import SavedCards
from payments_api.bootstrap.gateways import stripe_access
from payments_api.settings import PaymentsApiSettings


def saved_cards(
    settings: PaymentsApiSettings, pool: asyncpg.Pool[Any], clock: Clock, ids: IdFactory
) -> SavedCards | None:
    """None where Stripe is not offered."""
    access = stripe_access(settings)
    if access is None:
        return None
    vault = StripeSavedCards(StripeConnection(access), str(settings.frontend_url), settings.stripe_publishable_key)
    return SavedCards(vault, PostgresCustomerBook(pool), clock, ids)
