"""Unallocated money through the app, against a ledger of its own behind real HTTP that answers as the real one does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated, Any

import pytest
import pytest_asyncio
from fastapi import Header
from fastapi.responses import JSONResponse, Response

from chassis.errors import NotFound
from chassis.http import ExactRouter, problem

from .conftest import TOKEN, OpenShop, exact, served
from .scripted_gateway import ADMIN
from .stand_in_ledger import StandInLedger, make_ledger_app


class Unallocated:
    """Money by payment key: whose it is, None for nobody's. Refusals are repeated under their keys for ever."""

    def __init__(self) -> None:
        self.owners: dict[str, str | None] = {"bank:b-1": None, "bank:b-2": None, "demo:d-1": None}
        self.refused: set[str] = set()
        self.without_rate: set[str] = set()
        self.allocations = 0
        self.worths: list[str | None] = []

    def row(self, key: str) -> dict[str, Any]:
        gateway, _, payment_id = key.partition(":")
        amounts = {"received": "7.00", "refunded": "0.00", "asset": "USD/2"}
        about = {"gateway": gateway, "gateway_payment_id": payment_id, "payment_reference": None}
        return {"payment": key, **about, **amounts, "paid_at": "2026-05-01T00:00:00+00:00"}

    def allocate(self, key: str, user_id: str, name: str, worth_usd: str | None) -> Response:
        self.worths.append(worth_usd)
        if name in self.refused or key not in self.owners or (key in self.without_rate and worth_usd is None):
            self.refused.add(name)
            return problem(404, "nothing_to_allocate", "No unallocated money is kept under that payment")
        if self.owners[key] not in (None, user_id):
            return problem(409, "reference_conflict", "The effect exists with another content")
        is_repeat = self.owners[key] is not None
        self.allocations += not is_repeat
        self.owners[key] = user_id
        return JSONResponse({"position": 1}, 201, {"Idempotency-Replayed": "true"} if is_repeat else {})


def router_of(money: Unallocated) -> ExactRouter:
    router = ExactRouter(prefix="/v1")

    @router.get("/unallocated")
    async def unallocated(limit: int = 50, cursor: str = "") -> dict[str, Any]:
        keys = sorted(key for key, owner in money.owners.items() if owner is None and key > cursor)[:limit]
        return {
            "unallocated": [money.row(key) for key in keys],
            "next_cursor": keys[-1] if len(keys) == limit else None,
        }

    @router.get("/payments/{gateway}/{payment_id:path}")
    async def payment(gateway: str, payment_id: str) -> dict[str, Any]:
        key = f"{gateway}:{payment_id}"
        if key not in money.owners:
            raise NotFound("payment_unknown", "No payment of that gateway is booked under that id")
        owner = money.owners[key]
        return {"user_id": owner, "credits": "0.00" if owner is None else "7.00"}

    @router.post("/unallocated/{payment}/allocate")
    async def allocate(
        payment: str, body: dict[str, str], key: Annotated[str, Header(alias="Idempotency-Key")]
    ) -> Response:
        return money.allocate(payment, body["user_id"], key, body.get("worth_usd"))

    return router


@pytest.fixture
def money() -> Unallocated:
    return Unallocated()


@pytest_asyncio.fixture
async def ledger(money: Unallocated) -> AsyncIterator[Any]:
    """The stand-in, with unallocated money."""
    standing_in: Any = StandInLedger()
    app = make_ledger_app(standing_in, TOKEN)
    app.include_router(router_of(money))
    async with served(app) as url:
        standing_in.url = url
        yield standing_in


@pytest_asyncio.fixture
async def office(open_shop: OpenShop) -> AsyncIterator[Any]:
    async with open_shop(admin_token="an-admin-token-of-tests", ledger_timeout_s=5) as shop:
        yield shop


async def assign(office: Any, payment: str, user_id: str = "dora", **more: str) -> Any:
    body = {"user_id": user_id, **more}
    return await office.http.post(f"/api/admin/unallocated/{payment}/assign", headers=ADMIN, json=body)


@pytest.mark.asyncio
async def test_money_of_nobody_is_listed_by_pages(office: Any) -> None:
    page = await office.get("/api/admin/unallocated?limit=2", ADMIN)
    assert [row["gateway_payment_id"] for row in page["unallocated"]] == ["b-1", "b-2"]
    assert (page["unallocated"][0]["received"], page["unallocated"][0]["currency"]) == (Decimal("7.00"), "USD")
    rest = await office.get(f"/api/admin/unallocated?limit=2&cursor={page['next_cursor']}", ADMIN)
    assert ([row["gateway"] for row in rest["unallocated"]], rest["next_cursor"]) == (["demo"], None)


@pytest.mark.asyncio
async def test_money_is_assigned_once_and_to_one_person(office: Any, money: Unallocated) -> None:
    first = exact(await assign(office, "bank/b-1"))
    assert (first["user_id"], first["credits"], first["already_assigned"]) == ("dora", 7, False)
    again = exact(await assign(office, "bank/b-1"))
    assert (again["credits"], again["already_assigned"], money.allocations) == (7, True, 1)
    other = await assign(office, "bank/b-1", "eve")
    assert (other.status_code, other.json()["code"], money.owners["bank:b-1"]) == (409, "assigned_before", "dora")


@pytest.mark.asyncio
async def test_money_that_has_no_rate_yet_can_be_assigned_later(office: Any, money: Unallocated) -> None:
    money.without_rate.add("demo:d-1")
    refused = await assign(office, "demo/d-1")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_assignable")
    money.without_rate.clear()
    assert (await assign(office, "demo/d-1")).status_code == 200, "each attempt has a key of its own"


@pytest.mark.asyncio
async def test_money_that_has_no_rate_is_assigned_by_what_it_was_worth(office: Any, money: Unallocated) -> None:
    money.without_rate.add("demo:d-1")
    for worth in ("0", "-1", "1.001"):
        refused = await assign(office, "demo/d-1", worth_usd=worth)
        assert (refused.status_code, refused.json()["field"], money.worths) == (422, "worth_usd", [])
    assert (await assign(office, "demo/d-1", worth_usd="7.1")).status_code == 200
    assert money.worths == ["7.10"]


@pytest.mark.asyncio
async def test_what_is_not_booked_or_malformed_is_said(office: Any) -> None:
    assert (await assign(office, "bank/b-9")).status_code == 404
    bad = await assign(office, "bank/b-1", "not a person")
    assert (bad.status_code, bad.json()["field"]) == (422, "user_id")


@pytest.mark.asyncio
async def test_without_the_ledger_nothing_is_said_to_be_done(open_shop: OpenShop) -> None:
    async with open_shop(admin_token="an-admin-token-of-tests", ledger_url="http://127.0.0.1:9") as shop:
        assert (await assign(shop, "bank/b-1")).status_code == 503
