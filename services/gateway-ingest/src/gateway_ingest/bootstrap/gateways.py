"""The gateways that may speak here, by name: one line each. What each needs of the settings stands in its own block."""

from __future__ import annotations

from collections.abc import Mapping

from gateway_ingest.adapters.gateways import demo, stripe
from gateway_ingest.application.ports import GatewayPort
from gateway_ingest.settings import IngestSettings, split_secrets

PATHS = (*stripe.PATHS, *demo.PATHS)
"""Where webhooks arrive, whichever of the gateways are heard."""


def gateways(settings: IngestSettings) -> Mapping[str, GatewayPort]:
    """All of them; the demo gateway only when money that nobody paid is allowed."""
    heard = [stripe.gateway(split_secrets(settings.stripe_webhook_secret))]
    if settings.demo_payment:
        heard.append(demo.gateway(split_secrets(settings.demo_webhook_secret)))
    return {gateway.name: gateway for gateway in heard}
