"""Builds reconciling: the lists of gateways, the ledger, and the intake that keeps what was not told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from chassis.clock import SystemClock
from chassis.settings import SettingsError
from gateway_ingest.adapters.gateway_lists import clickpesa as clickpesa_list
from gateway_ingest.adapters.gateway_lists import stripe as stripe_list
from gateway_ingest.adapters.gateway_lists.stripe_connection import StripeAccess, StripeReader
from gateway_ingest.adapters.gateways.clickpesa import gateway as clickpesa
from gateway_ingest.adapters.ledger_http import HttpLedger
from gateway_ingest.application.reconciling import Reconciliation
from gateway_ingest.application.reconciling_ports import GatewayList, Progress
from gateway_ingest.bootstrap import build
from gateway_ingest.bootstrap.gateways import clickpesa_api
from gateway_ingest.settings import IngestSettings

STRIPE_TIMEOUT_S = 30.0
"""Nobody waits, and a page of a hundred payments with their charges takes Stripe seconds."""
SIMULATED_STRIPE_KEY = "sk_test_simulated"


class NotSetUp(SettingsError):
    """The gateway's keys are not set."""


Open = Callable[[IngestSettings, AsyncExitStack], GatewayList]


@asynccontextmanager
async def reconciliation(settings: IngestSettings, gateway: str, progress: Progress) -> AsyncIterator[Reconciliation]:
    """For one of ``LISTING``, its connections closed in the end. Raises SettingsError."""
    if settings.ledger_url is None:
        raise SettingsError("LEDGER_URL is not set: reconcile compares with the ledger")
    async with AsyncExitStack() as stack:
        listing = LISTING[gateway](settings, stack)
        books = await stack.enter_async_context(HttpLedger(str(settings.ledger_url), settings.service_token))
        service = await stack.enter_async_context(build(settings))
        yield Reconciliation(gateway, listing, books, service.intake, progress)


def _stripe(settings: IngestSettings, stack: AsyncExitStack) -> GatewayList:
    """By its key; in demo mode also without one, by a simulator behind STRIPE_API_BASE."""
    key, base = settings.stripe_secret_key, settings.stripe_api_base
    if key is None and (base is None or not settings.demo_payment):
        raise NotSetUp("STRIPE_SECRET_KEY is not set: Stripe is asked by it")
    access = StripeAccess(
        SIMULATED_STRIPE_KEY if key is None else key.get_secret_value(),
        STRIPE_TIMEOUT_S,
        settings.stripe_api_version,
        None if base is None else str(base),
    )
    reader = StripeReader(access)
    stack.push_async_callback(reader.close)
    return stripe_list.StripeList(reader)


def _clickpesa(settings: IngestSettings, _stack: AsyncExitStack) -> GatewayList:
    api = clickpesa_api(settings)
    if api is None:
        raise NotSetUp("CLICKPESA_CLIENT_ID and CLICKPESA_API_SECRET are not set: ClickPesa is asked by them")
    return clickpesa_list.ClickPesaList(api, clickpesa.Asking(api, SystemClock(), settings.clickpesa_spread_bp))


LISTING: Mapping[str, Open] = {stripe_list.NAME: _stripe, clickpesa_list.NAME: _clickpesa}
"""The gateways that can be reconciled."""
