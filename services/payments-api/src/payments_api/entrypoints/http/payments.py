"""``/api/payments``: begin a payment, and see what became of it.

Amounts are judged here, before anything is stored: a request that is wrong burns no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Query
from starlette.responses import Response

from chassis.errors import InvalidField, NotFound
from chassis.http import ExactRouter, encode_exact
from contracts.amounts import AmountError, Asset, parse_positive_units
from contracts.references import normalize_reference
from payments_api.adapters import idempotency
from payments_api.application.ports import IdempotencyKey
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.idempotency_header import REPLAYED, KeyHeader
from payments_api.entrypoints.http.people import Person
from payments_api.entrypoints.http.shapes import InitiatePayment, PaymentShown

Id = Annotated[str, Path(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
_JSON = "application/json"


def routes(parts: Parts) -> ExactRouter:
    """The router."""
    router = ExactRouter(prefix="/api/payments", tags=["payments"])

    @router.post("/initiate", response_model=PaymentShown, summary="Begin a payment")
    async def initiate(body: InitiatePayment, person: Person, key: KeyHeader) -> Response:
        units = _price(body, parts.catalogue.terms.price_asset)
        gateway = body.gateway.lower()
        parts.initiating.checkout_of(gateway)
        asked = idempotency.request_hash("initiate", str(units), parts.catalogue.terms.price_asset, gateway)
        return await _begin(parts, person, units, gateway, None if key is None else IdempotencyKey(key, asked))

    @router.get("/status", response_model=PaymentShown, summary="A payment by its id or its reference")
    async def status(
        person: Person,
        payment_id: Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")] = None,
        reference: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Mapping[str, Any]:
        if (payment_id is None) == (reference is None):
            raise InvalidField("payment_id", "one_of", "name either payment_id or reference")
        if payment_id is not None:
            return _found(await parts.views.payment(person, payment_id))
        meant = normalize_reference(reference or "")
        return _found(await parts.views.payment_by_reference(person, meant) if meant else None)

    @router.get("/{payment_id}", response_model=PaymentShown, summary="A payment of yours")
    async def payment(payment_id: Id, person: Person) -> Mapping[str, Any]:
        return _found(await parts.views.payment(person, payment_id))

    return router


async def _begin(parts: Parts, person: str, units: int, gateway: str, key: IdempotencyKey | None) -> Response:
    """Begin it, or repeat the answer of the request that has this key: one transaction."""
    payment_id = parts.initiating.new_payment_id()
    async with parts.pool.acquire() as conn, conn.transaction():
        earlier = await idempotency.claim(conn, person, key, payment_id) if key is not None else None
        if earlier is not None:
            assert earlier.answer is not None, "the answer is stored with the key"
            return Response(earlier.answer, media_type=_JSON, headers={REPLAYED: "true"})
        await parts.initiating.begin(conn, payment_id, person, units, gateway)
        answer = encode_exact(_found(await parts.views.payment(person, payment_id, within=conn)))
        if key is not None:
            await idempotency.keep_answer(conn, person, key, answer)
    parts.relay_wakeup.set()
    return Response(answer, media_type=_JSON)


def _price(body: InitiatePayment, asset: str) -> int:
    if body.currency.upper() != Asset.parse(asset).code:
        raise InvalidField("currency", "unknown_currency", f"must be {Asset.parse(asset).code}")
    try:
        return parse_positive_units(body.amount, asset)
    except AmountError as error:
        raise InvalidField("amount", error.code, error.detail) from error


def _found(payment: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if payment is None:
        raise NotFound("unknown_payment", "There is no such payment")
    return payment
