"""What an operator watches: messages given up on, by reason, and commands that changed nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chassis.bus.port import Record
from ledger.application.measures import NO_EFFECT, PARKED
from ledger.application.work import Delivery, Work
from ledger.bootstrap import Parts
from ledger.domain.commands import CreditPayment


def paid(cents: int) -> CreditPayment:
    return CreditPayment("stripe", "pi_1", cents, "USD/2", datetime(2026, 1, 1, tzinfo=UTC), "alice")


@pytest.mark.asyncio
async def test_a_conflict_is_parked_with_its_reason_and_counted(parts: Parts) -> None:
    parked = PARKED.labels("reference_conflict")
    before = parked._value.get()
    record = Record("payments", b"stripe:pi_1", b"{}", (), partition=0, offset=1, timestamp_ms=0)
    await parts.engine.settle(Work(command=paid(2500)))
    await parts.engine.settle(Work(command=paid(9900), delivery=Delivery(record, None, None)))
    assert parked._value.get() == before + 1
    assert await parts.pool.fetchval("SELECT reason FROM dead_letters") == "reference_conflict"
    assert (await parts.reader.wallet("alice"))[0].spendable == 2500


@pytest.mark.asyncio
async def test_a_repeat_is_counted(parts: Parts) -> None:
    repeated = NO_EFFECT.labels("repeated")
    before = repeated._value.get()
    for _ in range(3):
        await parts.engine.settle(Work(command=paid(2500)))
    assert repeated._value.get() == before + 2
