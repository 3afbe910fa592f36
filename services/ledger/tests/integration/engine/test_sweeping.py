"""Unallocated money whose quote came at the same moment is found, whatever lies there that cannot be allocated."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.application import engine as engine_module

pytestmark = pytest.mark.asyncio


async def test_what_can_never_be_allocated_hides_nothing(
    ledger: Any, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "ALLOCATE_MAX_PAYMENTS", 2)
    await ledger.deliver(say.initiated(0))
    await ledger.deliver(*(say.confirmed(1 + n, f"pi_{n}", asset="XAU/2", ours="QREF1") for n in range(5)))
    await ledger.deliver(say.confirmed(6, "pi_9", ours="QREF2"))
    await ledger.pool.execute(
        "INSERT INTO quotes VALUES ('QREF2', 'alice', 2500, 'USD/2', 2500, 250, '2026-03-01T13:00:00Z', false)"
    )
    tried = [await ledger.engine.allocate_once() for _ in range(4)]
    assert (tried, (await ledger.wallet("alice")).spendable) == ([2, 2, 2, 0], 2750)
    assert await ledger.engine.allocate_once() == 2, "then from the beginning"
