"""The web application of gateway-ingest."""

from __future__ import annotations

from chassis.http import create_app
from gateway_ingest.bootstrap import Service
from gateway_ingest.entrypoints.http import observations, quarantine
from gateway_ingest.entrypoints.http.webhooks import Webhooks


def create(service: Service) -> Webhooks:
    """Webhooks stand before the framework, whose layers cost as much as everything that a webhook needs; so nothing
    of them shows in the OpenAPI document. Only gateways call them."""
    app = create_app(title="gateway-ingest", readiness=service.ready)
    app.include_router(quarantine.router(service.kept, service.settings.service_token))
    app.include_router(observations.router(service.intake, service.settings.service_token))
    return Webhooks(app, intake=service.intake, gateways=service.gateways)
