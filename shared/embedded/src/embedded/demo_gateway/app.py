"""The demo gateway over HTTP: ``GET /pay`` shows the page, ``POST /pay`` with an outcome sends the webhook.

Only addresses that payments-api signed are served, so nobody invents payments here. Keeps nothing: the address says
all, and telling of a payment twice is harmless.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from chassis.clock import Clock
from chassis.errors import Forbidden, InvalidField, OperationalError
from chassis.http import ExactJSONResponse, ExactRouter, create_app
from chassis.ids import IdFactory
from contracts.amounts import format_units
from embedded.demo_gateway import page
from embedded.demo_gateway.delivery import Delivery
from embedded.demo_gateway.form import parameters_of, wants_page
from embedded.demo_gateway.signing import is_signed

OUTCOMES = ("confirmed", "failed", "less", "later")
"""What a person may choose: all of it, nothing, four fifths of it, or all of it after a while."""
LESS = (4, 5)
LATER_S = 5.0
DECLINED = "Declined at the demo gateway"


def create_demo_gateway(
    secret: bytes, delivery: Delivery, clock: Clock, ids: IdFactory, *, later_s: float = LATER_S
) -> FastAPI:
    """The application; ``delivery`` ends with it. Who pays later is told of after ``later_s`` seconds."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await delivery.close()

    app = create_app(title="Demo gateway", readiness=_ready, lifespan=lifespan)
    app.include_router(_routes(secret, delivery, clock, ids, later_s))
    return app


async def _ready() -> Mapping[str, bool]:
    return {}


def _routes(secret: bytes, delivery: Delivery, clock: Clock, ids: IdFactory, later_s: float) -> ExactRouter:
    router = ExactRouter()

    @router.get("/pay")
    async def show(request: Request) -> Response:
        parameters = dict(request.query_params)
        if not is_signed(parameters, secret):
            return page.refused_page()
        return page.payment_page(parameters, _readable(parameters))

    @router.post("/pay")
    async def pay(request: Request) -> Response:
        parameters, is_page = await parameters_of(request), wants_page(request)
        if not is_signed(parameters, secret):
            if is_page:
                return page.refused_page()
            raise Forbidden("bad_signature", "This address was not signed by the shop")
        outcome = parameters.get("outcome", "")
        if outcome not in OUTCOMES:
            raise InvalidField("outcome", "unknown_outcome", f"must be one of {', '.join(OUTCOMES)}")
        event = _event(parameters, outcome, f"demo_evt_{ids.new().hex}", clock)
        if outcome == "later":
            delivery.deliver_later(event, later_s)
        delivered = outcome == "later" or await delivery.deliver(event)
        return page.outcome_page(outcome, delivered=delivered) if is_page else _told(event, outcome, delivered)

    return router


def _event(parameters: Mapping[str, str], outcome: str, event_id: str, clock: Clock) -> dict[str, Any]:
    data: dict[str, Any] = {name: parameters[name] for name in ("payment_id", "reference", "user_id", "currency")}
    data["amount"] = int(parameters["amount"])
    kind = "confirmed"
    if outcome == "failed":
        kind, data["reason"] = "failed", DECLINED
    elif outcome == "less":
        data["amount"] = max(1, data["amount"] * LESS[0] // LESS[1])
    return {"id": event_id, "type": f"payment.{kind}", "created": int(clock.now().timestamp()), "data": data}


def _told(event: Mapping[str, Any], outcome: str, delivered: bool) -> Response:
    if not delivered:
        raise OperationalError("the webhook was not taken")
    return ExactJSONResponse({"outcome": outcome, "event_id": event["id"]})


def _readable(parameters: Mapping[str, str]) -> str:
    """The signed amount counts cents: the demo gateway takes dollars only."""
    return f"{format_units(int(parameters['amount']), 'USD/2')} {parameters['currency'].upper()}"
