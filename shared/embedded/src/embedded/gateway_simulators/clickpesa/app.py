"""A stateful stand-in for ClickPesa: its documented API, a page to pay on, webhooks with their checksums.

Set CLICKPESA_BASE_URL to its address. Checks our checksums and answers the documented errors. Remembers in memory only.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from starlette.responses import Response

from chassis.clock import Clock
from chassis.http import ExactJSONResponse, ExactRouter, create_app
from chassis.ids import IdFactory
from embedded.gateway_simulators.clickpesa import pages
from embedded.gateway_simulators.clickpesa.checksum import is_right
from embedded.gateway_simulators.clickpesa.control import Happening, Trouble, control_routes, happen
from embedded.gateway_simulators.clickpesa.store import ClickPesaRefusal, ClickPesaStore, Link
from embedded.gateway_simulators.clickpesa.webhooks import ClickPesaWebhooks

CURRENCIES = ("TZS", "USD")
SHILLINGS_PER_DOLLAR = Decimal("2631.58")
PAGE_DEFAULT_ROWS, PAGE_MAX_ROWS = 20, 100
_REFERENCE = re.compile(r"[A-Za-z0-9]{1,20}", re.ASCII)
_PRICE = re.compile(r"\d{1,12}(\.\d{1,2})?", re.ASCII)


def create_clickpesa_simulator(
    webhooks: ClickPesaWebhooks,
    clock: Clock,
    ids: IdFactory,
    public_url: str,
    *,
    keys: Mapping[str, str] | None = None,
    checks_requests: bool = True,
) -> FastAPI:
    """The application. ``public_url`` is how a person's browser reaches it; ``keys`` are the API keys by client id, any
    without them; requests are checked with the webhooks' checksum key. ``webhooks`` end with it, where its own lifespan
    is run (a parent that mounts it closes them itself)."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await webhooks.close()

    store, trouble = ClickPesaStore(clock, ids), Trouble()
    app = create_app(title="Simulated ClickPesa", readiness=_ready, lifespan=lifespan)
    app.add_exception_handler(ClickPesaRefusal, _refused)
    checksum_key = webhooks.checksum_key if checks_requests else None
    app.include_router(_token_route(store, trouble, keys))
    app.include_router(_checkout_route(store, trouble, checksum_key, public_url.rstrip("/")))
    app.include_router(_query_routes(store, trouble, clock))
    app.include_router(_pay_routes(store, webhooks))
    app.include_router(control_routes(store, webhooks, trouble))
    return app


async def _ready() -> Mapping[str, bool]:
    return {}


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ClickPesaRefusal):
        raise error
    return ExactJSONResponse({"message": str(error), "statusCode": error.status}, error.status)


def _token_route(store: ClickPesaStore, trouble: Trouble, keys: Mapping[str, str] | None) -> ExactRouter:
    router = ExactRouter()

    @router.post("/generate-token")
    async def generate_token(request: Request) -> Any:
        _answers(trouble)
        client_id, key = request.headers.get("client-id"), request.headers.get("api-key")
        if not client_id or not key:
            raise ClickPesaRefusal(401, "Unauthorized")
        if keys is not None and client_id not in keys:
            raise ClickPesaRefusal(403, "Invalid client details")
        if keys is not None and keys[client_id] != key:
            raise ClickPesaRefusal(403, "Invalid or Expired API-Key")
        return {"success": True, "token": store.new_token()}

    return router


def _checkout_route(
    store: ClickPesaStore, trouble: Trouble, checksum_key: bytes | None, public_url: str
) -> ExactRouter:
    router = ExactRouter()

    @router.post("/checkout-link/generate-checkout-url")
    async def generate_checkout_url(request: Request) -> Any:
        _admitted(request, store, trouble)
        asked = await request.json()
        if checksum_key is not None and not is_right(asked, checksum_key):
            raise ClickPesaRefusal(400, "Invalid checksum")
        link = _link(asked)
        if link.reference in store.links:
            raise ClickPesaRefusal(409, f"Order reference {link.reference} already used: Create a different reference")
        store.links[link.reference] = link
        return {"checkoutLink": f"{public_url}/pay/{link.reference}", "clientId": "simulated"}

    return router


