"""``/api/subscriptions``: a package again each period; see those of yours, and end one.

Judged before anything is asked or stored: a request that is wrong burns no key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from chassis.errors import NotFound
from chassis.http import ExactRouter, encode_exact, problem
from payments_api.adapters import idempotency
from payments_api.application.gateways import GatewayAway
from payments_api.application.ports import IdempotencyKey
from payments_api.application.refusals import KeyReused
from payments_api.application.subscribing import AskedSubscription
from payments_api.application.subscribing_ports import Said
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.idempotency_header import REPLAYED, KeyHeader
from payments_api.entrypoints.http.people import Person
from payments_api.entrypoints.http.shapes import CryptoChoice, Number

Id = Annotated[str, Path(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
_Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
LIMIT_DEFAULT, LIMIT_MAX = 50, 200
_JSON = "application/json"


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Subscribe(_Body):
    """A package each period, paid by ``payment_method``, a gateway's name. Where the gateway does not take the payments
    by itself, each period is a bill that is mailed: ``customer_email`` is needed then."""

    package_id: _Code
    billing_cycle: Literal["monthly", "yearly"] = "monthly"
    payment_method: _Code
    customer_email: Annotated[str, Field(max_length=254, pattern=r"^[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+$")] | None = None
    crypto: CryptoChoice | None = None


class PeriodShown(_Body):
    """The newest period and its payment."""

    number: int
    begins_at: datetime
    ends_at: datetime
    payment_id: str
    payment_status: str | None


class SubscriptionShown(_Body):
    """A subscription. ``payment_url`` is where the person agrees, or pays the newest period."""

    subscription_id: str
    status: Literal["incomplete", "active", "past_due", "canceled", "unpaid", "lapsed"]
    package_id: str
    billing_cycle: Literal["monthly", "yearly"]
    payment_method: str
    price: Number
    currency: str
    credits: Number
    bonus: Number
    period: PeriodShown | None
    next_period_at: datetime | None
    payment_url: str | None
    created_at: datetime
    updated_at: datetime


class SubscriptionList(_Body):
    """A page; ``next_cursor`` asks for the following one."""

    subscriptions: list[SubscriptionShown]
    next_cursor: str | None


def routes(parts: Parts) -> ExactRouter:
    """The router."""
    router = ExactRouter(prefix="/api/subscriptions", tags=["subscriptions"])
    views, subscribing = parts.subscriptions.views, parts.subscriptions.subscribing

    @router.post("", response_model=SubscriptionShown, summary="Subscribe to a package")
    async def subscribe(body: Subscribe, person: Person, key: KeyHeader) -> Response:
        asked = _asked(body)
        subscribing.check(asked)
        named = None if key is None else IdempotencyKey(key, _request_hash(asked))
        return await _begin(parts, person, asked, named)

    @router.get("", response_model=SubscriptionList, summary="Your subscriptions, newest first")
    async def subscriptions(
        person: Person,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: Annotated[str | None, Query(max_length=400, pattern=r"^[^\x00]*$")] = None,
    ) -> Mapping[str, Any]:
        page, following = await views.page(person, limit=limit, cursor=cursor)
        return {"subscriptions": page, "next_cursor": following}

    @router.get("/{subscription_id}", response_model=SubscriptionShown, summary="A subscription of yours")
    async def subscription(subscription_id: Id, person: Person) -> Mapping[str, Any]:
        return _found(await views.one(person, subscription_id))

    @router.delete("/{subscription_id}", response_model=SubscriptionShown, summary="End a subscription of yours")
    async def cancel(subscription_id: Id, person: Person) -> Mapping[str, Any]:
        if not await subscribing.cancel(person, subscription_id):
            return _found(None)
        return _found(await views.one(person, subscription_id))

    return router


async def _begin(parts: Parts, person: str, asked: AskedSubscription, key: IdempotencyKey | None) -> Response:
    """Begin it, or repeat the answer of the request that has this key."""
    earlier = await idempotency.find(parts.pool, person, key) if key is not None else None
    if earlier is not None:
        return _repeated(earlier)
    subscribing, views = parts.subscriptions.subscribing, parts.subscriptions.views
    subscription_id = subscribing.new_id(person, key.key if key else None)
    if key is not None and await views.one(person, subscription_id) is not None:
        return await _begun_before(parts, person, key)
    try:
        prepared = await subscribing.prepare(subscription_id, person, asked)
    except GatewayAway as away:
        title = f"{asked.gateway} does not answer; nothing was begun"
        return problem(502, "gateway_unreachable", title, str(away.reason))
    async with parts.pool.acquire() as conn, conn.transaction():
        earlier = await idempotency.claim(conn, person, key, subscription_id) if key is not None else None
        if earlier is not None:
            return _repeated(earlier)
        await subscribing.store(conn, prepared)
        answer = encode_exact(_found(await views.one(person, subscription_id, within=conn)))
        if key is not None:
            await idempotency.keep_answer(conn, person, key, answer)
    parts.relay_wakeup.set()
    return Response(answer, media_type=_JSON)


async def _begun_before(parts: Parts, person: str, key: IdempotencyKey) -> Response:
    """By a request of this very moment, or so long ago that its answer is forgotten. Raises KeyReused."""
    earlier = await idempotency.find(parts.pool, person, key)
    if earlier is None:
        raise KeyReused
    return _repeated(earlier)


def _repeated(earlier: idempotency.Earlier) -> Response:
    assert earlier.answer is not None, "the answer is stored with the key"
    return Response(earlier.answer, media_type=_JSON, headers={REPLAYED: "true"})


def _asked(body: Subscribe) -> AskedSubscription:
    options = {} if body.crypto is None else {"currency": body.crypto.currency, "network": body.crypto.network}
    said = Said(body.customer_email, options)
    return AskedSubscription(body.payment_method.lower(), body.package_id, body.billing_cycle, said)


def _request_hash(asked: AskedSubscription) -> bytes:
    said = json.dumps([asked.said.customer_email, dict(asked.said.options)], sort_keys=True)
    return idempotency.request_hash("subscribe", asked.gateway, asked.package_id, asked.cycle, said)


def _found(shown: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if shown is None:
        raise NotFound("unknown_subscription", "There is no such subscription")
    return shown
