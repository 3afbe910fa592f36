"""Money whose reference comes with later news than itself: its quote finds it in whatever order the three come.

So it is with a subscription's payment: the gateway's own event of it does not know what it is for.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio
ORDERS = ["".join(order) for order in permutations("PNQ")]


def news(say: Any, letter: str, offset: int) -> Any:
    """Paid, named, quoted."""
    match letter:
        case "P":
            return say.confirmed(offset, user=None)
        case "N":
            return say.confirmed(offset, user=None, ours="QREF1")
        case _:
            return say.initiated(offset)


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("order", ORDERS)
async def test_it_is_credited_once_by_its_quote(ledger: Any, say: Any, order: str, apart: bool) -> None:
    records = [news(say, letter, offset) for offset, letter in enumerate(order)]
    for batch in [[record] for record in records] if apart else [records]:
        await ledger.deliver(*batch)
    assert (await ledger.wallet("alice")).spendable == 2750
    assert [name for name in await ledger.topics() if name == "CreditsPurchased"] == ["CreditsPurchased"]
    assert await ledger.pool.fetchval("SELECT used FROM quotes")
    assert await ledger.parked() == []
    again = [news(say, letter, 10 + offset) for offset, letter in enumerate(order)]
    await ledger.deliver(*again)
    assert (await ledger.wallet("alice")).spendable == 2750


async def test_the_sweep_finds_what_was_named_while_its_quote_came(ledger: Any, say: Any) -> None:
    """Another replica keeps the quote at the same moment: neither sees the other."""
    await ledger.deliver(say.confirmed(0, user=None))
    await ledger.deliver(say.confirmed(1, user=None, ours="QREF1"))
    assert await ledger.topics() == ["MoneyUnallocated", "MoneyNamed"]
    assert await ledger.pool.fetchval("SELECT payment_reference FROM payments") == "QREF1"
    assert await ledger.engine.allocate_once() == 0
    await ledger.pool.execute(
        "INSERT INTO quotes VALUES ('QREF1', 'alice', 2500, 'USD/2', 2500, 250, '2026-03-01T13:00:00Z', false)"
    )
    assert await ledger.engine.allocate_once() == 1
    assert (await ledger.wallet("alice")).spendable == 2750
