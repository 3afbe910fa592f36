"""``/simulate/subscriptions/…``: what time, a person and their bank do to a subscription. For tests and demos only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Body
from pydantic import BaseModel, ConfigDict

from chassis.http import ExactRouter
from embedded.gateway_simulators.stripe.api import StripeApi
from embedded.gateway_simulators.stripe.billing import StripeBilling
from embedded.gateway_simulators.stripe.life import public


class WhatHappens(BaseModel):
    """``renew``: the next period begins; ``retry``: the newest invoice is tried again; ``give_up``: it is not, and the
    subscription is ``unpaid`` or ``canceled``. A card pays or is declined."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["renew", "retry", "give_up"]
    card: str = "4242424242424242"
    status: Literal["unpaid", "canceled"] = "unpaid"


class Agree(BaseModel):
    """With which card."""

    model_config = ConfigDict(extra="forbid")

    card: str = "4242424242424242"


def billing_control_routes(api: StripeApi, billing: StripeBilling) -> ExactRouter:
    """See the module."""
    router = ExactRouter(prefix="/simulate")

    @router.post("/sessions/{session_id}/agree")
    async def agree(session_id: str, asked: Annotated[Agree, Body()]) -> Any:
        return public(billing.agree(api.get("checkout.session", session_id), asked.card))

    @router.post("/subscriptions/{subscription_id}")
    async def happen(subscription_id: str, asked: Annotated[WhatHappens, Body()]) -> Any:
        subscription = api.get("subscription", subscription_id)
        match asked.action:
            case "renew":
                billing.renew(subscription, asked.card)
            case "retry":
                billing.retry(api.get("invoice", subscription["latest_invoice"]), asked.card)
            case _:
                billing.give_up(subscription, asked.status)
        return public(subscription)

    return router
