"""The calls to Stripe that payments are made, asked for and sent back by. Errors are those of ``connection``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from payments_api.adapters.gateways.stripe.connection import StripeConnection, rows

PAGE_MAX_ROWS = 100
SETTLED = ("latest_charge.balance_transaction",)
SESSION_SETTLED = tuple(f"payment_intent.{field}" for field in SETTLED)


class StripeApi:
    """Objects come as plain dicts. ``close`` it at the end."""

    def __init__(self, connection: StripeConnection) -> None:
        self._stripe = connection

    async def close(self) -> None:
        """Let go of the connections."""
        await self._stripe.close()

    async def create_session(self, parameters: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Raises GatewayRefused, GatewayAway, KeyUsedOtherwise."""
        return await self._stripe.write(self._stripe.v1.checkout.sessions.create_async, parameters, key)

    async def create_intent(self, parameters: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Raises GatewayRefused, GatewayAway, KeyUsedOtherwise."""
        return await self._stripe.write(self._stripe.v1.payment_intents.create_async, parameters, key)

    async def create_refund(self, parameters: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Raises GatewayRefused, GatewayAway, KeyUsedOtherwise."""
        return await self._stripe.write(self._stripe.v1.refunds.create_async, parameters, key)

    async def intent(self, intent_id: str) -> dict[str, Any] | None:
        """With its charge and what that brought to our balance; None when Stripe knows none. Raises GatewayAway."""
        expand: Any = {"expand": list(SETTLED)}
        return await self._stripe.known(self._stripe.v1.payment_intents.retrieve_async(intent_id, expand))

    async def session(self, session_id: str) -> dict[str, Any] | None:
        """With its intent, and that as ``intent`` has it; None when Stripe knows none. Raises GatewayAway."""
        expand: Any = {"expand": ["payment_intent", *SESSION_SETTLED]}
        return await self._stripe.known(self._stripe.v1.checkout.sessions.retrieve_async(session_id, expand))

    async def refunds_of(self, payment_id: str) -> Sequence[dict[str, Any]]:
        """The latest PAGE_MAX_ROWS refunds of a payment, newest first. Raises GatewayAway."""
        query: Any = {_filter(payment_id): payment_id, "limit": PAGE_MAX_ROWS, "expand": ["data.balance_transaction"]}
        return rows(await self._stripe.called(self._stripe.v1.refunds.list_async(query)))

    async def disputes_of(self, payment_id: str) -> Sequence[dict[str, Any]]:
        """The disputes about a payment. Raises GatewayAway."""
        query: Any = {_filter(payment_id): payment_id, "limit": PAGE_MAX_ROWS}
        return rows(await self._stripe.called(self._stripe.v1.disputes.list_async(query)))

    async def payments_of_invoice(self, invoice_id: str) -> Sequence[dict[str, Any]]:
        """By what an invoice was paid; nothing while it is open. Raises GatewayAway."""
        query: Any = {"invoice": invoice_id, "status": "paid", "limit": PAGE_MAX_ROWS}
        return rows(await self._stripe.called(self._stripe.v1.invoice_payments.list_async(query)))


def _filter(payment_id: str) -> str:
    return "payment_intent" if payment_id.startswith("pi_") else "charge"
