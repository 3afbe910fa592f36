"""Buy now by card: a payment for the price is begun, and the deployment is remembered with it.

The person's browser pays the intent; once the money is credited, the purchase begins by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from chassis.http import ExactJSONResponse, encode_exact, problem
from contracts.amounts import to_decimal
from payments_api.adapters import card_purchases, idempotency
from payments_api.adapters.catalogue import PRICE_ASSET
from payments_api.application.gateways import GatewayAway
from payments_api.application.initiating import Asked, Prepared
from payments_api.application.ports import IdempotencyKey, Service
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.idempotency_header import REPLAYED

GATEWAY = "stripe"


async def buy_by_card(parts: Parts, person: str, service: Service, email: str | None, key: str | None) -> Response:
    """The answer: an intent to be paid, or why there is none. News of it are mailed to ``email``."""
    hashed = idempotency.request_hash("buy-now", service.id, "Stripe", *([] if email is None else [email]))
    named = None if key is None else IdempotencyKey(key, hashed)
    earlier = await idempotency.find(parts.pool, person, named) if named is not None else None
    if earlier is not None:
        return _repeated(earlier)
    payment_id = parts.initiating.new_payment_id(person, key)
    asked = Asked(
        asset=PRICE_ASSET,
        price=parts.catalogue.pricing.price_of(service.price),
        description=service.name,
        customer_email=email,
        options={"mode": "payment_intent"},
    )
    try:
        prepared = await parts.initiating.prepare(payment_id, person, GATEWAY, asked)
    except GatewayAway as away:
        return problem(502, "gateway_unreachable", "stripe does not answer; nothing was begun", str(away.reason))
    return await _store(parts, person, service, prepared, named)


async def _store(
    parts: Parts, person: str, service: Service, prepared: Prepared, key: IdempotencyKey | None
) -> Response:
    answer = _payment_required(prepared)
    payment_id = prepared.request.payment_id
    async with parts.pool.acquire() as conn, conn.transaction():
        earlier = await idempotency.claim(conn, person, key, payment_id) if key is not None else None
        if earlier is not None:
            return _repeated(earlier)
        await parts.initiating.store(conn, prepared)
        deployment_id = parts.initiating.new_payment_id(person, None)
        await card_purchases.remember(conn, payment_id, deployment_id, person, service)
        if key is not None:
            await idempotency.keep_answer(conn, person, key, encode_exact(answer))
    parts.relay_wakeup.set()
    return ExactJSONResponse(answer)


def _payment_required(prepared: Prepared) -> Mapping[str, Any]:
    quote, opened = prepared.quote, prepared.opened
    intent = {
        "client_secret": opened.client_secret,
        "payment_intent_id": opened.gateway_payment_id,
        "amount_cents": quote.price,
        "tfc_amount": to_decimal(quote.credits, quote.credit_asset),
        "payment_id": prepared.request.payment_id,
    }
    action = {"type": "PaymentRequired", "payment_intent": intent}
    return {"success": True, "action": action, "message": "Payment required to start the deployment"}


def _repeated(earlier: idempotency.Earlier) -> Response:
    assert earlier.answer is not None, "the answer is stored with the key"
    return Response(earlier.answer, media_type="application/json", headers={REPLAYED: "true"})
