"""``/api/admin/unallocated``: money on the books that belongs to nobody yet, and giving it to its owner."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from chassis.errors import InvalidField
from chassis.http import DecimalInput, ExactRouter
from contracts.amounts import AmountError, Asset, parse_positive_units, to_decimal
from payments_api.adapters.catalogue import PRICE_ASSET
from payments_api.application.assigning import Assigning
from payments_api.application.ports import UnallocatedMoney
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.payments import LIMIT_DEFAULT, LIMIT_MAX
from payments_api.entrypoints.http.people import require_admin

GatewayName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
GatewayPaymentId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$")]


class AssignMoney(BaseModel):
    """To whom. ``worth_usd`` is what all of it was worth when it came, for coins that have no rate by themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    worth_usd: DecimalInput | None = None


def routes(parts: Parts) -> ExactRouter:
    """The router, guarded."""
    guarded = [Depends(require_admin(parts.settings.admin_token))]
    router = ExactRouter(prefix="/api/admin/unallocated", tags=["back office"], dependencies=guarded)
    assigning = Assigning(parts.ledger, lambda: parts.initiating.new_payment_id("", None))
    credit_asset = parts.catalogue.credit_asset

    @router.get("", summary="Money that belongs to nobody yet")
    async def unallocated(
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")] = None,
    ) -> Mapping[str, Any]:
        page = await parts.ledger.unallocated(limit=limit, cursor=cursor)
        return {"unallocated": [_shown(money) for money in page.money], "next_cursor": page.next_cursor}

    @router.post("/{gateway}/{payment_id}/assign", summary="Give such money to a person, once")
    async def assign(gateway: GatewayName, payment_id: GatewayPaymentId, body: AssignMoney) -> Mapping[str, Any]:
        assigned = await assigning.assign(gateway, payment_id, body.user_id, _cents(body.worth_usd))
        return {
            "success": True,
            "gateway": gateway,
            "gateway_payment_id": payment_id,
            "user_id": body.user_id,
            "credits": to_decimal(assigned.payment.credits, credit_asset),
            "already_assigned": assigned.is_repeat,
        }

    return router


def _cents(worth: Decimal | None) -> int | None:
    if worth is None:
        return None
    try:
        return parse_positive_units(worth, PRICE_ASSET)
    except AmountError as error:
        raise InvalidField("worth_usd", error.code, error.detail) from error


def _shown(money: UnallocatedMoney) -> Mapping[str, Any]:
    return {
        "gateway": money.gateway,
        "gateway_payment_id": money.gateway_payment_id,
        "reference": money.payment_reference,
        "received": to_decimal(money.received, money.asset),
        "refunded": to_decimal(money.refunded, money.asset),
        "currency": Asset.parse(money.asset).code,
        "paid_at": money.paid_at,
    }
