"""Pages of long lists are found by an index, whatever was there before; a cursor or time that is none is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from embedded.provisioning import DatabaseAccess
from payments_api.projections import payment_views

from .conftest import OpenShop, Shop
from .subscription_story import BILLED, subscribed

PAYMENTS = 20_000
PAGE = 50
ADMIN_TOKEN = "an-admin-token-of-tests"
_PAYMENTS = """
INSERT INTO payments (id, user_id, reference, gateway, price_asset, price, credit_asset, credits, bonus, status,
                      expires_at, created_at, updated_at, version, asked_asset, asked)
SELECT n::text, 'user-' || n, n::text, 'demo', 'USD/2', 1, 'TFC/2', 1, 0, 'expired', at, at, at, 1, 'USD/2', 1
FROM (SELECT n, '2026-01-01Z'::timestamptz + n * interval '1 second' AS at
      FROM generate_series(1, $1::integer) AS n) AS made
"""


@pytest_asyncio.fixture
async def owner(database: DatabaseAccess) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.asyncio
async def test_a_page_of_all_payments_reads_a_page(owner: asyncpg.Connection) -> None:
    await owner.execute(_PAYMENTS, PAYMENTS)
    await owner.execute("VACUUM ANALYZE payments")
    nobody: tuple[Any, ...] = (None, None, None, None, None, None, "")
    page = await owner.fetch(payment_views._PAGE, *nobody, PAGE)
    assert [row["id"] for row in page[:2]] == [str(PAYMENTS), str(PAYMENTS - 1)]
    plan = await owner.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {payment_views._PAGE}", *nobody, PAGE)
    assert max(read_by(node) for node in nodes_of(json.loads(plan)[0]["Plan"])) <= PAGE


def read_by(node: dict[str, Any]) -> int:
    rows: int = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return rows


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from nodes_of(below)


@pytest.mark.asyncio
async def test_subscriptions_come_in_pages(shop: Shop) -> None:
    headers = await shop.sign_in()
    made = [(await subscribed(shop, BILLED))["subscription_id"] for _ in range(2)]
    shop.clock.advance(60)
    made += [(await subscribed(shop, BILLED))["subscription_id"] for _ in range(3)]
    await subscribed(shop, BILLED, "bob")
    seen: list[str] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        place = {} if cursor is None else {"cursor": cursor}
        page = await shop.get("/api/subscriptions", headers, params={"limit": "2"} | place)
        assert len(page["subscriptions"]) <= 2
        seen += [one["subscription_id"] for one in page["subscriptions"]]
        cursor = page["next_cursor"]
    # Of the same moment, by their ids.
    assert seen == [*sorted(made[2:], reverse=True), *sorted(made[:2], reverse=True)]
    answer = await shop.http.get("/api/subscriptions?cursor=x", headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (422, "cursor")


@pytest.mark.parametrize(
    "query", ["subscriptions?cursor={}~x", "payments?cursor={}~x", "payments?from={}", "payments?to={}"]
)
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
@pytest.mark.asyncio
async def test_a_time_beyond_the_calendar_is_refused(shop: Shop, query: str, time: str) -> None:
    answer = await shop.http.get(f"/api/{query.format(time)}", headers=await shop.sign_in())
    assert (answer.status_code, answer.json()["code"]) == (422, "out_of_range")


@pytest.mark.parametrize(
    "query", ["failed-payments?cursor={}~x", "failed-payments?from={}", "disputes?cursor={}~x~y", "payments?to={}"]
)
@pytest.mark.asyncio
async def test_so_it_is_in_the_back_office(open_shop: OpenShop, query: str) -> None:
    async with open_shop(admin_token=ADMIN_TOKEN) as shop:
        path = f"/api/admin/{query.format('0001-01-01T00:00:00%2B14:00')}"
        answer = await shop.http.get(path, headers={"authorization": f"Bearer {ADMIN_TOKEN}"})
        assert (answer.status_code, answer.json()["code"]) == (422, "out_of_range")
