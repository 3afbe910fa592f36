"""Refunds one by one, disputes, fees and worth: from the bus through the engine to the tables, and out again."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from contracts.envelope import Envelope
from eventstore.mapper import EventMapper
from eventstore.postgres import PostgresEventStore
from ledger.adapters.publishing import LogSource
from ledger.domain.events import EVENT_TYPES
from ledger.projections import proof

pytestmark = pytest.mark.asyncio


async def published(ledger: Any) -> list[tuple[str, dict[str, Any]]]:
    """The messages that the log tells, without what all of them have."""
    source = LogSource(PostgresEventStore(ledger.pool), EventMapper(EVENT_TYPES), "TFC/2")
    async with ledger.pool.acquire() as conn:
        _, records = await source.read_after(conn, 0, 100)
    told = [Envelope.from_record(record.headers, record.value) for record in records]
    return [(one.type.split(".")[-2], json.loads(one.data)) for one in told]


async def differences(ledger: Any) -> list[str]:
    conn = await asyncpg.connect(ledger.database.owner_dsn)
    try:
        return [difference async for difference in proof.rebuilt(conn, lambda _: None)]
    finally:
        await conn.close()


@pytest.mark.parametrize("apart", [True, False])
async def test_a_refund_that_fails_late(ledger: Any, say: Any, apart: bool) -> None:
    records = [
        say.refund(0, "pending"),
        say.confirmed(1),
        say.refunded(2, "10.00"),
        say.refund(3, "succeeded"),
        say.refund(4, "failed"),
    ]
    for batch in [[record] for record in records] if apart else [records]:
        await ledger.deliver(*batch)
    assert (await ledger.wallet("alice")).spendable == 2500
    assert await ledger.parked() == []
    row = await ledger.pool.fetchrow("SELECT * FROM payments")
    figures = (row["told_total"], row["failed_total"], row["single_total"], row["refunded"], row["credits_taken"])
    assert figures == (1000, 1000, 0, 0, 0)
    assert await differences(ledger) == []


async def test_a_failure_that_came_first_is_remembered(ledger: Any, say: Any) -> None:
    await ledger.deliver(say.confirmed(0), say.refund(1, "failed"))
    await ledger.deliver(say.refund(2, "succeeded"))
    assert await ledger.topics() == ["CreditsPurchased", "RefundNoted"]
    assert (await ledger.wallet("alice")).spendable == 2500


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(("end", "left"), [("won", 2500), ("lost", 1500)])
async def test_a_dispute_and_its_end(ledger: Any, say: Any, apart: bool, end: str, left: int) -> None:
    records = [say.dispute(0, "opened"), say.confirmed(1), say.dispute(2, end), say.dispute(3, "opened")]
    for batch in [[record] for record in records] if apart else [records]:
        await ledger.deliver(*batch)
    assert (await ledger.wallet("alice")).spendable == left
    assert await ledger.pool.fetchval("SELECT state FROM disputes") == end
    assert await ledger.parked() == []
    assert await differences(ledger) == []


@pytest.mark.parametrize("apart", [True, False])
async def test_a_dispute_that_was_opened_before_the_owner_was_known(ledger: Any, say: Any, apart: bool) -> None:
    records = [say.confirmed(0, ours="QREF1"), say.dispute(1, "opened"), say.initiated(2, bonus="0.00")]
    for batch in [[record] for record in records] if apart else [records]:
        await ledger.deliver(*batch)
    assert (await ledger.wallet("alice")).spendable == 1500
    names = ["MoneyUnallocated", "UnallocatedDisputed", "QuoteKept", "CreditsPurchased", "MoneyAllocated"]
    assert await ledger.topics() == [*names, "CreditsDisputed"]
    await ledger.deliver(say.dispute(3, "won"))
    assert (await ledger.wallet("alice")).spendable == 2500
    assert await differences(ledger) == []


async def test_pieces_fill_a_quote_over_batches(ledger: Any, say: Any) -> None:
    await ledger.deliver(say.initiated(0), say.confirmed(1, amount="10.00", ours="QREF1"))
    await ledger.deliver(say.confirmed(2, "pi_2", amount="15.00", ours="QREF1"))
    assert (await ledger.wallet("alice")).spendable == 2750
    row = await ledger.pool.fetchrow("SELECT * FROM quotes")
    assert (row["received"], row["given"], row["used"]) == (2500, 2500, True)
    assert [body["rule"] for kind, body in await published(ledger) if kind == "CreditsPurchased"] == [
        "underpaid",
        "topped_up",
    ]
    assert await differences(ledger) == []


async def test_worth_comes_with_the_money(ledger: Any, say: Any) -> None:
    await ledger.deliver(say.confirmed(0, amount="0.00150000", asset="BTC/8", worth="97.50"))
    await ledger.deliver(say.confirmed(1, "pi_2", amount="0.00150000", asset="BTC/8", worth="0.00"))
    await ledger.deliver(say.confirmed(2, "pi_3", amount="100.000000000000000001", asset="ETH/18"))
    assert (await ledger.wallet("alice")).spendable == 9750
    assert await ledger.topics() == ["CreditsPurchased", "MoneyUnallocated", "MoneyUnallocated"]
    assert await ledger.pool.fetchval("SELECT received FROM payments WHERE asset = 'ETH/18'") == 10**20 + 1
    assert await ledger.parked() == []


async def test_fees_need_no_payment_and_nothing_is_no_fee(ledger: Any, say: Any) -> None:
    await ledger.deliver(say.fee(0), say.fee(1), say.fee(2, "0.00"))
    assert await ledger.topics() == ["GatewayFeeBooked"]
    assert await ledger.parked() == [(2, "bad-amount")]
    await ledger.deliver(say.fee(3, "9.99"))
    assert await ledger.parked() == [(2, "bad-amount"), (3, "reference_conflict")]
    assert await published(ledger) == []


async def test_what_others_are_told(ledger: Any, say: Any) -> None:
    await ledger.deliver(say.confirmed(0), say.refund(1, "succeeded"), say.refund(2, "failed"))
    await ledger.deliver(say.dispute(3, "opened"), say.dispute(4, "lost"))
    told = await published(ledger)
    assert [kind for kind, _ in told] == [
        "CreditsPurchased",
        "PaymentReversed",
        "PaymentRestored",
        "CreditsDisputed",
        "DisputeLost",
    ]
    lines = [body["transaction"] and body["transaction"]["amount"]["amount"] for _, body in told[1:]]
    assert lines == ["-10.00", "10.00", "-10.00", None]
    assert told[1][1]["credits_taken"]["amount"] == told[2][1]["credits_returned"]["amount"] == "10.00"
    assert [body["refunded_total"]["amount"] for _, body in told[1:3]] == ["10.00", "0.00"]
    assert [(body["credits"]["amount"], body["dispute_id"]) for _, body in told[3:]] == [("10.00", "dp_1")] * 2
    assert told[3][1]["transaction"]["metadata"]["dispute_id"] == "dp_1"
    assert [body["wallet"]["available"]["amount"] for _, body in told] == ["25.00", "15.00", "25.00", "15.00", "15.00"]
