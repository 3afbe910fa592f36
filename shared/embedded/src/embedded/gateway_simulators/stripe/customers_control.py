"""``/simulate/setup_intents``: what a person does with a form that saves a card. For tests and demos only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body
from pydantic import BaseModel, ConfigDict

from chassis.http import ExactRouter
from embedded.gateway_simulators.stripe.customers import StripeCustomers
from embedded.gateway_simulators.stripe.life import public


class Save(BaseModel):
    """By its number."""

    model_config = ConfigDict(extra="forbid")

    card: str = "4242424242424242"


def customers_control_routes(customers: StripeCustomers) -> ExactRouter:
    """See the module."""
    router = ExactRouter(prefix="/simulate")

    @router.post("/setup_intents/{setup_id}")
    async def save(setup_id: str, asked: Annotated[Save, Body()]) -> Any:
        return public(customers.complete(setup_id, asked.card))

    return router
