"""The simulators in the demo gateway's process: each under its own path, where there is a secret to sign with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from fastapi import FastAPI

from chassis.clock import Clock
from chassis.ids import IdFactory
from chassis.settings import SettingsError
from embedded.gateway_simulators import STRIPE_PATH
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


def mount_simulators(
    app: FastAPI, environment: Mapping[str, str], public_url: str, clock: Clock, ids: IdFactory
) -> Simulators:
    """Those that the environment has secrets for. Raises SettingsError."""
    simulators = Simulators()
    ingest_url = environment.get("GATEWAY_INGEST_URL")
    if not ingest_url:
        raise SettingsError("demo-gateway: GATEWAY_INGEST_URL is not set")
    secret = (environment.get("STRIPE_WEBHOOK_SECRET") or "").split(",")[0].strip()
    if secret:
        simulators.add_stripe(app, ingest_url, secret.encode(), public_url.rstrip("/"), clock, ids)
    return simulators
