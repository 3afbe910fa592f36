"""``/api/admin``: all people's payments, what failed, what is disputed, and asking a gateway now.

Reads show what people see and whose it is, but no secret of a payer's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from starlette.responses import Response

from chassis.errors import Conflict, NotFound
from chassis.http import ExactJSONResponse, ExactRouter, problem
from payments_api.application.gateways import GatewayAway, Observation
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.payments import LIMIT_DEFAULT, LIMIT_MAX, Id, aware, found, statuses_of
from payments_api.entrypoints.http.people import require_admin
from payments_api.entrypoints.http.refunds import refund_shown
from payments_api.projections.back_office import BackOffice, DisputeStatus, FailureFilter
from payments_api.projections.payment_views import Filter

Name = Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00]*$")]
Since = Annotated[datetime | None, Query(alias="from")]
Until = Annotated[datetime | None, Query(alias="to")]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
Cursor = Annotated[str | None, Query(max_length=400, pattern=r"^[^\x00]*$")]


def routes(parts: Parts) -> ExactRouter:
    """The router, guarded."""
    guarded = [Depends(require_admin(parts.settings.admin_token))]
    router = ExactRouter(prefix="/api/admin", tags=["back office"], dependencies=guarded)
    office = BackOffice(parts.pool)
    _add_payments(router, parts, office)
    _add_trouble(router, office)
    return router


def _add_payments(router: ExactRouter, parts: Parts, office: BackOffice) -> None:
    @router.get("/payments", summary="All people's payments, newest first")
    async def payments(
        status: Annotated[str | None, Query(max_length=200)] = None,
        gateway: Name = None,
        user_id: Name = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = LIMIT_DEFAULT,
        cursor: Cursor = None,
    ) -> Mapping[str, Any]:
        wanted = Filter(statuses_of(status), gateway, aware("from", since), aware("to", until))
        page, following = await parts.payment_views.page(user_id, wanted, limit=limit, cursor=cursor)
        owners = await office.owners([payment["payment_id"] for payment in page])
        shown = [{"user_id": owners[payment["payment_id"]], **payment} for payment in page]
        return {"payments": shown, "next_cursor": following}

    @router.get("/payments/{payment_id}", summary="Anybody's payment, with its history and refunds")
    async def payment(payment_id: Id) -> Mapping[str, Any]:
        whole = found(await parts.payment_views.payment(None, payment_id))
        owners = await office.owners([payment_id])
        shown = {name: value for name, value in whole.items() if name != "client_secret"}
        refunds = [refund_shown(row) for row in await parts.refund_desk.of_payment(payment_id)]
        return {"user_id": owners[payment_id], **shown, "refunds": refunds}

    @router.post("/payments/{payment_id}/ask", summary="Ask the payment's gateway now")
    async def ask(payment_id: Id) -> Response:
        try:
            observations = await _ask(parts, office, payment_id)
        except GatewayAway as away:
            return problem(502, "gateway_unreachable", f"{away.gateway} does not answer", str(away.reason))
        said = [_said(one) for one in observations]
        return ExactJSONResponse({"payment_id": payment_id, "observations": said})


def _add_trouble(router: ExactRouter, office: BackOffice) -> None:
    @router.get("/failed-payments", summary="Attempts to pay that failed, newest first")
    async def failed_payments(
        gateway: Name = None,
        user_id: Name = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = LIMIT_DEFAULT,
        cursor: Cursor = None,
    ) -> Mapping[str, Any]:
        wanted = FailureFilter(gateway, user_id, aware("from", since), aware("to", until))
        rows, following = await office.failures(wanted, limit=limit, cursor=cursor)
        return {"failed_payments": rows, "next_cursor": following}

    @router.get("/disputes", summary="Disputes, newest first")
    async def disputes(
        status: DisputeStatus | None = None, gateway: Name = None, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None
    ) -> Mapping[str, Any]:
        rows, following = await office.disputes(status, gateway, limit=limit, cursor=cursor)
        return {"disputes": rows, "next_cursor": following}


async def _ask(parts: Parts, office: BackOffice, payment_id: str) -> list[Observation]:
    """What the gateway says, told on as its webhooks are: money moves by that way only."""
    asked = await office.asked(payment_id)
    if asked is None:
        raise NotFound("unknown_payment", "There is no such payment")
    name, about = asked
    gateway = parts.gateways.get(name)
    if gateway is None:
        raise Conflict("gateway_not_configured", f"{name} is not configured here any more")
    observations = list(await gateway.status(about))
    await parts.observing.tell(observations)
    return observations


def _said(observation: Observation) -> Mapping[str, Any]:
    return {
        "name": observation.name,
        "kind": observation.kind,
        "gateway_payment_id": observation.payment_id,
        "at": observation.at,
        **observation.fields,
    }
