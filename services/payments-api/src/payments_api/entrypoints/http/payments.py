"""``/api/payments``: begin a payment, see what became of it, and which ways to pay there are.

Amounts are judged here, before anything is asked or stored: a request that is wrong burns no key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from starlette.responses import Response

from chassis.errors import InvalidField, NotFound
from chassis.http import ExactRouter, encode_exact, problem
from contracts.amounts import AmountError, parse_positive_units
from contracts.references import normalize_reference
from payments_api.adapters import idempotency
from payments_api.adapters.catalogue import PRICE_ASSET
from payments_api.application.gateways import OUR_METADATA_KEYS, GatewayAway
from payments_api.application.initiating import Asked, Prepared
from payments_api.application.ports import IdempotencyKey
from payments_api.bootstrap import Parts
from payments_api.domain.payment import STATUSES
from payments_api.entrypoints.http.idempotency_header import REPLAYED, KeyHeader
from payments_api.entrypoints.http.paying_by_saved_card import pay_by_saved_card
from payments_api.entrypoints.http.people import Person
from payments_api.entrypoints.http.shapes import Gateways, InitiatePayment, PaymentList, PaymentWithHistory
from payments_api.projections.payment_views import Filter

Id = Annotated[str, Path(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
LIMIT_DEFAULT, LIMIT_MAX = 50, 200
_JSON = "application/json"


def routes(parts: Parts) -> ExactRouter:
    """The router."""
    router = ExactRouter(prefix="/api/payments", tags=["payments"])
    _add_beginning(router, parts)
    _add_looking(router, parts)
    return router


def _add_beginning(router: ExactRouter, parts: Parts) -> None:
    @router.post("/initiate", response_model=PaymentWithHistory, summary="Begin a payment")
    async def initiate(body: InitiatePayment, person: Person, key: KeyHeader) -> Response:
        gateway = body.gateway.lower()
        asked = _asked(body, parts, parts.initiating.gateway(gateway).assets)
        named = None if key is None else IdempotencyKey(key, _request_hash(gateway, asked))
        if body.payment_method_id is not None:
            return await pay_by_saved_card(parts, person, gateway, asked, body.payment_method_id, named)
        return await _begin(parts, person, gateway, asked, named)

    @router.get("/gateways", response_model=Gateways, summary="Which ways to pay there are")
    async def gateways(person: Person) -> Mapping[str, Any]:
        shown = [{**one.describe(), "name": one.name, "demo": one.is_demo} for one in parts.gateways.values()]
        return {"gateways": shown}


def _add_looking(router: ExactRouter, parts: Parts) -> None:
    @router.get("", response_model=PaymentList, summary="Your payments, newest first")
    async def payments(
        person: Person,
        status: Annotated[str | None, Query(max_length=200)] = None,
        gateway: Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00]*$")] = None,
        since: Annotated[datetime | None, Query(alias="from")] = None,
        until: Annotated[datetime | None, Query(alias="to")] = None,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: Annotated[str | None, Query(max_length=400, pattern=r"^[^\x00]*$")] = None,
    ) -> Mapping[str, Any]:
        wanted = Filter(statuses_of(status), gateway, aware("from", since), aware("to", until))
        page, following = await parts.payment_views.page(person, wanted, limit=limit, cursor=cursor)
        return {"payments": page, "next_cursor": following}

    @router.get("/status", response_model=PaymentWithHistory, summary="A payment by its id or its reference")
    async def status(
        person: Person,
        payment_id: Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")] = None,
        reference: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Mapping[str, Any]:
        if (payment_id is None) == (reference is None):
            raise InvalidField("payment_id", "one_of", "name either payment_id or reference")
        if payment_id is not None:
            return found(await parts.payment_views.payment(person, payment_id))
        meant = normalize_reference(reference or "")
        return found(await parts.payment_views.payment_by_reference(person, meant) if meant else None)

    @router.get("/{payment_id}", response_model=PaymentWithHistory, summary="A payment of yours, with its history")
    async def payment(payment_id: Id, person: Person) -> Mapping[str, Any]:
        return found(await parts.payment_views.payment(person, payment_id))


async def _begin(parts: Parts, person: str, gateway: str, asked: Asked, key: IdempotencyKey | None) -> Response:
    """Begin it, or repeat the answer of the request that has this key."""
    earlier = await idempotency.find(parts.pool, person, key) if key is not None else None
    if earlier is not None:
        return _repeated(earlier)
    payment_id = parts.initiating.new_payment_id(person, key.key if key else None)
    try:
        prepared = await parts.initiating.prepare(payment_id, person, gateway, asked)
    except GatewayAway as away:
        return problem(502, "gateway_unreachable", f"{gateway} does not answer; nothing was begun", str(away.reason))
    return await _store(parts, person, prepared, key)


async def _store(parts: Parts, person: str, prepared: Prepared, key: IdempotencyKey | None) -> Response:
    payment_id = prepared.request.payment_id
    async with parts.pool.acquire() as conn, conn.transaction():
        earlier = await idempotency.claim(conn, person, key, payment_id) if key is not None else None
        if earlier is not None:
            return _repeated(earlier)
        await parts.initiating.store(conn, prepared)
        answer = encode_exact(found(await parts.payment_views.payment(person, payment_id, within=conn)))
        if key is not None:
            await idempotency.keep_answer(conn, person, key, answer)
    parts.relay_wakeup.set()
    return Response(answer, media_type=_JSON)


def _repeated(earlier: idempotency.Earlier) -> Response:
    assert earlier.answer is not None, "the answer is stored with the key"
    return Response(earlier.answer, media_type=_JSON, headers={REPLAYED: "true"})


def _asked(body: InitiatePayment, parts: Parts, assets: Mapping[str, str]) -> Asked:
    ours = sorted(set(body.metadata) & set(OUR_METADATA_KEYS))
    if ours:
        raise InvalidField("metadata", "reserved_key", f"{ours[0]} is ours to set")
    asset = assets.get(body.currency.upper())
    if asset is None:
        raise InvalidField("currency", "unknown_currency", f"must be one of {', '.join(assets)}")
    return Asked(
        asset=asset,
        price=_price(body, asset, parts),
        package_id=body.package_id,
        description=body.description,
        customer_email=body.customer_email,
        metadata=body.metadata,
        options=_options(body),
    )


def _options(body: InitiatePayment) -> Mapping[str, Any]:
    if body.payment_method_id is not None:
        return {"payment_method_id": body.payment_method_id}
    return {} if body.crypto is None else {"currency": body.crypto.currency, "network": body.crypto.network}


def _price(body: InitiatePayment, asset: str, parts: Parts) -> int:
    if body.amount is None:
        package = parts.catalogue.pricing.packages.get(body.package_id or "")
        if package is None or asset != PRICE_ASSET:
            raise InvalidField("amount", "missing", "say an amount, or a package")
        return package.price
    try:
        return parse_positive_units(body.amount, asset)
    except AmountError as error:
        raise InvalidField("amount", error.code, error.detail) from error


def _request_hash(gateway: str, asked: Asked) -> bytes:
    said = [asked.package_id, asked.description, asked.customer_email, dict(asked.metadata), dict(asked.options)]
    parts = [str(asked.price), asked.asset, gateway]
    if any(said):
        parts.append(json.dumps(said, sort_keys=True))
    return idempotency.request_hash("initiate", *parts)


def statuses_of(text: str | None) -> Sequence[str] | None:
    """A filter by one status or several, separated by commas. Raises InvalidField."""
    if text is None:
        return None
    wanted = [part.strip() for part in text.split(",")]
    unknown = [part for part in wanted if part not in STATUSES]
    if unknown:
        raise InvalidField("status", "unknown_status", f"must be some of {', '.join(STATUSES)}")
    return wanted


def aware(field: str, time: datetime | None) -> datetime | None:
    """A time with its zone. Raises InvalidField."""
    if time is not None and time.tzinfo is None:
        raise InvalidField(field, "no_time_zone", "must say its time zone, such as 2026-01-31T00:00:00Z")
    return time


def found(payment: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The payment. Raises NotFound."""
    if payment is None:
        raise NotFound("unknown_payment", "There is no such payment")
    return payment
