"""``/simulate/…``: what happens at the simulated Stripe that no API call makes happen. For tests and demos only.

Cards that decline, disputes, refunds that fail late, webhooks held back, lost, doubled or reversed, and silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field

from chassis.http import ExactRouter
from embedded.gateway_simulators.stripe.api import StripeApi
from embedded.gateway_simulators.stripe.life import StripeLife, public
from embedded.gateway_simulators.stripe.webhooks import COPIES_MAX, Webhooks

SILENT_CALLS_MAX = 1_000_000


@dataclass
class Trouble:
    """How many further calls of the API are answered 503."""

    silent_calls: int = 0

    def is_silent(self) -> bool:
        """Whether this call is one of them."""
        if self.silent_calls == 0:
            return False
        self.silent_calls -= 1
        return True


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Pay(_Asked):
    """A card, or one of the other things that may become of a payment."""

    card: str = "4242424242424242"
    action: Literal["pay", "later", "settle", "fail", "require_action", "cancel"] = "pay"


class Dispute(_Asked):
    """About ``amount`` units, else about all."""

    amount: int | None = Field(default=None, gt=0)
    reason: str = "fraudulent"
    inquiry: bool = False


class Close(_Asked):
    """How the bank decided."""

    status: Literal["won", "lost", "warning_closed"]


class RefundNews(_Asked):
    """What became of a refund."""

    state: Literal["succeeded", "failed"]
    reason: str = "declined"


class HowToSend(_Asked):
    """Of webhooks from now on."""

    mode: Literal["send", "hold", "lose"] = "send"
    copies: int = Field(default=1, ge=1, le=COPIES_MAX)


class Release(_Asked):
    """Of what was held back."""

    reversed: bool = False


class Silence(_Asked):
    """The next ``calls`` calls of the API are answered 503."""

    calls: int = Field(ge=0, le=SILENT_CALLS_MAX)


def control_routes(api: StripeApi, life: StripeLife, webhooks: Webhooks, trouble: Trouble) -> ExactRouter:
    """See the module."""
    router = ExactRouter(prefix="/simulate")

    @router.post("/payments/{payment_id}")
    async def payment(payment_id: str, asked: Annotated[Pay, Body()]) -> Any:
        intent = _intent(api, life, payment_id)
        act(life, intent, asked.action, asked.card)
        return public(intent)

    @router.post("/payments/{payment_id}/disputes")
    async def dispute(payment_id: str, asked: Annotated[Dispute, Body()]) -> Any:
        intent = _intent(api, life, payment_id)
        amount = intent["amount"] if asked.amount is None else asked.amount
        return public(life.dispute(intent, amount, asked.reason, is_inquiry=asked.inquiry))

    @router.post("/disputes/{dispute_id}")
    async def close(dispute_id: str, asked: Annotated[Close, Body()]) -> Any:
        found = api.get("dispute", dispute_id)
        life.close_dispute(found, asked.status)
        return public(found)

    @router.post("/refunds/{refund_id}")
    async def refund(refund_id: str, asked: Annotated[RefundNews, Body()]) -> Any:
        found = api.get("refund", refund_id)
        if asked.state == "failed":
            life.fail_refund(found, asked.reason)
        else:
            life.settle_refund(found)
        return public(found)

    _add_weather(router, api, webhooks, trouble)
    return router


def _add_weather(router: ExactRouter, api: StripeApi, webhooks: Webhooks, trouble: Trouble) -> None:
    @router.post("/webhooks")
    async def how_to_send(asked: Annotated[HowToSend, Body()]) -> Any:
        webhooks.mode, webhooks.copies = asked.mode, asked.copies
        return asked.model_dump()

    @router.post("/webhooks/release")
    async def release(asked: Annotated[Release, Body()]) -> Any:
        return {"sent": webhooks.release(is_reversed=asked.reversed)}

    @router.post("/webhooks/drain")
    async def drain() -> Any:
        await webhooks.drained()
        return {"drained": True}

    @router.post("/events/{event_id}/resend")
    async def resend(event_id: str) -> Any:
        webhooks.send(api.get("event", event_id))
        return {"sent": 1}

    @router.post("/silence")
    async def silence(asked: Annotated[Silence, Body()]) -> Any:
        trouble.silent_calls = asked.calls
        return asked.model_dump()


def act(life: StripeLife, intent: dict[str, Any], action: str, card: str) -> None:
    """Do to a payment what a person, a bank or time does. Raises StripeRefusal."""
    match action:
        case "pay":
            life.pay(intent, card)
        case "later":
            life.pay_later(intent)
        case "settle" | "fail":
            life.settle(intent, is_paid=action == "settle")
        case "require_action":
            life.require_action(intent)
        case _:
            life.cancel(intent, "requested_by_customer")


def _intent(api: StripeApi, life: StripeLife, payment_id: str) -> dict[str, Any]:
    """By its own id or its session's."""
    if not payment_id.startswith("cs_"):
        return api.get("payment_intent", payment_id)
    session = api.get("checkout.session", payment_id)
    if session["payment_intent"] is not None:
        return api.get("payment_intent", session["payment_intent"])
    return life.intent_of(session)