def _query_routes(store: ClickPesaStore, trouble: Trouble, clock: Clock) -> ExactRouter:
    router = ExactRouter()

    @router.get("/payments/all")
    async def all_payments(request: Request) -> Any:
        _admitted(request, store, trouble)
        query = request.query_params
        rows = [row for row in store.payments if _is_asked_for(row, query)]
        if query.get("orderBy", "DESC") == "DESC":
            rows.reverse()
        skip, limit = int(query.get("skip", 0)), min(int(query.get("limit", PAGE_DEFAULT_ROWS)), PAGE_MAX_ROWS)
        return {"data": [dict(row) for row in rows[skip : skip + limit]], "totalCount": len(rows)}

    @router.get("/payments/{reference}")
    async def payment(reference: str, request: Request) -> Any:
        _admitted(request, store, trouble)
        rows = store.payments_of(reference)
        if not rows:
            raise ClickPesaRefusal(404, f"Invalid or missing payment: {reference}")
        return [dict(row) for row in rows]

    @router.get("/exchange-rates/all")
    async def rates(request: Request) -> Any:
        _admitted(request, store, trouble)
        row = {"source": "USD", "target": "TZS", "rate": SHILLINGS_PER_DOLLAR, "date": clock.now().isoformat()}
        asked = {name: request.query_params.get(name, row[name]) for name in ("source", "target")}
        return [row] if all(row[name] == value for name, value in asked.items()) else []

    return router


def _pay_routes(store: ClickPesaStore, webhooks: ClickPesaWebhooks) -> ExactRouter:
    router = ExactRouter()

    @router.get("/pay/{reference}")
    async def show(reference: str) -> Response:
        link = store.links.get(reference)
        return pages.unknown_page() if link is None else pages.pay_page(link)

    @router.post("/pay/{reference}")
    async def pay(reference: str, request: Request) -> Response:
        link = store.links.get(reference)
        action = parse_qs((await request.body()).decode()).get("action", ["pay"])[-1]
        if link is None:
            return pages.unknown_page()
        if action not in dict(pages.BUTTONS):
            return pages.pay_page(link)
        payment = happen(store, webhooks, reference, Happening.model_validate({"action": action}))
        await webhooks.drained()
        return pages.told_page(payment["status"])

    return router


def _answers(trouble: Trouble) -> None:
    if trouble.is_silent():
        raise ClickPesaRefusal(503, "Service Unavailable")


def _admitted(request: Request, store: ClickPesaStore, trouble: Trouble) -> None:
    _answers(trouble)
    if not store.is_valid(request.headers.get("authorization", "")):
        raise ClickPesaRefusal(401, "Unauthorized")


def _link(asked: Any) -> Link:
    """Raises ClickPesaRefusal in ClickPesa's words."""
    reference, price, currency = (asked.get(name) for name in ("orderReference", "totalPrice", "orderCurrency"))
    checks: list[tuple[Callable[[], bool], str]] = [
        (lambda: bool(price), "Total Price is required"),
        (lambda: bool(reference), "Order reference is required"),
        (
            lambda: isinstance(reference, str) and _REFERENCE.fullmatch(reference) is not None,
            "Invalid Order Reference, should only contain alphanumeric characters and cannot be blank",
        ),
        (lambda: isinstance(price, str) and _PRICE.fullmatch(price) is not None, "totalPrice must be a number string"),
        (lambda: currency in CURRENCIES, "orderCurrency must be one of the following values: TZS, USD"),
    ]
    for holds, message in checks:
        if not holds():
            raise ClickPesaRefusal(400, message)
    customer = {f"customer{field}": asked.get(f"customer{told}") for field, told in _CUSTOMER.items()}
    return Link(str(reference), Decimal(str(price)), str(currency), customer)


_CUSTOMER = {"Name": "Name", "Email": "Email", "PhoneNumber": "Phone"}
FILTERS = ("status", "collectedCurrency", "channel", "orderReference")


def _is_asked_for(row: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    if any(name in query and row[name] != query[name] for name in FILTERS):
        return False
    made_on = row["createdAt"][:10]
    return bool(query.get("startDate", made_on) <= made_on <= query.get("endDate", made_on))
