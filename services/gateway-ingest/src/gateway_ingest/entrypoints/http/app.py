"""The web application of gateway-ingest."""

from __future__ import annotations

from fastapi import FastAPI

from chassis.http import create_app
from gateway_ingest.bootstrap import Service
from gateway_ingest.entrypoints.http import quarantine, webhooks

WEBHOOK_MAX_BYTES = 256 * 1024


def create(service: Service) -> FastAPI:
    """All routes; nothing of the webhooks shows in the OpenAPI document, since only gateways call them."""
    app = create_app(title="gateway-ingest", readiness=service.ready, body_max_bytes=WEBHOOK_MAX_BYTES)
    # First in the list: most requests are webhooks, and routes are tried in order.
    app.router.routes[:0] = webhooks.routes(service.intake, dict(service.gateways))
    app.include_router(quarantine.router(service.kept, service.settings.service_token))
    return app
