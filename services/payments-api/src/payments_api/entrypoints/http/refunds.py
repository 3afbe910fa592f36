"""Refunds that begin here, for the finance role: by the admin token until people have roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Path

from chassis.errors import InvalidField
from chassis.http import ExactRouter
from contracts.amounts import AmountError, Asset, parse_positive_units, to_decimal
from payments_api.application.initiating import reference_of
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.payments import Id, found
from payments_api.entrypoints.http.people import require_admin
from payments_api.entrypoints.http.shapes import AskRefund, RefundShown

Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


def routes(parts: Parts) -> ExactRouter:
    """The router, guarded."""
    guarded = [Depends(require_admin(parts.settings.admin_token))]
    router = ExactRouter(prefix="/api/payments", tags=["refunds"], dependencies=guarded)

    @router.post("/{payment_id}/refunds", status_code=201, response_model=RefundShown, summary="Send money back")
    async def refund(payment_id: Id, body: AskRefund, key: Key = None) -> Mapping[str, Any]:
        payment = found(await parts.payment_views.payment(None, payment_id))
        units = _units(body, payment)
        refund_id = _refund_id(parts, payment_id, key)
        opened = await parts.refund_desk.open(refund_id, payment_id, units, body.reason, "admin")
        if opened["state"] == "requested":
            await parts.refunding.attempt(refund_id)
        return refund_shown(await parts.refund_desk.read(refund_id) or opened)

    @router.get("/{payment_id}/refunds", response_model=list[RefundShown], summary="The refunds of a payment")
    async def refunds(payment_id: Annotated[str, Path(max_length=255)]) -> list[Mapping[str, Any]]:
        return [refund_shown(row) for row in await parts.refund_desk.of_payment(payment_id)]

    return router


def _refund_id(parts: Parts, payment_id: str, key: str | None) -> str:
    """Ours, and the gateway's idempotency key; the same again for the same key."""
    return f"rf-{reference_of(f'{payment_id} {key}') if key else parts.initiating.new_payment_id('', None)}"


def _units(body: AskRefund, payment: Mapping[str, Any]) -> int | None:
    if body.amount is None:
        return None
    exponent = -int(payment["price"].as_tuple().exponent)
    try:
        return parse_positive_units(body.amount, Asset(payment["price_currency"], exponent))
    except AmountError as error:
        raise InvalidField("amount", error.code, error.detail) from error


def refund_shown(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A refund as operators see it."""
    return {
        "refund_id": row["id"],
        "payment_id": row["payment_id"],
        "amount": to_decimal(int(row["amount"]), row["asset"]),
        "currency": Asset.parse(row["asset"]).code,
        "reason": row["reason"],
        "state": row["state"],
        "refusal": row["refusal"],
        "created_at": row["created_at"],
    }
