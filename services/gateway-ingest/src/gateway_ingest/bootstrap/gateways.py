"""The gateways that may speak here, by name: one line each. What each needs of the settings stands in its own block."""

from __future__ import annotations

from collections.abc import Mapping

from chassis.clock import SystemClock
from gateway_ingest.adapters.gateways import demo
from gateway_ingest.adapters.gateways.clickpesa import gateway as clickpesa
from gateway_ingest.adapters.gateways.clickpesa.api import PRODUCTION_URL, ClickPesaAccess, ClickPesaApi
from gateway_ingest.adapters.gateways.stripe import gateway as stripe
from gateway_ingest.application.ports import GatewayPort
from gateway_ingest.settings import IngestSettings, split_secrets

PATHS = (*stripe.PATHS, *clickpesa.PATHS, *demo.PATHS)
"""Where webhooks arrive, whichever of the gateways are heard."""

SIMULATED = "simulated"


def gateways(settings: IngestSettings) -> Mapping[str, GatewayPort]:
    """All of them; the demo gateway only when money that nobody paid is allowed."""
    heard = [stripe.gateway(split_secrets(settings.stripe_webhook_secret)), clickpesa_gateway(settings)]
    if settings.demo_payment:
        heard.append(demo.gateway(split_secrets(settings.demo_webhook_secret)))
    return {gateway.name: gateway for gateway in heard}


def clickpesa_gateway(settings: IngestSettings) -> GatewayPort:
    """ClickPesa, with the way to ask it about what its webhooks say."""
    clock, api = SystemClock(), clickpesa_api(settings)
    asking = None if api is None else clickpesa.Asking(api, clock, settings.clickpesa_spread_bp)
    return clickpesa.gateway(split_secrets(settings.clickpesa_webhook_secret), asking)


def clickpesa_api(settings: IngestSettings) -> ClickPesaApi | None:
    """By its keys; in demo mode also without them, by a simulator behind CLICKPESA_BASE_URL."""
    client_id, key, base = settings.clickpesa_client_id, settings.clickpesa_api_secret, settings.clickpesa_base_url
    base_url = PRODUCTION_URL if base is None else str(base)
    timeout_s = settings.clickpesa_timeout_s
    if client_id is not None and key is not None:
        access = ClickPesaAccess(client_id.get_secret_value(), key.get_secret_value(), timeout_s, base_url)
        return ClickPesaApi(access, SystemClock())
    if not settings.demo_payment or base is None:
        return None
    return ClickPesaApi(ClickPesaAccess(SIMULATED, SIMULATED, timeout_s, base_url), SystemClock())
