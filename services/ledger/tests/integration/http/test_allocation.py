"""Money and its quote that came at the same moment, in two replicas, and missed each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from ledger.application.work import Work
from ledger.bootstrap import Parts
from ledger.domain.commands import CreditPayment, KeepQuote

QUOTE = KeepQuote("GLREF", "alice", "demo", 2000, "USD/2", 2000, 100, datetime.now(UTC) + timedelta(hours=1))


@pytest.mark.asyncio
async def test_what_missed_its_quote_is_allocated_by_the_next_round(parts: Parts, client: httpx.AsyncClient) -> None:
    await parts.engine.settle(Work(command=QUOTE))
    # As another replica would have left it, that did not see the quote: the payment has no owner although it is known.
    paid = CreditPayment("demo", "p-1", 2000, "USD/2", datetime.now(UTC))
    await parts.engine.settle(Work(command=paid))
    await parts.pool.execute("UPDATE payments SET payment_reference = 'GLREF' WHERE payment_key = 'demo:p-1'")
    assert await parts.engine.allocate_once() == 1
    assert (await client.get("/v1/wallets/alice")).json()["available"] == "21.00"
    assert await parts.engine.allocate_once() == 0
