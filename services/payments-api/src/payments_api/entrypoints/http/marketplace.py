"""``/api/marketplace`` and the packages: what there is, and buying it in one click.

Answers in the seed's own shapes: no cover is an answer, not an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from starlette.responses import Response

from chassis.errors import NotFound
from chassis.http import ExactJSONResponse, ExactRouter, problem
from contracts.amounts import to_decimal
from payments_api.adapters import idempotency
from payments_api.adapters.catalogue import PRICE_ASSET, Package
from payments_api.application.ports import IdempotencyKey, Opened, Purchase, Service
from payments_api.application.refusals import OutcomeUnknown
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.buying_by_card import buy_by_card
from payments_api.entrypoints.http.idempotency_header import REPLAYED, KeyHeader
from payments_api.entrypoints.http.people import Person
from payments_api.entrypoints.http.shapes import BuyNow, BuyNowResult, Packages, Services

RETRY_AFTER_S = 2
_CENT = Decimal("0.01")


def routes(parts: Parts) -> ExactRouter:
    """The router."""
    router = ExactRouter(prefix="/api", tags=["marketplace"])
    catalogue = parts.catalogue

    @router.get("/credits/packages", response_model=Packages, summary="Credits at a fixed price")
    async def packages() -> Mapping[str, Any]:
        return {"packages": [_package(package, catalogue.credit_asset) for package in catalogue.packages]}

    @router.get("/marketplace/services", response_model=Services, summary="What can be bought")
    async def services() -> Mapping[str, Any]:
        return {"services": [_service(service, catalogue.usd_rate) for service in catalogue.services.values()]}

    @router.post("/marketplace/buy-now", response_model=BuyNowResult, summary="Buy a deployment")
    async def buy_now(body: BuyNow, person: Person, key: KeyHeader) -> Response:
        service = catalogue.services.get(body.service_id)
        if service is None:
            raise NotFound("unknown_service", "There is no such service")
        if body.payment_method == "Stripe":
            return await buy_by_card(parts, person, service, body.customer_email, key)
        asked = idempotency.request_hash("buy-now", service.id, body.payment_method)
        try:
            opened = await parts.purchasing.buy(person, service, None if key is None else IdempotencyKey(key, asked))
        except OutcomeUnknown as unknown:
            return _goes_on_behind(unknown.deployment_id)
        return _bought(opened)

    return router


def _bought(opened: Opened) -> Response:
    headers = {REPLAYED: "true"} if opened.is_repeat else None
    purchase = opened.purchase
    answer = _started(purchase) if purchase.refusal is None else _refused(purchase)
    return ExactJSONResponse(answer, headers=headers)


def _started(purchase: Purchase) -> Mapping[str, Any]:
    action = {"type": "DeploymentStarted", "deployment_id": purchase.deployment_id}
    return {"success": True, "action": action, "message": "Deployment started successfully"}


def _refused(purchase: Purchase) -> Mapping[str, Any]:
    refusal = purchase.refusal
    assert refusal is not None, "a refused purchase says why"
    action = {
        "type": "InsufficientFunds",
        "required": to_decimal(refusal.required, purchase.asset),
        "available": to_decimal(refusal.available, purchase.asset),
        "wallet_version": refusal.wallet_version,
    }
    return {"success": False, "action": action, "message": "Insufficient TFC balance"}


def _goes_on_behind(deployment_id: str) -> Response:
    return problem(
        503,
        "outcome_unknown",
        "The ledger has not answered; the purchase goes on, ask for this deployment",
        headers={"retry-after": str(RETRY_AFTER_S)},
        deployment_id=deployment_id,
    )


def _package(package: Package, asset: str) -> Mapping[str, Any]:
    return {
        "id": package.id,
        "number": package.number,
        "name": package.name,
        "credits": to_decimal(package.credits, asset),
        "price_usd": to_decimal(package.price, PRICE_ASSET),
        "description": package.description,
        "bonus": to_decimal(package.bonus, asset),
    }


def _service(service: Service, usd_rate: Decimal) -> Mapping[str, Any]:
    price = to_decimal(service.price, service.asset)
    # For people to compare; what is charged is the price in credits.
    price_usd = (price * usd_rate).quantize(_CENT, ROUND_HALF_UP)
    return {
        "id": service.id,
        "name": service.name,
        "description": service.description,
        "price_tfc": price,
        "price_usd": price_usd,
    }
