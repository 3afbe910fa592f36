"""The composition root: connects what is outside and builds the use cases and workers on it.

Knows every adapter and use case; the ways in are built upon it. Holds no logic of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from chassis.bus import Bus
from chassis.bus.retry import passes
from chassis.clock import Clock, SystemClock
from chassis.ids import IdFactory, Uuid7Factory
from chassis.inbox import run_inbox_pruning
from chassis.outbox import OutboxSource
from chassis.runtime import StopSignal, Task
from chassis.starting import connect_bus, connect_database, relay_task
from contracts.references import RANDOM_BITS, make_reference
from eventstore.postgres import PostgresEventStore
from payments_api.adapters import idempotency, live_events
from payments_api.adapters.catalogue import Catalogue, read_catalogue
from payments_api.adapters.demo_checkout import GATEWAY, DemoCheckout
from payments_api.adapters.ledger_http import HttpLedger
from payments_api.adapters.payment_repository import PaymentRepository
from payments_api.adapters.publishing import LogSource
from payments_api.adapters.purchase_desk import PostgresPurchaseDesk
from payments_api.adapters.sessions import Sessions
from payments_api.adapters.webhook_forwarding import WebhookForwarding
from payments_api.application.initiating import Initiating
from payments_api.application.ports import Checkout, Ledger
from payments_api.application.purchasing import Patience, Purchasing
from payments_api.projections.live_feed import LiveFeed
from payments_api.projections.views import Views
from payments_api.settings import PaymentsApiSettings

POOL_MAX_CONNECTIONS = 20
TOKEN_BYTES = 32
PRUNE_EVERY_S = 300.0
PRUNE_AGAIN_ROWS = 5_000

log = structlog.get_logger("bootstrap")


@dataclass(frozen=True)
class Parts:
    """What the ways in and the tasks are made of."""

    settings: PaymentsApiSettings
    pool: asyncpg.Pool[Any]
    bus: Bus
    catalogue: Catalogue
    ledger: Ledger
    forwarding: WebhookForwarding
    store: PostgresEventStore
    payments: PaymentRepository
    initiating: Initiating
    purchasing: Purchasing
    sessions: Sessions
    views: Views
    feed: LiveFeed
    relay_wakeup: asyncio.Event


@asynccontextmanager
async def open_parts(
    settings: PaymentsApiSettings, *, clock: Clock | None = None, patience: Patience | None = None
) -> AsyncIterator[Parts]:
    """Everything connected. Raises SettingsError with one line when the start is in vain."""
    clock = clock or SystemClock()
    catalogue = read_catalogue(settings.marketplace_config)
    async with AsyncExitStack() as stack:
        pool = await connect_database(settings, max_size=POOL_MAX_CONNECTIONS)
        stack.push_async_callback(pool.close)
        bus = await connect_bus(settings)
        stack.push_async_callback(bus.close)
        ledger = await stack.enter_async_context(_ledger(settings, catalogue))
        forwarding = await stack.enter_async_context(WebhookForwarding(str(settings.gateway_ingest_url)))
        yield _assemble(settings, clock, catalogue, pool, bus, ledger, forwarding, patience)


def _assemble(
    settings: PaymentsApiSettings,
    clock: Clock,
    catalogue: Catalogue,
    pool: asyncpg.Pool[Any],
    bus: Bus,
    ledger: Ledger,
    forwarding: WebhookForwarding,
    patience: Patience | None,
) -> Parts:
    ids: IdFactory = Uuid7Factory(clock)
    store = PostgresEventStore(pool)
    payments = PaymentRepository(store, clock)
    initiating = Initiating(payments, _checkouts(settings), catalogue.terms, clock, ids, _new_reference)
    patience = patience or Patience(
        budget_s=settings.purchase_budget_s, resume_after_s=settings.purchase_budget_s + settings.ledger_timeout_s
    )
    return Parts(
        settings=settings,
        pool=pool,
        bus=bus,
        catalogue=catalogue,
        ledger=ledger,
        forwarding=forwarding,
        store=store,
        payments=payments,
        initiating=initiating,
        purchasing=Purchasing(PostgresPurchaseDesk(pool), ledger, ids, patience=patience),
        sessions=Sessions(pool, clock, _new_token, lifetime_s=settings.session_lifetime_s),
        views=Views(pool),
        feed=LiveFeed(pool),
        relay_wakeup=asyncio.Event(),
    )


def relay_tasks(parts: Parts) -> dict[str, Task]:
    """One relay for the log, one for the outbox (dead letters), by name."""
    settings, pool, bus = parts.settings, parts.pool, parts.bus
    return {
        "relay-log": relay_task(settings, pool, bus, LogSource(parts.store), parts.relay_wakeup),
        "relay-outbox": relay_task(settings, pool, bus, OutboxSource()),
    }


def housekeeping_tasks(parts: Parts) -> dict[str, Task]:
    """What goes on behind: open purchases, and forgetting what is old."""

    async def inbox(stop: StopSignal) -> None:
        await run_inbox_pruning(parts.pool, stop)

    async def tables(stop: StopSignal) -> None:
        await _prune_forever(parts, stop)

    return {"purchases": parts.purchasing.run, "inbox-pruning": inbox, "pruning": tables}


async def _prune_forever(parts: Parts, stop: StopSignal) -> None:
    prunings: Sequence[Callable[[], Awaitable[int]]] = (
        parts.sessions.prune,
        lambda: idempotency.prune(parts.pool),
        lambda: live_events.prune(parts.pool),
    )
    while not stop.is_set():
        most = 0
        for prune in prunings:
            try:
                most = max(most, await prune())
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("pruning_failed", error=str(error))
        if most < PRUNE_AGAIN_ROWS:
            await stop.wait_for(PRUNE_EVERY_S)


def _checkouts(settings: PaymentsApiSettings) -> Mapping[str, Checkout]:
    secret = settings.demo_webhook_secret
    if not settings.demo_payment or secret is None:
        return {}
    return {GATEWAY: DemoCheckout(str(settings.demo_gateway_url), secret.get_secret_value().encode())}


def _ledger(settings: PaymentsApiSettings, catalogue: Catalogue) -> HttpLedger:
    return HttpLedger(
        str(settings.ledger_url),
        settings.service_token,
        catalogue.credit_asset,
        timeout_s=settings.ledger_timeout_s,
    )


def _new_reference() -> str:
    return make_reference(secrets.randbits(RANDOM_BITS))


def _new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)
