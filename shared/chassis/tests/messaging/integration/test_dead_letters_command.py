"""``dead-letters`` as an operator types it: the real command on a real database, and what the bus hears of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chassis import dead_letters
from chassis.bus.port import RECORD_MAX_BYTES, OutgoingRecord, Record
from chassis.dead_letters_command import SETTLED_AT_ONCE_MAX, run_dead_letters
from chassis.errors import PoisonMessage
from chassis.settings import ServiceSettings, SettingsError
from contracts.envelope import Envelope
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio


class Operator:
    """Types commands; answers the exit code, and both outputs."""

    def __init__(self, world: Any, capsys: Any) -> None:
        self._world = world
        self._capsys = capsys

    async def types(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = await run_dead_letters(ServiceSettings, arguments)
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err


@pytest.fixture
def operator(world: Any, operators_terminal: None, capsys: Any) -> Operator:
    return Operator(world, capsys)


async def parked(world: Any, *notes: str, reason: str = "odd-amount", detail: str = "") -> list[int]:
    """Park one message for each note; answers their ids."""
    messages = [world.message(note, {"note": note}) for note in notes]
    return [await park(world, message, PoisonMessage(reason, detail)) for message in messages]


async def park(world: Any, message: OutgoingRecord, why: PoisonMessage) -> int:
    async with world.pool.acquire() as conn, conn.transaction():
        return await dead_letters.park(conn, world.GROUP, _received(message), why)


def _received(message: OutgoingRecord) -> Record:
    return Record(message.topic, message.key, message.value, message.headers, partition=3, offset=9, timestamp_ms=0)


async def test_what_is_parked_is_listed_without_its_content(world: Any, operator: Operator) -> None:
    assert await operator.types("list") == (0, "there are none\n", "")
    first, second = await parked(world, "private-a", "private-b", detail="amount\n\x1b[31m: none")

    code, table, errors = await operator.types("list")

    assert (code, errors) == (0, "")
    heading, *rows = table.splitlines()
    assert heading.split()[:2] == ["id", "parked"]
    assert [row.split()[0] for row in rows] == [str(first), str(second)]
    assert all("billing  payments/3/9  gridledger.payments.Paid.v1  odd-amount  parked" in row for row in rows)
    assert "private" not in table
    assert "\x1b" not in table


async def test_programs_read_one_object_a_line_page_by_page(world: Any, operator: Operator) -> None:
    ids = await parked(world, "a", "b", "c")

    code, first_page, hint = await operator.types("list", "--json", "--limit", "2")
    found = [json.loads(line) for line in first_page.splitlines()]
    _, last_page, no_hint = await operator.types("list", "--json", "--limit", "2", "--after", str(found[-1]["id"]))
    found += [json.loads(line) for line in last_page.splitlines()]

    assert code == 0
    assert [letter["id"] for letter in found] == ids
    assert found[0]["reason"] == "odd-amount"
    assert found[0]["status"] == "parked"
    assert "value" not in found[0]
    assert f"--after {ids[1]}" in hint
    assert no_hint == ""


async def test_one_is_shown_with_its_content(world: Any, operator: Operator) -> None:
    (parked_id,) = await parked(world, "private-a")

    code, out, _ = await operator.types("show", str(parked_id))
    shown = json.loads(out)

    assert code == 0
    assert json.loads(shown["value"]) == {"note": "private-a"}
    assert shown["key"] == "private-a"
    assert ["ce_type", world.PAID] in shown["headers"]
    assert await operator.types("show", "4711") == (1, "", "there is no dead letter 4711\n")


async def test_a_redriven_letter_takes_effect_and_says_who_did_it(world: Any, operator: Operator) -> None:
    healthy = False

    async def paid(conn: Any, envelope: Envelope) -> None:
        if not healthy:
            raise PoisonMessage("unhealthy")
        await world.paid(conn, envelope)

    await world.publish(world.message(data={"note": "late"}))
    async with world.running(world.consumer({world.PAID: paid}), world.relay()):
        await eventually(lambda: _is(world.count("dead_letters"), 1))
        healthy = True
        (letter,) = await dead_letters.list_parked(world.pool)
        code, out, errors = await operator.types("redrive", str(letter.id))
        await eventually(lambda: _is(world.notes(), ["late"]))

    assert (code, out, errors) == (0, f"redrive: 1 done {letter.id}\n", "")
    settled = await dead_letters.read(world.pool, letter.id)
    assert settled is not None
    assert (settled.status, settled.settled_by) == ("redriven", "olga")
    assert await operator.types("list") == (0, "there are none\n", "")
    assert "redriven" in (await operator.types("list", "--status", "all"))[1]


async def test_what_is_not_parked_is_named_and_the_rest_is_done(world: Any, operator: Operator) -> None:
    first, second = await parked(world, "a", "b")
    await operator.types("discard", str(first), "--by", "otto")

    code, out, errors = await operator.types("redrive", str(first), str(second), "4711")
    answer = json.loads((await operator.types("redrive", "--json", str(second)))[1])

    assert code == 1
    assert out == f"redrive: 1 done {second}\n"
    assert errors == f"{first} is not parked\n4711 is not parked\n"
    assert answer == {"command": "redrive", "settled": [], "not_parked": [second], "too_large": []}
    kept = await dead_letters.read(world.pool, first)
    assert kept is not None
    assert (kept.status, kept.settled_by) == ("discarded", "otto")
    assert await world.count("outbox") == 3, "two copies for the dead-letter topic, and one sent again"


async def test_all_of_one_reason_are_redriven_in_one_go(world: Any, operator: Operator) -> None:
    many = [str(number) for number in range(SETTLED_AT_ONCE_MAX + 1)]
    wanted = await parked(world, *many, reason="unhealthy")
    (other,) = await parked(world, "other")

    code, out, _ = await operator.types("redrive", "--all", "--reason", "unhealthy", "--json")

    assert code == 0
    assert json.loads(out) == {"command": "redrive", "settled": wanted, "not_parked": [], "too_large": []}
    assert [letter.id for letter in await dead_letters.list_parked(world.pool)] == [other]
    assert (await operator.types("redrive", "--all"))[0] == 0
    assert await dead_letters.list_parked(world.pool) == []


async def test_one_that_is_too_large_to_be_sent_keeps_none_of_the_others_back(world: Any, operator: Operator) -> None:
    (first,) = await parked(world, "a")
    room = RECORD_MAX_BYTES - world.message(value=b"").size_bytes
    full = await park(world, world.message(value=b"x" * room), PoisonMessage("odd-amount"))
    (last,) = await parked(world, "b")

    code, out, errors = await operator.types("redrive", "--all")

    assert (code, out) == (1, f"redrive: 2 done {first} {last}\n")
    assert errors == f"{full} is too large to be sent again, and stays parked\n"
    assert [letter.id for letter in await dead_letters.list_parked(world.pool)] == [full]
    assert (await operator.types("redrive", str(full)))[0] == 1
    assert (await operator.types("discard", str(full)))[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["redrive"],
        ["redrive", "1", "--all"],
        ["redrive", "1", "--reason", "odd-amount"],
        ["redrive", "one"],
        ["redrive", "-1"],
        ["discard"],
        ["discard", "--all"],
        ["discard", "1", "--by", " "],
        ["list", "--limit", "0"],
        ["list", "--limit", "501"],
        ["list", "--status", "lost"],
        ["show"],
    ],
    ids=" ".join,
)
async def test_wrong_usage_is_2_and_changes_nothing(world: Any, operator: Operator, arguments: list[str]) -> None:
    (parked_id,) = await parked(world, "a")

    with pytest.raises(SystemExit) as refused:
        await operator.types(*arguments)

    assert refused.value.code == 2
    assert [letter.id for letter in await dead_letters.list_parked(world.pool)] == [parked_id]


async def test_a_database_without_the_table_is_one_line_without_secrets(
    operator: Operator, make_database: Any, monkeypatch: Any
) -> None:
    empty = make_database("empty")
    monkeypatch.setenv("DATABASE_URL", empty.app_dsn)

    with pytest.raises(SettingsError, match=r"^DATABASE_URL: .*\(UndefinedTableError\)$"):
        await operator.types("list")


async def _is(actual: Any, expected: Any) -> bool:
    return bool(await actual == expected)
