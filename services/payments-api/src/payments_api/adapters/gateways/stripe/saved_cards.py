"""Cards that Stripe keeps for people: its Customers, SetupIntents and PaymentMethods, and charging one off-session.

A card number never comes here. Whose customer is whose is not known here, either.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from payments_api.adapters.gateways.stripe.connection import StripeConnection, plain, rows
from payments_api.application.gateways import GatewayRefused
from payments_api.application.saved_cards import SavedCard, SavingBegun, UnknownCustomer

LISTED_MAX_ROWS = 100
SETTLED = "payment_intent_unexpected_state"
UNKNOWN = "resource_missing"


class StripeSavedCards:
    """See application.saved_cards.CardVault. Prices and payments are the gateway's."""

    def __init__(self, connection: StripeConnection, frontend_url: str, publishable_key: str | None) -> None:
        self._stripe = connection
        self._frontend_url = frontend_url.rstrip("/")
        self._publishable_key = publishable_key

    async def close(self) -> None:
        """See the port."""
        await self._stripe.close()

    async def make_customer(self, user_id: str, key: str) -> str:
        """See the port."""
        made = await self._stripe.write(self._stripe.v1.customers.create_async, {"metadata": {"user_id": user_id}}, key)
        return str(made["id"])

    async def begin_saving(self, customer_id: str, user_id: str, key: str) -> SavingBegun:
        """See the port."""
        asked = {
            "customer": customer_id,
            "usage": "off_session",
            "automatic_payment_methods": {"enabled": True},
            "metadata": {"user_id": user_id},
        }
        try:
            made = await self._stripe.write(self._stripe.v1.setup_intents.create_async, asked, key)
        except GatewayRefused as refused:
            if _says(refused, UNKNOWN):
                raise UnknownCustomer(customer_id) from refused
            raise
        return SavingBegun(made["id"], made["client_secret"], self._publishable_key)

    async def cards(self, customer_id: str) -> Sequence[SavedCard]:
        """See the port."""
        query: Any = {"limit": LISTED_MAX_ROWS}
        try:
            page = await self._stripe.called(self._stripe.v1.customers.payment_methods.list_async(customer_id, query))
        except GatewayRefused as refused:
            if _says(refused, UNKNOWN):
                return ()
            raise
        return [_card(row) for row in rows(page)]

    async def card(self, customer_id: str, card_id: str) -> SavedCard | None:
        """See the port. Stripe is asked for it as that customer's: it refuses what is somebody else's."""
        asking = self._stripe.v1.customers.payment_methods.retrieve_async(customer_id, card_id)
        try:
            return _card(plain(await self._stripe.called(asking)))
        except GatewayRefused:
            return None

    async def forget(self, card_id: str) -> None:
        """See the port. What is detached can never be attached again, so the key may be the card's own."""

        def detach(_parameters: Mapping[str, Any], options: Any) -> Awaitable[Any]:
            return self._stripe.v1.payment_methods.detach_async(card_id, None, options)

        await self._stripe.write(detach, {}, f"detach:{card_id}")

    async def charge(self, payment_id: str, gateway_payment_id: str) -> None:
        """See the port. The address is where a payer would come back to from another page: Stripe insists on one for
        any intent that could lead to one."""
        asked = {"off_session": True, "return_url": f"{self._frontend_url}/payments/{payment_id}"}

        def confirm(parameters: Any, options: Any) -> Awaitable[Any]:
            return self._stripe.v1.payment_intents.confirm_async(gateway_payment_id, parameters, options)

        try:
            await self._stripe.write(confirm, asked, f"confirm:{payment_id}")
        except GatewayRefused as refused:
            if not _says(refused, SETTLED):
                raise


def _says(refused: GatewayRefused, code: str) -> bool:
    return refused.extra.get("error_code") == code


def _card(method: Mapping[str, Any]) -> SavedCard:
    card = method.get("card") or {}
    return SavedCard(
        method["id"],
        method["type"],
        card.get("brand"),
        card.get("last4"),
        card.get("exp_month"),
        card.get("exp_year"),
    )
