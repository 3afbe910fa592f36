"""``/api/payment-methods``: save a card at Stripe, see what is saved there, and forget it.

Nothing of a card is kept here: each answer is what Stripe says at this moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel
from starlette.responses import Response

from chassis.http import ExactJSONResponse, ExactRouter, problem
from payments_api.application.gateways import GatewayAway
from payments_api.application.saved_cards import SavedCard
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.idempotency_header import KeyHeader
from payments_api.entrypoints.http.paying_by_saved_card import saved_cards_of
from payments_api.entrypoints.http.people import Person
from payments_api.entrypoints.http.shapes import MethodId

Id = Annotated[MethodId, Path()]


class SavingBegun(BaseModel):
    """What the browser saves a card with, by Stripe's own form."""

    setup_intent_id: str
    client_secret: str
    publishable_key: str | None


class PaymentMethodShown(BaseModel):
    """A saved way to pay, as Stripe has it. What is no card has none of a card's fields."""

    id: str
    type: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None


class PaymentMethods(BaseModel):
    """Newest first."""

    payment_methods: list[PaymentMethodShown]


def routes(parts: Parts) -> ExactRouter:
    """The router."""
    router = ExactRouter(prefix="/api/payment-methods", tags=["payments"])

    @router.post("", response_model=SavingBegun, summary="Begin to save a card")
    async def save(person: Person, key: KeyHeader) -> Response:
        try:
            begun = await saved_cards_of(parts).begin_saving(person, key)
        except GatewayAway as away:
            return _unreachable(away)
        return ExactJSONResponse(
            {
                "setup_intent_id": begun.setup_intent_id,
                "client_secret": begun.client_secret,
                "publishable_key": begun.publishable_key,
            }
        )

    @router.get("", response_model=PaymentMethods, summary="Your saved cards")
    async def saved(person: Person) -> Response:
        try:
            cards = await saved_cards_of(parts).cards(person)
        except GatewayAway as away:
            return _unreachable(away)
        return ExactJSONResponse({"payment_methods": [_shown(card) for card in cards]})

    @router.delete("/{payment_method_id}", status_code=204, summary="Forget a saved card of yours")
    async def forget(payment_method_id: Id, person: Person) -> Response:
        try:
            await saved_cards_of(parts).forget(person, payment_method_id)
        except GatewayAway as away:
            return _unreachable(away)
        return Response(status_code=204)

    return router


def _unreachable(away: GatewayAway) -> Response:
    return problem(502, "gateway_unreachable", "stripe does not answer; nothing was changed", str(away.reason))


def _shown(card: SavedCard) -> Mapping[str, Any]:
    return {
        "id": card.id,
        "type": card.kind,
        "brand": card.brand,
        "last4": card.last4,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
    }
