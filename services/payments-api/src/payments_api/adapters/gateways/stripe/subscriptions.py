"""Subscriptions that Stripe runs: a hosted Checkout Session in which a person agrees, and the end.

Everything between is told by webhooks. Each subscription carries our id, and Stripe copies it into every invoice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from contracts.amounts import Asset, format_units
from payments_api.adapters.gateways.stripe.connection import StripeConnection
from payments_api.application.gateways import GatewayRefused
from payments_api.application.subscribing_ports import RecurringRequest, RecurringStarted

PURPOSE = "tfc_subscription"
INTERVALS = {"monthly": "month", "yearly": "year"}
EXPIRABLE = "open"
OVER = ("canceled", "incomplete_expired")


class StripeSubscriptions:
    """See application.subscribing_ports.RecurringGateway. ``close`` it at the end."""

    def __init__(self, connection: StripeConnection, frontend_url: str) -> None:
        self._stripe = connection
        self._frontend_url = frontend_url.rstrip("/")

    async def close(self) -> None:
        """See the port."""
        await self._stripe.close()

    async def start(self, request: RecurringRequest) -> RecurringStarted:
        """See the port. The parameters are of the request alone, so the same key never means something else."""
        create = self._stripe.v1.checkout.sessions.create_async
        parameters = session_parameters(request, self._frontend_url)
        session = await self._stripe.write(create, parameters, f"subscribe:{request.subscription_id}")
        return RecurringStarted(session["id"], session["url"])

    async def end(self, session_id: str, gateway_subscription_id: str | None) -> None:
        """See the port. Whoever has not agreed yet must not be able to, and may have done so this very moment."""
        if gateway_subscription_id is None:
            gateway_subscription_id = await self._end_session(session_id)
        if gateway_subscription_id is not None:
            await self._end_subscription(gateway_subscription_id)

    async def _end_session(self, session_id: str) -> str | None:
        """Its subscription, if it has one by now."""
        session = await self._session(session_id)
        if session is not None and session.get("status") == EXPIRABLE:
            try:
                await self._stripe.write(self._expiring(session_id), {}, f"expire:{session_id}")
            except GatewayRefused:
                # Completed in between.
                session = await self._session(session_id)
                if session is None or session.get("status") == EXPIRABLE:
                    raise
        made = None if session is None else session.get("subscription")
        return made.get("id") if isinstance(made, dict) else made

    async def _session(self, session_id: str) -> dict[str, Any] | None:
        return await self._stripe.known(self._stripe.v1.checkout.sessions.retrieve_async(session_id))

    def _expiring(self, session_id: str) -> Any:
        def expire(parameters: Any, options: Any) -> Awaitable[Any]:
            return self._stripe.v1.checkout.sessions.expire_async(session_id, parameters, options)

        return expire

    async def _end_subscription(self, subscription_id: str) -> None:
        found = await self._stripe.known(self._stripe.v1.subscriptions.retrieve_async(subscription_id))
        if found is None or found.get("status") in OVER:
            return
        # Drafts that it has made are deleted, too, and nothing is made for what was used since.
        asked: Any = {"invoice_now": False, "prorate": False}
        try:
            await self._stripe.called(self._stripe.v1.subscriptions.cancel_async(subscription_id, asked))
        except GatewayRefused:
            found = await self._stripe.known(self._stripe.v1.subscriptions.retrieve_async(subscription_id))
            if found is not None and found.get("status") not in OVER:
                raise


def session_parameters(request: RecurringRequest, frontend_url: str) -> dict[str, Any]:
    """A hosted Checkout Session that begins a subscription at the price of ``request``."""
    terms = request.terms
    metadata = metadata_of(request)
    promised = f"{format_units(terms.credits + terms.bonus, terms.credit_asset)} {Asset.parse(terms.credit_asset).code}"
    price = {
        "currency": Asset.parse(terms.price_asset).code.lower(),
        "unit_amount": terms.price,
        "recurring": {"interval": INTERVALS[request.cycle]},
        "product_data": {"name": f"Credits: {promised} each {INTERVALS[request.cycle]}"},
    }
    parameters: dict[str, Any] = {
        "mode": "subscription",
        "line_items": [{"quantity": 1, "price_data": price}],
        "client_reference_id": request.subscription_id,
        "metadata": metadata,
        "subscription_data": {"metadata": metadata},
        "success_url": f"{frontend_url}/credits/success?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{frontend_url}/credits",
    }
    return parameters | ({"customer_email": request.customer_email} if request.customer_email else {})


def metadata_of(request: RecurringRequest) -> Mapping[str, str]:
    """What Stripe gives back with all news of the subscription."""
    return {
        "subscription_id": request.subscription_id,
        "user_id": request.user_id,
        "package_id": request.package_id,
        "purpose": PURPOSE,
    }
