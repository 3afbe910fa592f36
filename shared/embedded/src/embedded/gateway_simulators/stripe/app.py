"""A stateful stand-in for Stripe: its API for payments, a page to pay on with the test cards, signed webhooks.

Set STRIPE_API_BASE to its address. Remembers in memory only; takes test keys only, since here nothing is kept safe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from chassis.clock import Clock
from chassis.http import ExactRouter, create_app
from chassis.ids import IdFactory
from embedded.gateway_simulators.stripe import pages
from embedded.gateway_simulators.stripe.api import Call, StripeApi
from embedded.gateway_simulators.stripe.billing import StripeBilling
from embedded.gateway_simulators.stripe.billing_control import billing_control_routes
from embedded.gateway_simulators.stripe.control import Trouble, act, control_routes
from embedded.gateway_simulators.stripe.customers import StripeCustomers
from embedded.gateway_simulators.stripe.customers_control import customers_control_routes
from embedded.gateway_simulators.stripe.form import BadForm, parse_form
from embedded.gateway_simulators.stripe.life import StripeLife, StripeRefusal, invalid, public
from embedded.gateway_simulators.stripe.store import API_VERSION, StripeStore
from embedded.gateway_simulators.stripe.webhooks import Webhooks

TEST_KEYS = ("Bearer sk_test_", "Bearer rk_test_")
ACTIONS = ("pay", "later", "cancel")


def create_stripe_simulator(
    webhooks: Webhooks, clock: Clock, ids: IdFactory, public_url: str, *, api_version: str = API_VERSION
) -> FastAPI:
    """The application. ``public_url`` is how a person's browser reaches it; ``webhooks`` end with it, where its own
    lifespan is run (a parent that mounts it closes them itself)."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await webhooks.close()

    store, trouble = StripeStore(clock, ids), Trouble()
    life = StripeLife(store, webhooks.tell, api_version)
    api = StripeApi(store, life, public_url.rstrip("/"))
    customers = StripeCustomers(store, life, api)
    billing = StripeBilling(store, life, api)
    app = create_app(title="Simulated Stripe", readiness=_ready, lifespan=lifespan)
    app.add_exception_handler(StripeRefusal, _refused)
    router = ExactRouter()
    calls = {(method, path): call for method, path, call in (*api.calls(), *customers.calls(), *billing.calls())}
    for (method, path), call in calls.items():
        router.add_api_route(path, _endpoint(store, trouble, call), methods=[method], name=f"{method} {path}")
    app.include_router(router)
    app.include_router(_pay_routes(store, life, billing, webhooks))
    app.include_router(control_routes(api, life, webhooks, trouble))
    app.include_router(customers_control_routes(customers))
    app.include_router(billing_control_routes(api, billing))
    return app


async def _ready() -> Mapping[str, bool]:
    return {}


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, StripeRefusal):
        raise error
    return JSONResponse({"error": error.error}, error.status)


def _endpoint(store: StripeStore, trouble: Trouble, call: Call) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        _check_key(request)
        if trouble.is_silent():
            raise StripeRefusal(503, "api_error", "The simulated Stripe keeps silent.")
        text = (await request.body()).decode() if request.method == "POST" else request.url.query
        try:
            given = parse_form(text)
        except BadForm as bad:
            raise invalid(str(bad)) from bad
        return _once(store, request, given, call)

    return endpoint


def _check_key(request: Request) -> None:
    if not request.headers.get("authorization", "").startswith(TEST_KEYS):
        raise StripeRefusal(401, "invalid_request_error", "Only test keys (sk_test_…, rk_test_…) are taken here.")


def _once(store: StripeStore, request: Request, given: Mapping[str, Any], call: Call) -> Response:
    """The answer; the one that was given before, if the idempotency key is known."""
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    asked = f"{request.url.path}?{json.dumps(given, sort_keys=True)}"
    digest = hashlib.sha256(asked.encode()).hexdigest()
    if key is None or key not in store.answers:
        status, body = _answer(store, request, given, call)
        if key is not None:
            store.answers[key] = (digest, status, body)
        return Response(body, status, media_type="application/json")
    known, status, body = store.answers[key]
    if known != digest:
        message = "Keys for idempotent requests can only be used with the same parameters they were first used with."
        raise StripeRefusal(400, "idempotency_error", message)
    return Response(body, status, {"idempotent-replayed": "true"}, "application/json")


def _answer(store: StripeStore, request: Request, given: Mapping[str, Any], call: Call) -> tuple[int, bytes]:
    """What is refused once it was tried is an answer as well, and remembered like one; a bad request is not."""
    inner = {name: value for name, value in request.path_params.items() if name != "object_id"}
    try:
        made = call(str(request.path_params.get("object_id", "")), {**given, **inner})
    except StripeRefusal as refusal:
        if refusal.status != 402:
            raise
        return refusal.status, json.dumps({"error": refusal.error}).encode()
    paths = given.get("expand") or []
    return 200, json.dumps(public(store.expanded(made, paths))).encode()


def _pay_routes(store: StripeStore, life: StripeLife, billing: StripeBilling, webhooks: Webhooks) -> ExactRouter:
    router = ExactRouter()

    @router.get("/pay/{object_id}")
    async def show(object_id: str) -> Response:
        paid = _payable(store, object_id)
        return pages.unknown_page() if paid is None else pages.pay_page(paid)

    @router.post("/pay/{object_id}")
    async def pay(object_id: str, request: Request) -> Response:
        paid = _payable(store, object_id)
        if paid is None:
            return pages.unknown_page()
        form = {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()}
        action = form.get("action", "pay")
        if action == "cancel" and paid["object"] == "checkout.session":
            return pages.done_page("Given up", _back(paid, "cancel_url"))
        if action not in ACTIONS:
            return pages.pay_page(paid, "There is no such button.")
        try:
            if paid.get("mode") == "subscription":
                billing.agree(paid, form.get("card", ""))
            else:
                intent = life.intent_of(paid) if paid["object"] == "checkout.session" else paid
                act(life, intent, action, form.get("card", ""))
        except StripeRefusal as refusal:
            return pages.pay_page(paid, str(refusal))
        finally:
            await webhooks.drained()
        return pages.done_page("Thank you", _back(paid, "success_url"))

    return router


def _payable(store: StripeStore, object_id: str) -> dict[str, Any] | None:
    """An open session, or an intent that is not over."""
    session = store.find("checkout.session", object_id)
    if session is not None:
        return session if session["status"] == "open" else None
    intent = store.find("payment_intent", object_id)
    return intent if intent is not None and intent["status"] not in ("succeeded", "canceled", "processing") else None


def _back(paid: Mapping[str, Any], field: str) -> str | None:
    """Only addresses of the web: whoever opened the session wrote it."""
    url = (paid.get(field) or "").replace("{CHECKOUT_SESSION_ID}", paid["id"])
    return url if urlsplit(url).scheme in ("http", "https") else None
