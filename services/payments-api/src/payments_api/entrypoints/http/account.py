"""What a person has: the balance and its history, asked of the ledger and shown in the seeds' words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query

from chassis.http import ExactRouter
from payments_api.application import presenting
from payments_api.bootstrap import Parts
from payments_api.entrypoints.http.people import Person
from payments_api.entrypoints.http.shapes import Balance, Transactions

TRANSACTIONS_DEFAULT = 50
TRANSACTIONS_MAX = 200


def routes(parts: Parts) -> ExactRouter:
    """The router."""
    router = ExactRouter(prefix="/api", tags=["account"])
    asset = parts.catalogue.credit_asset

    @router.get("/user/tfc-balance", response_model=Balance, summary="What can be spent")
    async def balance(person: Person) -> Mapping[str, Any]:
        return presenting.balance(asset, await parts.ledger.wallet(person))

    @router.get("/transactions", response_model=Transactions, summary="What happened to your credits, newest first")
    async def transactions(
        person: Person,
        limit: Annotated[int, Query(ge=1, le=TRANSACTIONS_MAX)] = TRANSACTIONS_DEFAULT,
        cursor: Annotated[str | None, Query(max_length=255)] = None,
    ) -> Mapping[str, Any]:
        page = await parts.ledger.transactions(person, limit=limit, cursor=cursor)
        paid = [row.metadata.get("payment_reference") for row in page.transactions]
        said = await parts.payment_views.said_of(person, [str(reference) for reference in paid if reference])
        shown = [
            presenting.transaction(row, said.get(str(reference)))
            for row, reference in zip(page.transactions, paid, strict=True)
        ]
        return {"transactions": shown, "next_cursor": page.next_cursor}

    return router
