"""What clients written against the seeds rely on: paths, field names, shapes, exact numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from .conftest import OpenShop, Shop, exact

TRANSACTION_FIELDS = {
    "id",
    "user_id",
    "transaction_type",
    "amount",
    "balance_before",
    "balance_after",
    "description",
    "metadata",
    "created_at",
}
DEPLOYMENT_FIELDS = {
    "id",
    "user_id",
    "service_id",
    "tfc_amount",
    "commission_amount",
    "grid_payment_amount",
    "tft_amount",
    "grid_deployment_id",
    "status",
    "error_message",
    "connection_details",
    "created_at",
    "updated_at",
}


async def buy(shop: Shop, headers: dict[str, str], **body: Any) -> Any:
    given = {"service_id": "web-server", "payment_method": "TFC"} | body
    answer = await shop.http.post("/api/marketplace/buy-now", headers=headers, json=given)
    assert answer.status_code == 200, answer.text
    return exact(answer)


@pytest.mark.asyncio
async def test_balance_is_a_number_with_its_decimals(shop: Shop) -> None:
    headers = await shop.sign_in("alice")
    shop.ledger.give("alice", 2500)
    answer = await shop.http.get("/api/user/tfc-balance", headers=headers)
    assert b'"balance":25.00,' in answer.content
    assert exact(answer)["wallet_version"] == 1


@pytest.mark.asyncio
async def test_who_never_had_anything_has_zero(shop: Shop) -> None:
    balance = await shop.get("/api/user/tfc-balance", await shop.sign_in("newcomer"))
    assert (str(balance["balance"]), balance["wallet_version"]) == ("0.00", 0)


@pytest.mark.asyncio
async def test_transactions_have_the_seeds_rows(shop: Shop) -> None:
    headers = await shop.sign_in("alice")
    shop.ledger.give("alice", 2500)
    bought = await buy(shop, headers)
    page = await shop.get("/api/transactions", headers)
    spent, purchased = page["transactions"]
    assert set(spent) == set(purchased) == TRANSACTION_FIELDS
    assert (spent["transaction_type"], str(spent["amount"])) == ("Deployment", "-10.00")
    assert (str(spent["balance_before"]), str(spent["balance_after"])) == ("25.00", "15.00")
    deployment_id = bought["action"]["deployment_id"]
    assert spent["description"] == f"Deployment: Web server ({deployment_id})"
    assert spent["metadata"] == {"deployment_id": deployment_id, "service_name": "Web server"}
    assert purchased["transaction_type"] == "Purchase"


@pytest.mark.asyncio
async def test_transactions_come_in_pages(shop: Shop) -> None:
    headers = await shop.sign_in("alice")
    for _ in range(3):
        shop.ledger.give("alice", 100)
    first = await shop.get("/api/transactions?limit=2", headers)
    second = await shop.get(f"/api/transactions?limit=2&cursor={first['next_cursor']}", headers)
    ids = [row["id"] for row in first["transactions"] + second["transactions"]]
    assert ids == ["alice-3", "alice-2", "alice-1"]
    assert second["next_cursor"] is None


@pytest.mark.asyncio
@pytest.mark.parametrize(("query", "field"), [("limit=0", "limit"), ("limit=201", "limit"), ("cursor=x", "cursor")])
async def test_a_wrong_page_names_the_field(shop: Shop, query: str, field: str) -> None:
    answer = await shop.http.get(f"/api/transactions?{query}", headers=await shop.sign_in())
    assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.asyncio
async def test_buy_now_starts_a_deployment(shop: Shop) -> None:
    headers = await shop.sign_in("alice")
    shop.ledger.give("alice", 1000)
    bought = await buy(shop, headers)
    assert bought == {
        "success": True,
        "action": {"type": "DeploymentStarted", "deployment_id": bought["action"]["deployment_id"]},
        "message": "Deployment started successfully",
    }
    row = await shop.get(f"/api/deployments/{bought['action']['deployment_id']}", headers)
    assert set(row) >= DEPLOYMENT_FIELDS
    assert (row["status"], str(row["tfc_amount"]), row["service_id"]) == ("queued", "10.00", "web-server")
    assert (await shop.get("/api/deployments", headers))["deployments"] == [row]


@pytest.mark.asyncio
async def test_no_cover_is_an_answer_and_changes_nothing(shop: Shop) -> None:
    headers = await shop.sign_in("alice")
    shop.ledger.give("alice", 999)
    refused = await buy(shop, headers)
    action = {"type": "InsufficientFunds", "required": Decimal("10.00"), "available": Decimal("9.99")}
    assert refused == {
        "success": False,
        "action": action | {"wallet_version": 1},
        "message": "Insufficient TFC balance",
    }
    assert (await shop.get("/api/deployments", headers))["deployments"] == []
    assert shop.ledger.charges() == 0
    assert await shop.live("alice") == []


@pytest.mark.asyncio
async def test_the_catalogue_is_public(shop: Shop) -> None:
    services = (await shop.get("/api/marketplace/services", {}))["services"]
    web_server = next(service for service in services if service["id"] == "web-server")
    assert web_server == {
        "id": "web-server",
        "name": "Web server",
        "description": "2 vCPU, 4 GB of memory, 50 GB of disk, a public address",
        "price_tfc": Decimal("10.00"),
        "price_usd": Decimal("10.00"),
    }
    packages = (await shop.get("/api/credits/packages", {}))["packages"]
    assert {"id": "standard", "number": 2, "credits": Decimal("50.00"), "bonus": Decimal("2.50")}.items() <= packages[
        1
    ].items()
    assert set(packages[0]) == {"id", "number", "name", "credits", "price_usd", "description", "bonus"}


@pytest.mark.asyncio
async def test_an_unknown_service_is_404_and_a_card_needs_stripe(shop: Shop) -> None:
    headers = await shop.sign_in()
    for body, status, code in (
        ({"service_id": "nothing", "payment_method": "TFC"}, 404, "unknown_service"),
        ({"service_id": "web-server", "payment_method": "Stripe"}, 422, "gateway_not_configured"),
        ({"service_id": "web-server", "payment_method": "Gold"}, 422, "literal_error"),
    ):
        answer = await shop.http.post("/api/marketplace/buy-now", headers=headers, json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
    assert not shop.ledger.asked


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/user/tfc-balance"),
        ("GET", "/api/transactions"),
        ("GET", "/api/deployments"),
        ("GET", "/api/deployments/x"),
        ("GET", "/api/payments/x"),
        ("GET", "/api/events"),
        ("POST", "/api/payments/initiate"),
        ("POST", "/api/marketplace/buy-now"),
    ],
)
@pytest.mark.parametrize("shown", [None, "Bearer wrong", "Bearer ", "Basic YTpi", "Bearer ü"])
async def test_nobody_gets_in_without_a_token(shop: Shop, method: str, path: str, shown: str | None) -> None:
    headers = {} if shown is None else {"authorization": shown.encode("latin-1")}
    body = {"amount": 1, "currency": "USD", "gateway": "demo", "service_id": "web-server", "payment_method": "TFC"}
    answer = await shop.http.request(method, path, headers=headers, json=body)
    assert answer.status_code == 401
    assert (answer.json()["code"], answer.headers["www-authenticate"]) == ("unauthorized", "Bearer")


@pytest.mark.asyncio
async def test_a_session_ends(shop: Shop) -> None:
    headers = await shop.sign_in()
    shop.clock.advance(shop.parts.settings.session_lifetime_s - 1)
    assert (await shop.http.get("/api/deployments", headers=headers)).status_code == 200
    shop.clock.advance(1)
    assert (await shop.http.get("/api/deployments", headers=headers)).status_code == 401
    assert await shop.parts.sessions.prune() == 1


@pytest.mark.asyncio
async def test_the_token_is_stored_nowhere(shop: Shop) -> None:
    token = (await shop.sign_in())["authorization"].removeprefix("Bearer ")
    assert len(token) >= 43
    stored = await shop.pool.fetch("SELECT token_hash FROM sessions")
    assert len(stored) == 1
    assert len(stored[0]["token_hash"]) == 32
    assert token.encode() not in stored[0]["token_hash"]


@pytest.mark.asyncio
@pytest.mark.parametrize("user_id", ["", "a:b", "a b", "a\n", "ü", "x" * 65, 7, None])
async def test_a_user_id_is_opaque_and_plain(shop: Shop, user_id: Any) -> None:
    answer = await shop.http.post("/api/auth/demo", json={"user_id": user_id})
    assert (answer.status_code, answer.json()["field"]) == (422, "user_id")


@pytest.mark.asyncio
async def test_there_is_no_demo_sign_in_outside_of_demo_mode(open_shop: OpenShop) -> None:
    async with open_shop(demo_payment=False) as shop:
        answer = await shop.http.post("/api/auth/demo", json={"user_id": "alice"})
        assert answer.status_code == 404


@pytest.mark.asyncio
async def test_sign_in_alone_brings_no_demo_payments(open_shop: OpenShop) -> None:
    async with open_shop(demo_payment=False, demo_sign_in=True) as shop:
        offered = await shop.get("/api/payments/gateways", await shop.sign_in())
        assert [gateway for gateway in offered["gateways"] if gateway["demo"]] == []


@pytest.mark.asyncio
async def test_without_the_ledger_balances_are_503_and_the_rest_goes_on(shop: Shop) -> None:
    headers = await shop.sign_in()
    shop.ledger.always = "away"
    answer = await shop.http.get("/api/user/tfc-balance", headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (await shop.http.get("/api/deployments", headers=headers)).status_code == 200
    assert (await shop.http.get("/readyz")).status_code == 200


@pytest.mark.asyncio
async def test_the_documentation_names_every_route(shop: Shop) -> None:
    page = await shop.http.get("/docs")
    paths = (await shop.http.get("/openapi.json")).json()["paths"]
    assert page.status_code == 200
    assert len(paths) >= 15
    assert all(f"<code>{path}</code>" in page.text for path in paths)
    assert "<script" not in page.text
