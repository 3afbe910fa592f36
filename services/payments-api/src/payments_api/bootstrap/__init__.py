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
from chassis.starting import relay_task, service_bus, service_pool
from eventstore.postgres import PostgresEventStore
from payments_api.adapters import idempotency, live_events
from payments_api.adapters.catalogue import Catalogue, read_catalogue
from payments_api.adapters.ledger_http import HttpLedger
from payments_api.adapters.observing import HttpObserving
from payments_api.adapters.open_payments import OpenPayments
from payments_api.adapters.payment_repository import PaymentRepository, event_mapper
from payments_api.adapters.publishing import LogSource
from payments_api.adapters.purchase_desk import PostgresPurchaseDesk
from payments_api.adapters.refund_desk import PostgresRefundDesk
from payments_api.adapters.sessions import Sessions
from payments_api.adapters.statements.entries_desk import PostgresEntryDesk
from payments_api.adapters.statements.receipts_desk import PostgresReceiptDesk
from payments_api.adapters.statements.returns_desk import PostgresReturnDesk
from payments_api.adapters.webhook_forwarding import WebhookForwarding
from payments_api.application.bank_receipts import BankReceipts
from payments_api.application.bank_returns import BankReturns
from payments_api.application.bank_statements import BankStatements
from payments_api.application.expiring import Expiring
from payments_api.application.following import Following
from payments_api.application.gateways import Closeable, Gateway, Observing
from payments_api.application.initiating import Initiating
from payments_api.application.ports import Ledger
from payments_api.application.purchasing import Patience, Purchasing
from payments_api.application.refunding import Refunding
from payments_api.application.saved_cards import SavedCards
from payments_api.bootstrap.crypto import crypto_tasks
from payments_api.bootstrap.gateways import gateways
from payments_api.bootstrap.mail import MailParts, mail_parts
from payments_api.bootstrap.saved_cards import saved_cards
from payments_api.bootstrap.subscriptions import SubscriptionParts, subscription_parts
from payments_api.projections.live_feed import LiveFeed
from payments_api.projections.payment_views import PaymentViews
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
    gateways: Mapping[str, Gateway]
    observing: Observing
    initiating: Initiating
    saved_cards: SavedCards | None
    following: Following
    refund_desk: PostgresRefundDesk
    refunding: Refunding
    bank_receipts: BankReceipts
    bank_returns: BankReturns
    bank_statements: BankStatements
    mail: MailParts
    subscriptions: SubscriptionParts
    purchasing: Purchasing
    sessions: Sessions
    views: Views
    payment_views: PaymentViews
    feed: LiveFeed
    relay_wakeup: asyncio.Event


@asynccontextmanager
async def open_parts(
    settings: PaymentsApiSettings, *, clock: Clock | None = None, patience: Patience | None = None
) -> AsyncIterator[Parts]:
    """Everything that runs, also while database or bus are away. Raises SettingsError with one line when the start is
    in vain."""
    clock = clock or SystemClock()
    catalogue = read_catalogue(settings.marketplace_config)
    async with AsyncExitStack() as stack:
        pool = await service_pool(settings, max_size=POOL_MAX_CONNECTIONS)
        stack.push_async_callback(pool.close)
        bus = await service_bus(settings)
        stack.push_async_callback(bus.close)
        ledger = await stack.enter_async_context(_ledger(settings, catalogue))
        forwarding = await stack.enter_async_context(WebhookForwarding(str(settings.gateway_ingest_url)))
        observing = await stack.enter_async_context(
            HttpObserving(str(settings.gateway_ingest_url), settings.service_token)
        )
        parts = _assemble(settings, clock, catalogue, pool, bus, ledger, forwarding, observing, patience)
        for gateway in parts.gateways.values():
            if isinstance(gateway, Closeable):
                stack.push_async_callback(gateway.close)
        for recurring in parts.subscriptions.recurring.values():
            stack.push_async_callback(recurring.close)
        if parts.saved_cards is not None:
            stack.push_async_callback(parts.saved_cards.close)
        yield parts


def _assemble(
    settings: PaymentsApiSettings,
    clock: Clock,
    catalogue: Catalogue,
    pool: asyncpg.Pool[Any],
    bus: Bus,
    ledger: Ledger,
    forwarding: WebhookForwarding,
    observing: Observing,
    patience: Patience | None,
) -> Parts:
    ids: IdFactory = Uuid7Factory(clock)
    store = PostgresEventStore(pool)
    payments = PaymentRepository(store, clock)
    offered = gateways(settings, catalogue, pool)
    refund_desk = PostgresRefundDesk(pool)
    bank_receipts = BankReceipts(PostgresReceiptDesk(pool), observing, clock)
    open_payments = OpenPayments(pool, clock, first_after_s=settings.follow_after_s, pause_s=settings.follow_every_s)
    expiring = Expiring(pool, payments, clock, grace_s=settings.expiry_grace_s)
    initiating = Initiating(payments, offered, clock, ids)
    mail = mail_parts(settings, str(settings.frontend_url), pool, clock)
    wakeup = asyncio.Event()
    subscriptions = subscription_parts(
        settings, pool, store, payments, initiating, mail.notifying, catalogue.pricing, clock, ids, wakeup
    )
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
        gateways=offered,
        observing=observing,
        initiating=initiating,
        saved_cards=saved_cards(settings, pool, clock, ids),
        following=Following(open_payments, offered, observing, expiring.expire),
        refund_desk=refund_desk,
        refunding=Refunding(refund_desk, offered, observing),
        bank_receipts=bank_receipts,
        bank_returns=BankReturns(PostgresReturnDesk(pool), observing),
        bank_statements=BankStatements(PostgresEntryDesk(pool), bank_receipts),
        mail=mail,
        subscriptions=subscriptions,
        purchasing=Purchasing(PostgresPurchaseDesk(pool, mail.notifying), ledger, ids, patience=patience),
        sessions=Sessions(pool, clock, _new_token, lifetime_s=settings.session_lifetime_s),
        views=Views(pool),
        payment_views=PaymentViews(pool, store, event_mapper()),
        feed=LiveFeed(pool),
        relay_wakeup=wakeup,
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

    mails: dict[str, Task] = {} if parts.mail.sending is None else {"mails": parts.mail.sending.run}
    return {
        **mails,
        **crypto_tasks(parts.gateways, parts.ledger, parts.observing),
        "purchases": parts.purchasing.run,
        "following": parts.following.run,
        "refunds": parts.refunding.run,
        "subscriptions": parts.subscriptions.renewing.run,
        "bank-receipts": parts.bank_receipts.run,
        "bank-returns": parts.bank_returns.run,
        "inbox-pruning": inbox,
        "pruning": tables,
    }


async def _prune_forever(parts: Parts, stop: StopSignal) -> None:
    prunings: Sequence[Callable[[], Awaitable[int]]] = (
        parts.sessions.prune,
        lambda: idempotency.prune(parts.pool),
        lambda: live_events.prune(parts.pool),
        parts.mail.rows.prune,
    )
    while not stop.is_set():
        most = 0
        for prune in prunings:
            if stop.is_set():
                return
            try:
                most = max(most, await prune())
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("pruning_failed", error=str(error))
        if most < PRUNE_AGAIN_ROWS:
            await stop.wait_for(PRUNE_EVERY_S)


def _ledger(settings: PaymentsApiSettings, catalogue: Catalogue) -> HttpLedger:
    return HttpLedger(
        str(settings.ledger_url),
        settings.service_token,
        catalogue.credit_asset,
        timeout_s=settings.ledger_timeout_s,
    )


def _new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)
