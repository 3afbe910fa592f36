"""The simulators in the demo gateway's process: each under its own path, where there is a secret to sign with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from fastapi import FastAPI

from chassis.clock import Clock
from chassis.ids import IdFactory
from chassis.settings import SettingsError
from embedded.gateway_simulators import BANK_PATH, CLICKPESA_PATH, COINS_PATH, STRIPE_PATH
from embedded.gateway_simulators.bank import BackOffice, create_demo_bank
from embedded.gateway_simulators.clickpesa.app import create_clickpesa_simulator
from embedded.gateway_simulators.clickpesa.webhooks import ClickPesaWebhooks
from embedded.gateway_simulators.coins import DemoChains, create_demo_chains
from embedded.gateway_simulators.stripe.app import create_stripe_simulator
from embedded.gateway_simulators.stripe.webhooks import Webhooks


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

    def add_bank(self, app: FastAPI, office: BackOffice, secret: bytes, ids: IdFactory) -> None:
        """The demo's bank, under BANK_PATH."""
        self._opened.push_async_callback(office.close)
        app.mount(BANK_PATH, create_demo_bank(secret, office, ids))

    def add_coins(self, app: FastAPI, chains: DemoChains, secret: bytes, ids: IdFactory) -> None:
        """The demo's chains, under COINS_PATH."""
        self._opened.push_async_callback(chains.close)
        app.mount(COINS_PATH, create_demo_chains(secret, chains, ids))


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
    _mount_told(simulators, app, environment, ingest_url, clock, ids)
    return simulators


def _mount_told(
    simulators: Simulators, app: FastAPI, environment: Mapping[str, str], ingest_url: str, clock: Clock, ids: IdFactory
) -> None:
    """Those whose gateways sign nothing: each is told with the token of whoever tells it in earnest."""
    secret = (environment.get("DEMO_WEBHOOK_SECRET") or "").encode()
    office, operator = environment.get("PAYMENTS_API_URL"), environment.get("ADMIN_TOKEN")
    if secret and office and operator:
        simulators.add_bank(app, BackOffice(office, operator), secret, ids)
    service = environment.get("SERVICE_TOKEN")
    if secret and service:
        simulators.add_coins(app, DemoChains(ingest_url, service, clock), secret, ids)
