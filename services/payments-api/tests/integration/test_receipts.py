"""Receipts: one per payment at crediting, numbered without gaps per year, shown to whom they belong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from chassis.http import create_app
from payments_api.bootstrap.mail import MailParts
from payments_api.entrypoints.http import receipts

from .conftest import Shop
from .mail_story import apply, begun, credited, without_mail

RECEIPTS = 50
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


async def numbers(shop: Shop) -> list[tuple[int, int]]:
    return [tuple(row) for row in await shop.pool.fetch("SELECT year, number FROM receipts ORDER BY year, number")]


async def payments(shop: Shop, count: int) -> list[str]:
    """Rows of payments, without their history: a receipt needs no more."""
    first = (await begun(shop))["payment_id"]
    await shop.pool.execute(
        """INSERT INTO payments SELECT (jsonb_populate_record(p, jsonb_build_object(
               'id', 'payment-' || n, 'reference', 'REF' || n))).*
           FROM payments AS p, generate_series(1, $2) AS n WHERE p.id = $1""",
        first,
        count,
    )
    return [f"payment-{number}" for number in range(1, count + 1)]


class Undone(Exception):
    """A transaction that fails after its receipt was made."""


async def issue(shop: Shop, parts: MailParts, payment_id: str, *, piece: str = "p1", fails: bool = False) -> str:
    async with shop.pool.acquire() as conn, conn.transaction():
        number = await parts.receipts.issue(conn, payment_id, credited(piece))
        if fails:
            raise Undone
        return number


@asynccontextmanager
async def routed(shop: Shop, parts: MailParts) -> AsyncIterator[httpx.AsyncClient]:
    async def readiness() -> dict[str, bool]:
        return {}

    app = create_app(title="receipts", readiness=readiness, body_max_bytes=1024)
    app.state.sessions = shop.parts.sessions
    app.include_router(receipts.routes(parts.receipts, parts.drawing))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        yield http


@pytest.mark.asyncio
async def test_fifty_at_once_leave_no_gap_and_no_double(shop: Shop) -> None:
    parts, ids = without_mail(shop), await payments(shop, RECEIPTS)
    given = await asyncio.gather(*(issue(shop, parts, payment_id) for payment_id in ids))
    assert sorted(given) == [f"2026-{number:06d}" for number in range(1, RECEIPTS + 1)]
    assert await numbers(shop) == [(2026, number) for number in range(1, RECEIPTS + 1)]


@pytest.mark.asyncio
async def test_a_transaction_that_fails_gives_its_number_back(shop: Shop) -> None:
    parts, ids = without_mail(shop), await payments(shop, 20)
    attempts = (issue(shop, parts, payment_id, fails=place % 3 == 0) for place, payment_id in enumerate(ids))
    ended = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(one, Undone) for one in ended) == 7
    assert sorted(one for one in ended if isinstance(one, str)) == [f"2026-{number:06d}" for number in range(1, 14)]
    assert await numbers(shop) == [(2026, number) for number in range(1, 14)]


@pytest.mark.asyncio
async def test_a_payment_has_one_number_however_many_pieces_come_at_once(shop: Shop) -> None:
    parts, (payment_id,) = without_mail(shop), await payments(shop, 1)
    given = await asyncio.gather(*(issue(shop, parts, payment_id, piece=f"p{piece % 4}") for piece in range(12)))
    assert set(given) == {"2026-000001"}
    receipt = await parts.receipts.of_anybody(payment_id)
    assert receipt is not None
    assert sorted(line.gateway_payment_id for line in receipt.lines) == ["p0", "p1", "p2", "p3"]


@pytest.mark.asyncio
async def test_each_year_begins_anew_at_midnight_utc(shop: Shop) -> None:
    parts, ids = without_mail(shop), await payments(shop, 3)
    shop.clock.advance((NEW_YEAR - shop.clock.now()).total_seconds() - 1)
    given = [await issue(shop, parts, ids[0]), await issue(shop, parts, ids[1])]
    shop.clock.advance(1)
    given += [await issue(shop, parts, ids[2])]
    assert given == ["2026-000001", "2026-000002", "2027-000001"]


@pytest.mark.asyncio
async def test_a_receipt_says_what_was_true_when_it_was_made(shop: Shop) -> None:
    about = {
        "seller_name": "Grid Ltd",
        "seller_address": "1 Road\nZurich",
        "seller_tax_id": "CHE-1",
        "tax_rate": "0.18",
    }
    parts, payment = without_mail(shop, **about), await begun(shop)
    await apply(shop, parts, payment, credited(units=118_00, bought=12000))
    # Another seller today changes nothing of it.
    receipt = await without_mail(shop).receipts.of_payment(payment["payment_id"], "alice")
    seller = receipt.seller
    assert (seller.name, seller.address, seller.tax_id) == ("Grid Ltd", "1 Road\nZurich", "CHE-1")
    assert seller.tax_rate == Decimal("0.18")
    assert (receipt.number, receipt.issued_at) == ("2026-000001", shop.clock.now())
    assert (receipt.buyer_id, receipt.buyer_email) == ("alice", "alice@example.org")
    assert (receipt.payment_reference, receipt.gateway) == (payment["reference"], "demo")
    (total,) = receipt.totals
    assert (total.asset, total.net, total.tax, total.total) == ("USD/2", 100_00, 18_00, 118_00)


@pytest.mark.asyncio
async def test_it_can_be_fetched_once_it_is_credited(shop: Shop) -> None:
    parts, payment = without_mail(shop), await begun(shop)
    headers = await shop.sign_in("alice")
    path = f"/api/payments/{payment['payment_id']}/receipt.pdf"
    async with routed(shop, parts) as http:
        early = await http.get(path, headers=headers)
        assert (early.status_code, early.json()["type"].endswith("no_receipt")) == (409, True)
        await apply(shop, parts, payment, credited())
        answer = await http.get(path, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.headers["content-disposition"] == 'inline; filename="receipt-2026-000001.pdf"'
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.content == parts.drawing(await parts.receipts.of_payment(payment["payment_id"], "alice"))


@pytest.mark.asyncio
async def test_somebody_elses_is_not_there(shop: Shop) -> None:
    parts, payment = without_mail(shop), await begun(shop)
    await apply(shop, parts, payment, credited())
    path = f"/api/payments/{payment['payment_id']}/receipt.pdf"
    stranger = await shop.sign_in("mallory")
    async with routed(shop, parts) as http:
        assert (await http.get(path, headers=stranger)).status_code == 404
        assert (await http.get("/api/payments/nothing/receipt.pdf", headers=stranger)).status_code == 404
        assert (await http.get(path)).status_code == 401


@pytest.mark.asyncio
async def test_an_address_that_was_emptied_is_in_no_receipt(shop: Shop) -> None:
    parts, payment = without_mail(shop), await begun(shop)
    await apply(shop, parts, payment, credited())
    await shop.pool.execute("DELETE FROM payment_details")
    assert (await parts.receipts.of_payment(payment["payment_id"], "alice")).buyer_email is None
