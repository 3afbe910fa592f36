"""Messages through the engine on PostgreSQL: each takes effect once, early ones wait, bad ones are parked alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chassis.bus.port import Record
from chassis.errors import DomainError
from contracts.amounts import Money
from contracts.messages import DeploymentFailed, DeploymentQueued
from contracts.topics import PAYMENTS
from ledger.application import engine as engine_module
from ledger.application.work import Settled, Work
from ledger.domain.commands import HoldCredits
from ledger.domain.refusals import InsufficientFunds
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
HOLD = HoldCredits("alice", "d-1", "web", "Web server", 1000)


def queued(say: Any, offset: int, commission: str = "1.00", grid: str = "9.00") -> Record:
    def tfc(amount: str) -> Money:
        return Money(asset="TFC/2", amount=amount)

    message = DeploymentQueued(
        deployment_id="d-1",
        user_id="alice",
        service_id="web",
        amount=tfc("10.00"),
        commission=tfc(commission),
        grid_payment=tfc(grid),
    )
    return say.record(message, offset)  # type: ignore[no-any-return]


def failed(say: Any, offset: int) -> Record:
    message = DeploymentFailed(deployment_id="d-1", user_id="alice", error_message="no")
    return say.record(message, offset)  # type: ignore[no-any-return]


async def test_a_confirmed_payment_is_credited_with_its_offset_and_inbox_row(ledger: Any, say: Any) -> None:
    [work] = await ledger.deliver(say.confirmed(7))
    assert isinstance(work.outcome, Settled)
    assert (await ledger.wallet("alice")).spendable == 2500
    assert (await ledger.next_offset(), await ledger.count("inbox"), await ledger.count("stored_events")) == (8, 1, 1)


async def test_the_same_message_again_has_no_effect(ledger: Any, say: Any) -> None:
    await ledger.deliver(say.confirmed(0, as_id="one"))
    await ledger.deliver(say.confirmed(1, as_id="one"), say.confirmed(2, as_id="one"))
    await ledger.deliver(say.confirmed(3, "pi_2", as_id="two"), say.confirmed(4, "pi_2", as_id="two"))
    assert (await ledger.wallet("alice")).spendable == 5000
    assert (await ledger.next_offset(), await ledger.count("inbox"), await ledger.count("stored_events")) == (5, 2, 2)


@pytest.mark.parametrize("apart", [True, False])
async def test_an_id_that_was_handled_is_passed_over_whatever_it_brings(ledger: Any, say: Any, apart: bool) -> None:
    """The inbox alone, which no reference backs here."""
    records = [say.confirmed(0, "pi_1", as_id="one"), say.confirmed(1, "pi_2", as_id="one")]
    for batch in [[record] for record in records] if apart else [records]:
        await ledger.deliver(*batch)
    assert (await ledger.wallet("alice")).spendable == 2500
    assert (await ledger.next_offset(), await ledger.parked()) == (2, [])


async def test_the_same_payment_under_other_ids_has_no_effect(ledger: Any, say: Any) -> None:
    await ledger.deliver(*(say.confirmed(offset) for offset in range(5)))
    await ledger.deliver(*(say.confirmed(offset) for offset in range(5, 10)))
    assert (await ledger.wallet("alice")).spendable == 2500
    assert (await ledger.count("inbox"), await ledger.count("stored_events"), await ledger.parked()) == (10, 1, [])


async def test_the_same_payment_with_another_content_is_parked(ledger: Any, say: Any) -> None:
    await ledger.deliver(say.confirmed(0), say.confirmed(1, amount="99.00"))
    await ledger.deliver(say.confirmed(2, user="mallory"))
    assert await ledger.parked() == [(1, "reference_conflict"), (2, "reference_conflict")]
    assert (await ledger.wallet("alice")).spendable == 2500


async def test_records_that_come_again_with_their_offsets_are_passed_over(ledger: Any, say: Any) -> None:
    records = [say.confirmed(0), say.confirmed(1, amount="99.00"), say.refunded(2, "1.00", "pi_9")]
    await ledger.deliver(*records)
    await ledger.deliver(*records)
    assert await ledger.parked() == [(1, "reference_conflict")]
    assert (await ledger.count("waiting_messages"), await ledger.count("inbox")) == (1, 1)


async def test_an_early_refund_waits_and_is_settled_with_its_purchase(ledger: Any, say: Any) -> None:
    await ledger.deliver(say.refunded(0, "10.00"), say.refunded(1, "15.00"))
    assert (await ledger.count("waiting_messages"), await ledger.count("inbox")) == (2, 0)
    await ledger.deliver(say.confirmed(2))
    assert (await ledger.wallet("alice")).spendable == 1000
    assert await ledger.topics() == ["CreditsPurchased", "PaymentReversed", "PaymentReversed"]
    assert (await ledger.count("waiting_messages"), await ledger.parked()) == (0, [])


async def test_an_early_refund_in_the_batch_of_its_purchase_is_settled_with_it(ledger: Any, say: Any) -> None:
    await ledger.deliver(say.refunded(0, "10.00"), say.confirmed(1))
    assert (await ledger.wallet("alice")).spendable == 1500
    assert await ledger.topics() == ["CreditsPurchased", "PaymentReversed"]
    assert (await ledger.count("waiting_messages"), await ledger.count("inbox")) == (0, 2)


async def test_what_just_missed_its_reference_is_settled_by_the_sweep(
    ledger: Any, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "RETRY_WAITING_S", 0.01)
    await ledger.deliver(say.refunded(0, "10.00"))
    # As if another replica had made the reference at the same moment, and released nothing.
    await ledger.pool.execute("UPDATE waiting_messages SET waits_for = 'something else'")
    await ledger.deliver(say.confirmed(1))
    assert (await ledger.wallet("alice")).spendable == 2500
    await ledger.pool.execute("UPDATE waiting_messages SET next_attempt_at = clock_timestamp()")
    ledger.run_waiting()

    async def refunded() -> bool:
        return bool((await ledger.wallet("alice")).spendable == 1500)

    await eventually(refunded)


async def test_an_early_refund_without_its_purchase_waits_longer_each_time(ledger: Any, say: Any) -> None:
    await ledger.deliver(say.refunded(0, "10.00"))
    pauses = []
    for _ in range(3):
        pauses.append(await ledger.pool.fetchval("SELECT next_attempt_at - clock_timestamp() FROM waiting_messages"))
        await ledger.pool.execute("UPDATE waiting_messages SET next_attempt_at = clock_timestamp()")
        await ledger.engine._once([], retry_waiting=True)
    assert await ledger.pool.fetchval("SELECT attempts FROM waiting_messages") == 4
    assert pauses[0] < pauses[1] < pauses[2]


async def test_an_early_refund_of_money_that_nobody_owns_yet(ledger: Any, say: Any) -> None:
    await ledger.deliver(say.refunded(0, "10.00"))
    await ledger.deliver(say.confirmed(1, user=None))
    assert await ledger.topics() == ["MoneyUnallocated", "UnallocatedReversed"]
    await ledger.deliver(say.confirmed(2, user="bob"))
    assert (await ledger.wallet("bob")).spendable == 1500


@pytest.mark.parametrize("order", ["QF", "FQ", "FFQQ", "QQFF"])
async def test_what_comes_before_its_charge_waits_for_it(ledger: Any, say: Any, order: str) -> None:
    await ledger.settle(say.paid(2500))
    for offset, letter in enumerate(order):
        await ledger.deliver(queued(say, offset) if letter == "Q" else failed(say, offset))
    assert await ledger.count("waiting_messages") == len(order)
    [outcome] = await ledger.settle(HOLD)
    assert isinstance(outcome, Settled)
    assert outcome.no_effect is None
    wallet = await ledger.wallet("alice")
    assert (wallet.spendable, wallet.held) == (2500, 0)
    state = await ledger.pool.fetchval("SELECT state FROM charges")
    assert state == ("refunded" if order[0] == "Q" else "released")
    assert (await ledger.count("waiting_messages"), await ledger.parked()) == (0, [])


async def test_what_came_before_a_charge_that_is_refused_waits_on(ledger: Any, say: Any) -> None:
    await ledger.deliver(queued(say, 0))
    [refused] = await ledger.settle(HOLD)
    assert isinstance(refused, InsufficientFunds)
    assert await ledger.count("waiting_messages") == 1
    await ledger.settle(say.paid(1000))
    await ledger.settle(HOLD)
    assert await ledger.pool.fetchval("SELECT state FROM charges") == "captured"


@pytest.mark.parametrize("apart", [True, False])
async def test_money_that_comes_before_its_quote_waits_on_the_books(ledger: Any, say: Any, apart: bool) -> None:
    records = [say.confirmed(0, ours="QREF1", user="mallory"), say.initiated(1)]
    for batch in [[record] for record in records] if apart else [records]:
        await ledger.deliver(*batch)
    assert (await ledger.wallet("alice")).spendable == 2750
    assert await ledger.topics() == ["MoneyUnallocated", "QuoteKept", "CreditsPurchased", "MoneyAllocated"]
    assert await ledger.pool.fetchval("SELECT used FROM quotes")


@pytest.mark.parametrize("apart", [True, False])
async def test_a_quote_before_its_money(ledger: Any, say: Any, apart: bool) -> None:
    records = [say.initiated(0), say.confirmed(1, ours="QREF1", user="mallory")]
    for batch in [[record] for record in records] if apart else [records]:
        await ledger.deliver(*batch)
    assert (await ledger.wallet("alice")).spendable == 2750
    assert await ledger.topics() == ["QuoteKept", "CreditsPurchased"]


async def test_a_quote_for_money_that_its_owner_cannot_take_stops_nothing(ledger: Any, say: Any) -> None:
    tenth_of_a_bigint = "9" * 16 + ".99"
    await ledger.deliver(say.confirmed(0, ours="QREF1"))
    await ledger.deliver(say.initiated(1, promised=tenth_of_a_bigint, bonus=tenth_of_a_bigint))
    await ledger.deliver(say.confirmed(2, "pi_2"))
    assert await ledger.topics() == ["MoneyUnallocated", "QuoteKept", "CreditsPurchased"]


async def test_a_poisoned_message_is_parked_and_its_neighbours_settle(ledger: Any, say: Any) -> None:
    await ledger.settle(say.paid(1000, payment_id="pi_0"), HOLD)
    malformed = say.confirmed(2, "pi_2")
    malformed = Record(PAYMENTS, b"k", b'{"gateway": 5}', malformed.headers, partition=0, offset=2, timestamp_ms=0)
    await ledger.deliver(
        say.confirmed(0, "pi_1"),
        queued(say, 1, commission="2.00"),
        malformed,
        say.confirmed(3, "pi_3", amount="-5.00"),
        say.initiated(4, promised="-25.00"),
        say.initiated(5, bonus="-0.01"),
        say.confirmed(6, "pi_4"),
    )
    assert await ledger.parked() == [
        (1, "contradiction"),
        (2, "bad-payload"),
        (3, "bad-amount"),
        (4, "bad-amount"),
        (5, "bad-amount"),
    ]
    assert (await ledger.wallet("alice")).spendable == 5000
    assert (await ledger.next_offset(), await ledger.count("inbox"), await ledger.count("outbox")) == (7, 2, 5)
    assert {row["topic"] for row in await ledger.pool.fetch("SELECT topic FROM outbox")} == {"payments.dead-letter"}


@pytest.mark.parametrize("batches", [1, 2])
async def test_times_without_a_zone_are_taken_as_utc_and_stop_nobody(ledger: Any, say: Any, batches: int) -> None:
    records = [
        without_zones(say.initiated(0, "QREF1")),
        say.confirmed(1, "pi_1", ours="QREF1"),
        say.initiated(2, "QREF2"),
        without_zones(say.confirmed(3, "pi_2", ours="QREF2")),
        without_zones(say.confirmed(4, "pi_3", ours="QREF3")),
        say.initiated(5, "QREF3"),
    ]
    half = len(records) // batches
    for start in range(0, len(records), half):
        await ledger.deliver(*records[start : start + half])
    assert (await ledger.wallet("alice")).spendable == 3 * 2750
    assert (await ledger.next_offset(), await ledger.parked()) == (6, [])


def without_zones(record: Record) -> Record:
    told = json.loads(record.value)
    for name in {"paid_at", "expires_at"} & set(told):
        told[name] = told[name].removesuffix("Z")
    return replace(record, value=json.dumps(told).encode())


async def test_a_value_that_the_database_refuses_stands_alone(ledger: Any, say: Any) -> None:
    records = [say.confirmed(offset, f"pi_{offset}", amount="1.00") for offset in range(51)]
    records[25] = say.confirmed(25, "pi_\u0000", amount="1.00")
    works = await ledger.deliver(*records)
    assert await ledger.parked() == [(25, "data-refused")]
    assert (await ledger.wallet("alice")).spendable == 50 * 100
    assert (await ledger.next_offset(), await ledger.count("inbox")) == (51, 50)
    assert say.effects([work.outcome for work in works]) == 50


async def test_a_request_with_a_value_that_the_database_refuses_fails_alone(ledger: Any, say: Any) -> None:
    works = [Work(command=say.paid(100, payment_id=f"pi_{n}")) for n in range(3)]
    bad = Work(command=say.paid(100, payment_id="pi_\u0000"))
    tickets = [ledger.engine.submit([work]) for work in (works[0], works[1], bad, works[2])]
    with pytest.raises(DomainError, match="unstorable_value"):
        await tickets[2].wait()
    for ticket in (tickets[0], tickets[1], tickets[3]):
        await ticket.wait()
    assert (await ledger.wallet("alice")).spendable == 300


async def test_a_zombie_applies_nothing(ledger: Any, say: Any) -> None:
    zombie = ledger.epoch
    ledger.epoch = await ledger.claim("another replica")
    works = await ledger.deliver(
        say.confirmed(0), say.refunded(1, "1.00", "pi_9"), say.confirmed(2, "pi_\u0000"), epoch=zombie
    )
    assert [work.outcome for work in works] == [None, None, None]
    for table in ("stored_events", "inbox", "dead_letters", "waiting_messages"):
        assert await ledger.count(table) == 0
    assert await ledger.next_offset() is None
    await ledger.deliver(say.confirmed(0))
    assert (await ledger.wallet("alice")).spendable == 2500


async def test_the_reference_that_a_payment_came_with_first_decides_its_owner(ledger: Any, say: Any) -> None:
    """Its quote was missed, as two replicas at once can do; the next message names another quote, or none."""
    await ledger.settle(say.paid(100, payment_id="pi_0"))
    await ledger.deliver(say.confirmed(0, user=None), say.initiated(1))
    await ledger.pool.execute("UPDATE payments SET payment_reference = 'QREF1'")
    await ledger.deliver(say.confirmed(2, ours="QREF2", user="mallory"))
    assert await ledger.parked() == []
    assert (await ledger.wallet("alice")).spendable == 2850
