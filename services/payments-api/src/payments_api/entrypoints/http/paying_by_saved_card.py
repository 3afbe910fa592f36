"""Pay by a saved card: the payment is stored as every other, and only then is the card charged (ADR 0020).

A repeat under the same key finds the stored payment and asks for the same charge, which Stripe makes once. What comes
of it is learnt by webhook or by asking; only a refusal is answered at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from starlette.responses import Response

from chassis.errors import InvalidField
from chassis.http import encode_exact, problem
from payments_api.adapters import idempotency
from payments_api.application.gateways import GatewayAway, GatewayRefused
from payments_api.application.initiating import Asked, Prepared
from payments_api.application.ports import IdempotencyKey
from payments_api.application.refusals import GatewayNotConfigured
from payments_api.application.saved_cards import SavedCards, StoredPayment
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.idempotency_header import REPLAYED

GATEWAY = "stripe"
log = structlog.get_logger(__name__)
_JSON, _PROBLEM = "application/json", "application/problem+json"


def saved_cards_of(parts: Parts) -> SavedCards:
    """The use cases. Raises GatewayNotConfigured."""
    if parts.saved_cards is None:
        raise GatewayNotConfigured(GATEWAY)
    return parts.saved_cards


async def pay_by_saved_card(
    parts: Parts, person: str, gateway: str, asked: Asked, card_id: str, key: IdempotencyKey | None
) -> Response:
    """The answer: the payment after its charge was asked for, or why it was refused."""
    if gateway != GATEWAY:
        raise InvalidField("payment_method_id", "not_of_this_gateway", f"Only {GATEWAY} has saved payment methods")
    cards = saved_cards_of(parts)
    earlier = await idempotency.find(parts.pool, person, key) if key is not None else None
    if earlier is not None:
        return await _repeated(parts, person, earlier, key)
    payment_id = parts.initiating.new_payment_id(person, key.key if key else None)
    try:
        options = await cards.paying_by(person, card_id)
        prepared = await parts.initiating.prepare(payment_id, person, gateway, replace(asked, options=options))
    except GatewayAway as away:
        return problem(502, "gateway_unreachable", f"{gateway} does not answer; nothing was begun", str(away.reason))
    earlier = await _store(parts, person, prepared, key)
    if earlier is not None:
        return await _repeated(parts, person, earlier, key)
    return await _charge(parts, person, payment_id, key)


async def _store(
    parts: Parts, person: str, prepared: Prepared, key: IdempotencyKey | None
) -> idempotency.Earlier | None:
    """Store it; what an earlier request with the key made, if there was one. The answer is not known yet."""
    payment_id = prepared.request.payment_id
    async with parts.pool.acquire() as conn, conn.transaction():
        earlier = await idempotency.claim(conn, person, key, payment_id) if key is not None else None
        if earlier is None:
            await parts.initiating.store(conn, prepared)
    parts.relay_wakeup.set()
    return earlier


async def _repeated(parts: Parts, person: str, earlier: idempotency.Earlier, key: IdempotencyKey | None) -> Response:
    """The answer of that request; where it died before it had one, what it still had to do is done."""
    if earlier.answer is None:
        return await _charge(parts, person, earlier.subject_id, key)
    media_type = _PROBLEM if earlier.status >= 400 else _JSON
    return Response(earlier.answer, earlier.status, {REPLAYED: "true"}, media_type)


async def _charge(parts: Parts, person: str, payment_id: str, key: IdempotencyKey | None) -> Response:
    stored = await _shown(parts, person, payment_id)
    payment = StoredPayment(payment_id, stored["gateway_payment_id"], stored["status"], stored["expires_at"])
    try:
        is_asked_for = await saved_cards_of(parts).charge(payment)
    except GatewayAway as away:
        log.warning("charge_outcome_unknown", payment=payment_id, error=str(away.reason))
        title = f"{GATEWAY} did not say what became of it; the payment will"
        return problem(502, "outcome_unknown", title, str(away.reason), payment_id=payment_id)
    except GatewayRefused as refused:
        answer = problem(refused.status, refused.code, refused.title, payment_id=payment_id, **refused.extra)
    else:
        shown = encode_exact(await _shown(parts, person, payment_id))
        answer = Response(shown, media_type=_JSON)
        if not is_asked_for:
            return answer
    if key is not None:
        await idempotency.keep_answer(parts.pool, person, key, bytes(answer.body), answer.status_code)
    return answer


async def _shown(parts: Parts, person: str, payment_id: str) -> Mapping[str, Any]:
    shown = await parts.payment_views.payment(person, payment_id)
    assert shown is not None, "a payment is stored with its key"
    return shown
