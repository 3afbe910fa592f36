"""What the tests of saved cards speak in: the service, Stripe's simulator behind it, and somebody with cards there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from chassis.clock import ManualClock
from chassis.http import create_app
from chassis.ids import SequenceIds
from embedded.gateway_simulators.stripe.app import create_stripe_simulator
from embedded.gateway_simulators.stripe.webhooks import Webhooks

from .conftest import START, OpenShop, Shop, free_port, served

KEY = {"authorization": "Bearer sk_test_x"}
PAYS, DECLINED, ASKS_ALWAYS = "4242424242424242", "4000000000000341", "4000002760003184"


class Died(Exception):
    """The process ends here."""


class Fragile:
    """The vault, of which one call dies: before it does anything, or just after."""

    def __init__(self, vault: Any) -> None:
        self._vault = vault
        self.dies: dict[str, tuple[str, Exception]] = {}

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._vault, name)

        async def guarded(*arguments: Any) -> Any:
            when, error = self.dies.pop(name, ("", Died()))
            if when == "before":
                raise error
            answer = await call(*arguments)
            if when == "after":
                raise error
            return answer

        return guarded


class CardShop:
    """The service, Stripe's simulator behind it, and somebody who is signed in."""

    def __init__(self, shop: Shop, stripe: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.shop = shop
        self.stripe = stripe
        self.alice = headers
        saved_cards = shop.parts.saved_cards
        assert saved_cards is not None
        self.vault = Fragile(saved_cards._vault)
        saved_cards._vault = self.vault

    async def post(self, path: str, headers: Any = None, **body: Any) -> httpx.Response:
        return await self.shop.http.post(f"/api/{path}", json=body, headers=headers or self.alice)

    async def save(self, card: str = PAYS, headers: Any = None) -> str:
        """The name of a card that a person just saved."""
        begun = await self.post("payment-methods", headers)
        assert begun.status_code == 200, begun.text
        answer = await self.stripe.post(
            f"/simulate/setup_intents/{begun.json()['setup_intent_id']}", json={"card": card}
        )
        return str(answer.json()["payment_method"])

    async def pay(self, card_id: str, key: str | None = "k-1", headers: Any = None, **more: Any) -> httpx.Response:
        headers = (headers or self.alice) | ({} if key is None else {"idempotency-key": key})
        return await self.post(
            "payments/initiate", headers, gateway="stripe", amount="25", payment_method_id=card_id, **more
        )

    async def saved(self, headers: Any = None) -> Any:
        return (await self.shop.get("/api/payment-methods", headers or self.alice))["payment_methods"]

    async def charges(self) -> list[str]:
        """How each attempt at Stripe ended."""
        return [charge["status"] for charge in await self.at_stripe("charges")]

    async def at_stripe(self, kind: str) -> Any:
        return (await self.stripe.get(f"/v1/{kind}?limit=100")).json()["data"]

    async def payments(self) -> Any:
        return (await self.shop.get("/api/payments", self.alice))["payments"]


@asynccontextmanager
async def card_shop(open_shop: OpenShop) -> AsyncIterator[CardShop]:
    clock, port = ManualClock(START), free_port()
    base = f"http://127.0.0.1:{port}/stripe"
    webhooks = Webhooks("http://127.0.0.1:9", b"whsec_x", clock)
    webhooks.mode = "lose"
    parent = create_app(title="Simulators", readiness=_ready)
    parent.mount("/stripe", create_stripe_simulator(webhooks, clock, SequenceIds(), base))
    settings = {"stripe_secret_key": "sk_test_x", "stripe_publishable_key": "pk_test_x", "stripe_api_base": base}
    async with (
        served(parent, port),
        open_shop(**settings) as shop,
        httpx.AsyncClient(base_url=base, trust_env=False, headers=KEY) as stripe,
    ):
        yield CardShop(shop, stripe, await shop.sign_in())
    await webhooks.close()


async def _ready() -> dict[str, bool]:
    return {}
