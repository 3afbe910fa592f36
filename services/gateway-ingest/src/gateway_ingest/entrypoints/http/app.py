"""The web application of gateway-ingest."""

from __future__ import annotations

from fastapi import FastAPI

from chassis.http import create_app
from gateway_ingest.bootstrap import Service
from gateway_ingest.entrypoints.http import quarantine
from gateway_ingest.entrypoints.http.webhooks import Webhooks


def create(service: Service) -> FastAPI:
    """All routes; nothing of the webhooks shows in the OpenAPI document, since only gateways call them."""
    app = create_app(title="gateway-ingest", readiness=service.ready)
    app.include_router(quarantine.router(service.kept, service.settings.service_token))
    # Added last stands outermost: the framework's own layers cost as much as everything that a webhook needs.
    app.add_middleware(Webhooks, intake=service.intake, gateways=service.gateways)
    return app
