"""The whole HTTP interface of the service, put together."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI

from chassis.http import create_app
from chassis.postgres import is_reachable
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http import (
    account,
    admin,
    admin_bank,
    admin_unallocated,
    crypto_addresses,
    deployments,
    docs_page,
    live,
    marketplace,
    payment_methods,
    payments,
    people,
    receipts,
    refunds,
    subscriptions,
    webhooks,
)

# What the gateways' webhooks may have; our own bodies are tiny.
BODY_MAX_BYTES = 256 * 1024


def make_app(parts: Parts, *, heartbeat_s: float = live.HEARTBEAT_S) -> FastAPI:
    """The application. Ready as long as the database answers: without the ledger it still shows and takes webhooks."""

    async def readiness() -> Mapping[str, bool]:
        return {"database": await is_reachable(parts.pool)}

    app = create_app(title="Gridledger", readiness=readiness, body_max_bytes=BODY_MAX_BYTES)
    app.state.sessions = parts.sessions
    for router in (
        people.routes(parts.sessions, is_open=parts.settings.signs_anybody_in),
        account.routes(parts),
        marketplace.routes(parts),
        payments.routes(parts),
        crypto_addresses.routes(parts.gateways),
        payment_methods.routes(parts),
        receipts.routes(parts.mail.receipts, parts.mail.drawing),
        refunds.routes(parts),
        subscriptions.routes(parts),
        admin.routes(parts),
        admin_unallocated.routes(parts),
        admin_bank.routes(parts),
        deployments.routes(parts),
        live.routes(parts, heartbeat_s=heartbeat_s),
        webhooks.routes(parts.forwarding),
    ):
        app.include_router(router)
    docs_page.install(app)
    return app
