"""How ClickPesa is put together: by its keys; in demo mode also without, by a simulator behind CLICKPESA_BASE_URL."""

from __future__ import annotations

from chassis.clock import Clock
from payments_api.adapters.gateways.clickpesa.api import PRODUCTION_URL, ClickPesaAccess, ClickPesaApi
from payments_api.adapters.gateways.clickpesa.gateway import ClickPesaGateway, ClickPesaTerms
from payments_api.adapters.gateways.clickpesa.wire import ChecksumKey
from payments_api.application.gateways import RateSource
from payments_api.domain.quotes import Pricing
from payments_api.settings.clickpesa import ClickPesaSettings

SIMULATED = "simulated"


def clickpesa_api(settings: ClickPesaSettings, clock: Clock, timeout_s: float) -> ClickPesaApi | None:
    """The way to ask it; None where it is not offered."""
    client_id, key, base = settings.clickpesa_client_id, settings.clickpesa_api_secret, settings.clickpesa_base_url
    base_url = PRODUCTION_URL if base is None else str(base)
    if client_id is not None and key is not None:
        access = ClickPesaAccess(client_id.get_secret_value(), key.get_secret_value(), timeout_s, base_url)
        return ClickPesaApi(access, clock)
    if not settings.demo_payment or base is None:
        return None
    return ClickPesaApi(ClickPesaAccess(SIMULATED, SIMULATED, timeout_s, base_url), clock)


def clickpesa_gateway(
    settings: ClickPesaSettings, api: ClickPesaApi, pricing: Pricing, rates: RateSource
) -> ClickPesaGateway:
    """The gateway; ``rates`` must know TZS."""
    secret = settings.clickpesa_webhook_secret
    first = "" if secret is None else secret.get_secret_value().split(",")[0].strip()
    terms = ClickPesaTerms(
        minimum_tzs=settings.clickpesa_minimum_tzs,
        minimum_cents=settings.clickpesa_minimum_cents,
        spread_bp=settings.clickpesa_spread_bp,
        checksum_key=ChecksumKey(first.encode(), settings.clickpesa_checksum_method) if first else None,
    )
    is_demo = settings.clickpesa_api_secret is None
    return ClickPesaGateway(api, pricing, rates, terms, is_demo=is_demo)
