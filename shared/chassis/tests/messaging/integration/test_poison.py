import asyncio
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from chassis import dead_letters
from chassis.bus.port import RECORD_MAX_BYTES, OutgoingRecord
from chassis.errors import Conflict, PoisonMessage
from contracts.envelope import Envelope
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio


class Body(BaseModel):
    note: str
    amount: int = 0


async def strict(world: Any, conn: Any, envelope: Envelope) -> None:
    """A handler with every way to refuse."""
    body = Body.model_validate_json(envelope.data)
    if body.note == "odd":
        raise PoisonMessage("odd-amount", "with \x00 and \ud800 in the text")
    if body.note == "refused":
        raise Conflict("already-there", "It is there already")
    await world.paid(conn, envelope)


def without(record: OutgoingRecord, header: str) -> OutgoingRecord:
    return replace(record, headers=tuple(pair for pair in record.headers if pair[0] != header))


CASES = {
    "no type": (lambda world: without(world.message(), "ce_type"), "bad-envelope"),
    "no id": (lambda world: without(world.message(), "ce_id"), "bad-envelope"),
    "no headers": (lambda world: replace(world.message(), headers=()), "bad-envelope"),
    "id is no uuid": (
        lambda world: replace(
            world.message(), headers=(*without(world.message(), "ce_id").headers, ("ce_id", b"\xff\x00"))
        ),
        "bad-envelope",
    ),
    "next version": (lambda world: world.message(kind="gridledger.payments.Paid.v2"), "unknown-version"),
    "no json": (lambda world: world.message(value=b"{"), "bad-payload"),
    "empty": (lambda world: world.message(value=b""), "bad-payload"),
    "wrong type": (lambda world: world.message(data={"note": "x", "amount": "secret"}), "bad-payload"),
    "refused by the handler": (lambda world: world.message(data={"note": "odd"}), "odd-amount"),
    "refused by the books": (lambda world: world.message(data={"note": "refused"}), "already-there"),
    "refused by postgres": (lambda world: world.message(data={"note": "a\x00b"}), "data-refused"),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_bad_message_is_parked_and_the_stream_goes_on(world: Any, case: str) -> None:
    make, reason = CASES[case]
    bad, good = make(world), world.message(data={"note": "good"})
    await world.publish(bad, good)
    async with world.running(_strict(world), world.relay()):
        await eventually(lambda: _is(world.notes(), ["good"]))
        copies = await _fetched(world, world.DEAD, 1)
    letters = await dead_letters.list_parked(world.pool)
    assert [(letter.reason, letter.consumer_group, letter.status) for letter in letters] == [
        (reason, world.GROUP, "parked")
    ]
    assert letters[0].record.value == bad.value
    assert letters[0].record.headers == bad.headers
    assert letters[0] == await dead_letters.read(world.pool, letters[0].id)
    assert await world.offsets() == 2
    assert await world.count("inbox") == 1
    headers = dict(copies[0].headers)
    assert headers["dead_letter_reason"] == reason.encode()
    assert headers["dead_letter_origin"].startswith(b"payments/")
    assert copies[0].value == bad.value
    assert copies[0].key == bad.key


async def test_the_reason_never_holds_the_refused_value(world: Any) -> None:
    await world.publish(world.message(data={"note": "x", "amount": "secret"}))
    async with world.running(_strict(world)):
        await eventually(lambda: _is(world.count("dead_letters"), 1))
    (letter,) = await dead_letters.list_parked(world.pool)
    assert "amount" in letter.detail
    assert "secret" not in letter.detail


async def test_the_copy_of_a_record_at_the_limit_goes_without_its_value(world: Any) -> None:
    room = RECORD_MAX_BYTES - world.message(value=b"").size_bytes
    bad = world.message(value=b"x" * room)
    await world.publish(bad)
    async with world.running(_strict(world), world.relay()):
        (copy,) = await _fetched(world, world.DEAD, 1)
    assert copy.value == b""
    assert dict(copy.headers)["dead_letter_truncated"] == b"true"
    (letter,) = await dead_letters.list_parked(world.pool)
    assert letter.record.value == bad.value


async def test_a_redriven_message_takes_effect_once_and_only_for_its_group(world: Any) -> None:
    healthy = False
    other_saw: list[str] = []

    async def paid(conn: Any, envelope: Envelope) -> None:
        if not healthy:
            raise PoisonMessage("unhealthy")
        await world.paid(conn, envelope)

    async def other(conn: Any, envelope: Envelope) -> None:
        other_saw.append(envelope.id)

    message = world.message(data={"note": "late"})
    await world.publish(message)
    billing = world.consumer({world.PAID: paid})
    mailing = world.consumer({world.PAID: other}, group="mailing")
    async with world.running(billing, mailing, world.relay()):
        await eventually(lambda: _is(world.count("dead_letters"), 1))
        await eventually(lambda: bool(other_saw))
        # The other group forgot that it handled the message: only the header keeps it from handling it again.
        await world.pool.execute("DELETE FROM inbox WHERE consumer_group = 'mailing'")
        healthy = True
        (letter,) = await dead_letters.list_parked(world.pool)
        async with world.pool.acquire() as conn, conn.transaction():
            assert await dead_letters.redrive(conn, [letter.id], by="operator") == [letter.id]
            assert await dead_letters.redrive(conn, [letter.id], by="operator") == []
        await eventually(lambda: _is(world.notes(), ["late"]))
        await eventually(lambda: _is(world.offsets("mailing"), 2))
    assert len(other_saw) == 1
    settled = await dead_letters.read(world.pool, letter.id)
    assert settled is not None
    assert (settled.status, settled.settled_by) == ("redriven", "operator")
    assert await dead_letters.list_parked(world.pool) == []
    ids = await world.rows("SELECT message_id FROM effects")
    assert dict(message.headers)["ce_id"].decode() == str(ids[0]["message_id"])


async def test_a_discarded_message_stays_readable_and_is_not_redriven(world: Any) -> None:
    await world.publish(world.message(value=b"{"))
    async with world.running(_strict(world)):
        await eventually(lambda: _is(world.count("dead_letters"), 1))
    (letter,) = await dead_letters.list_parked(world.pool)
    async with world.pool.acquire() as conn, conn.transaction():
        assert await dead_letters.discard(conn, [letter.id], by="operator") == [letter.id]
        assert await dead_letters.redrive(conn, [letter.id], by="operator") == []
    (kept,) = await dead_letters.list_parked(world.pool, status=None)
    assert kept.status == "discarded"


def _strict(world: Any) -> Any:
    async def handler(conn: Any, envelope: Envelope) -> None:
        await strict(world, conn, envelope)

    return world.consumer({world.PAID: handler})


async def _is(actual: Any, expected: Any) -> bool:
    return bool(await actual == expected)


async def _fetched(world: Any, topic: str, count: int) -> list[Any]:
    """The first records of a topic, read by a group of its own."""

    class Listener:
        async def on_assigned(self, partitions: Any) -> dict[Any, Any]:
            return {}

        async def on_revoked(self, partitions: Any) -> None:
            """Nothing is in flight."""

    consumer = world.bus.consumer("reader", [topic], "reader")
    await consumer.start(Listener())
    found: list[Any] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await consumer.fetch(10, 0.05)
    await consumer.close()
    return found
