"""``/simulate/…``: what happens at the simulated ClickPesa that no call of its API does. For tests and demos only."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field

from chassis.http import ExactRouter
from embedded.gateway_simulators.clickpesa.checksum import Method
from embedded.gateway_simulators.clickpesa.store import ClickPesaRefusal, ClickPesaStore, Collected
from embedded.gateway_simulators.clickpesa.webhooks import COPIES_MAX, ClickPesaWebhooks, Manner, Mode, Place, Shape

SILENT_CALLS_MAX = 1_000_000
Action = Literal["pay", "fail", "process", "hold", "settle", "refund", "reverse"]

OF_AN_ATTEMPT = {
    "pay": ("SUCCESS", "Payment received"),
    "fail": ("FAILED", "Insufficient balance"),
    "process": ("PROCESSING", ""),
    "hold": ("ON-HOLD", "Under review"),
}
AFTERWARDS = {
    "settle": ("SETTLED", "Settled"),
    "refund": ("REFUNDED", "Refunded"),
    "reverse": ("REVERSED", "Reversed"),
}
TOLD_BY_WEBHOOK = ("SUCCESS", "FAILED")
"""What comes after a payment is never told: it must be asked for."""


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


class Happening(_Asked):
    """What becomes of the payment of a link; ``amount`` and ``currency`` are what is collected, else the price."""

    action: Action
    amount: Annotated[Decimal, Field(ge=0, max_digits=20)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    message: str | None = None


class HowToSend(_Asked):
    """Of webhooks from now on."""

    mode: Mode = "send"
    shape: Shape = "current"
    place: Place = "body"
    method: Method = "canonical"
    copies: int = Field(default=1, ge=1, le=COPIES_MAX)


class Release(_Asked):
    """Of what was kept back."""

    reversed: bool = False


class Silence(_Asked):
    """The next ``calls`` calls of the API are answered 503."""

    calls: int = Field(ge=0, le=SILENT_CALLS_MAX)


def happen(store: ClickPesaStore, webhooks: ClickPesaWebhooks, reference: str, asked: Happening) -> dict[str, Any]:
    """Do it, and tell of it as ClickPesa does. Raises ClickPesaRefusal."""
    link = store.links.get(reference)
    if link is None:
        raise ClickPesaRefusal(404, f"Invalid or missing payment: {reference}")
    if asked.action in AFTERWARDS:
        status, message = AFTERWARDS[asked.action]
        return store.change(store.paid(reference), status, asked.message or message)
    status, message = OF_AN_ATTEMPT[asked.action]
    collected = Collected(
        link.price if asked.amount is None else asked.amount,
        link.currency if asked.currency is None else asked.currency,
    )
    payment = store.attempt(link, status, collected, asked.message or message)
    if status in TOLD_BY_WEBHOOK:
        webhooks.tell(payment)
    return payment


def control_routes(store: ClickPesaStore, webhooks: ClickPesaWebhooks, trouble: Trouble) -> ExactRouter:
    """See the module."""
    router = ExactRouter(prefix="/simulate")

    @router.post("/payments/{reference}")
    async def payment(reference: str, asked: Annotated[Happening, Body()]) -> Any:
        return dict(happen(store, webhooks, reference, asked))

    @router.post("/webhooks")
    async def how_to_send(asked: Annotated[HowToSend, Body()]) -> Any:
        webhooks.manner = Manner(**asked.model_dump())
        return asked.model_dump()

    @router.post("/webhooks/release")
    async def release(asked: Annotated[Release, Body()]) -> Any:
        return {"sent": webhooks.release(is_reversed=asked.reversed)}

    @router.post("/webhooks/drain")
    async def drain() -> Any:
        await webhooks.drained()
        return {"drained": True}

    @router.post("/silence")
    async def silence(asked: Annotated[Silence, Body()]) -> Any:
        trouble.silent_calls = asked.calls
        return asked.model_dump()

    @router.post("/tokens/forget")
    async def forget() -> Any:
        store.forget_tokens()
        return {"tokens_made": store.tokens_made}

    return router
