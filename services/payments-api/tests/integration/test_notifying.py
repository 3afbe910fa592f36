"""Mails are written with the news, once per failure and per success, and not at all where nobody can take them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from payments_api.domain.deciding import ReportDisputed, ReportFailedAttempt, ReportSeen

from .conftest import Shop
from .mail_story import apply, apply_within, begun, credited, with_mail, without_mail

NO_LUCK = ReportFailedAttempt("declined", "no luck")
UNUSED_PORT = 9


async def written(shop: Shop) -> list[Any]:
    return list(await shop.pool.fetch("SELECT * FROM mails ORDER BY created_at, dedupe_key"))


@pytest.mark.asyncio
async def test_a_failure_is_written_once_however_often_it_is_told(shop: Shop) -> None:
    payment, parts = await begun(shop), with_mail(shop, UNUSED_PORT)
    await apply(shop, parts, payment, NO_LUCK)
    await apply(shop, parts, payment, NO_LUCK)
    await apply(shop, parts, payment, ReportSeen("p1", "processing"))
    (mail,) = await written(shop)
    assert (mail["kind"], mail["payment_id"]) == ("failed", payment["payment_id"])
    assert (mail["recipient"], mail["dedupe_key"]) == ("alice@example.org", f"failed:{payment['payment_id']}:3")
    assert json.loads(mail["facts"]) == {
        "reference": payment["reference"],
        "gateway": "Demo",
        "amount": "25.00 USD",
        "reason": "no luck",
    }


@pytest.mark.asyncio
async def test_another_failure_is_another_mail(shop: Shop) -> None:
    payment, parts = await begun(shop), with_mail(shop, UNUSED_PORT)
    await apply(shop, parts, payment, NO_LUCK)
    await apply(shop, parts, payment, ReportFailedAttempt("insufficient_funds", "too poor"))
    assert [json.loads(mail["facts"])["reason"] for mail in await written(shop)] == ["no luck", "too poor"]


@pytest.mark.asyncio
async def test_a_failure_that_comes_after_the_credits_is_not_told(shop: Shop) -> None:
    payment, parts = await begun(shop), with_mail(shop, UNUSED_PORT)
    await apply(shop, parts, payment, credited())
    await apply(shop, parts, payment, NO_LUCK)
    assert [mail["kind"] for mail in await written(shop)] == ["credited"]


@pytest.mark.asyncio
async def test_a_success_is_written_once_with_its_receipts_number(shop: Shop) -> None:
    payment, parts = await begun(shop), with_mail(shop, UNUSED_PORT)
    await apply(shop, parts, payment, credited())
    await apply(shop, parts, payment, ReportDisputed("dp1", "opened", "USD/2", 2500))
    await apply(shop, parts, payment, credited())
    (mail,) = await written(shop)
    assert json.loads(mail["facts"]) == {
        "reference": payment["reference"],
        "gateway": "Demo",
        "amount": "25.00 USD",
        "credits": "25.00 TFC",
        "receipt": "2026-000001",
    }


@pytest.mark.asyncio
async def test_what_is_rolled_back_is_not_told(shop: Shop) -> None:
    payment, parts = await begun(shop), with_mail(shop, UNUSED_PORT)
    async with shop.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        await apply_within(conn, shop, parts, payment, credited())
        assert await conn.fetchval("SELECT count(*) FROM mails") == 1
        await transaction.rollback()
    assert await written(shop) == []
    assert await shop.pool.fetchval("SELECT count(*) FROM receipts") == 0


@pytest.mark.asyncio
async def test_who_left_no_address_gets_no_mail_and_yet_a_receipt(shop: Shop) -> None:
    payment, parts = await begun(shop, email=None), with_mail(shop, UNUSED_PORT)
    await apply(shop, parts, payment, NO_LUCK)
    await apply(shop, parts, payment, credited())
    assert await written(shop) == []
    assert await shop.pool.fetchval("SELECT count(*) FROM receipts") == 1


@pytest.mark.asyncio
async def test_without_a_server_nothing_is_written_and_yet_receipts_are_made(shop: Shop) -> None:
    payment, parts = await begun(shop), without_mail(shop)
    await apply(shop, parts, payment, NO_LUCK)
    await apply(shop, parts, payment, credited())
    assert parts.sending is None
    assert await written(shop) == []
    assert await shop.pool.fetchval("SELECT count(*) FROM receipts") == 1


@pytest.mark.asyncio
async def test_old_mails_are_forgotten(shop: Shop) -> None:
    payment, parts = await begun(shop), with_mail(shop, UNUSED_PORT)
    await apply(shop, parts, payment, NO_LUCK)
    await shop.pool.execute("UPDATE mails SET created_at = created_at - interval '31 days'")
    await apply(shop, parts, payment, credited())
    assert await parts.rows.prune() == 1
    assert [mail["kind"] for mail in await written(shop)] == ["credited"]
