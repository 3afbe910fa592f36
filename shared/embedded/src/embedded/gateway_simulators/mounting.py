"""The simulators in the demo gateway's process: each under its own path, where there is a secret to sign with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from fastapi import FastAPI

from chassis.clock import Clock
from chassis.ids import IdFactory
from chassis.settings import SettingsError
from embedded.gateway_simulators import CLICKPESA_PATH, STRIPE_PATH
from embedded.gateway_simulators.clickpesa import create_clickpesa_simulator
from embedded.gateway_simulators.clickpesa_webhooks import ClickPesaWebhooks
from embedded.gateway_simulators.stripe import create_stripe_simulator
from embedded.gateway_simulators.stripe_webhooks import Webhooks


class Simulators:
    """What runs behind them; ``close`` ends it."""

    def __init__(self) -> None:
        self._opened = AsyncExitStack()

    async def close(self) -> None:
        """End what is being sent."""
        await self._opened.aclose()

    def add_stripe(
        self, app: FastAPI, ingest_url: str, secret: bytes, public_url: str, clock: Clock, ids: IdFactory
    ) -> None:
        """Stripe, under STRIPE_PATH."""
        webhooks = Webhooks(ingest_url, secret, clock)
        self._opened.push_async_callback(webhooks.close)
        app.mount(STRIPE_PATH, create_stripe_simulator(webhooks, clock, ids, f"{public_url}{STRIPE_PATH}"))

    def add_clickpesa(
        self, app: FastAPI, ingest_url: str, checksum_key: bytes, public_url: str, clock: Clock, ids: IdFactory
    ) -> None:
        """ClickPesa, under CLICKPESA_PATH."""
        webhooks = ClickPesaWebhooks(ingest_url, checksum_key)
        self._opened.push_async_callback(webhooks.close)
        app.mount(CLICKPESA_PATH, create_clickpesa_simulator(webhooks, clock, ids, f"{public_url}{CLICKPESA_PATH}"))


def mount_simulators(
    app: FastAPI, environment: Mapping[str, str], public_url: str, clock: Clock, ids: IdFactory
) -> Simulators:
    """Those that the environment has secrets for. Raises SettingsError."""
    simulators = Simulators()
    ingest_url = environment.get("GATEWAY_INGEST_URL")
    if not ingest_url:
        raise SettingsError("demo-gateway: GATEWAY_INGEST_URL is not set")
    adding = {"STRIPE_WEBHOOK_SECRET": simulators.add_stripe, "CLICKPESA_WEBHOOK_SECRET": simulators.add_clickpesa}
    for variable, add in adding.items():
        secret = (environment.get(variable) or "").split(",")[0].strip()
        if secret:
            add(app, ingest_url, secret.encode(), public_url.rstrip("/"), clock, ids)
    return simulators
