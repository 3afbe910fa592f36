"""Statements in the back office: imported once, proposed by reference and amount, accepted by a person."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from .bank_story import opened_bank, statement
from .conftest import OpenShop, exact


async def imported(bank: Any, *rows: str) -> Any:
    answer = await bank.upload(statement(*rows))
    assert answer.status_code == 200, answer.text
    return exact(answer)


@pytest.mark.asyncio
async def test_a_line_with_a_reference_is_proposed_and_accepted(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        reference = payment["reference"]
        text = f"Invoice {reference[:8].lower()} {reference[8:]} thanks"
        answer = await imported(bank, f"2026-05-01,1500.00,TX/1,{text}", "2026-05-01,-5.00,TX/2,fee")
        assert (answer["new"], answer["known"], answer["skipped"]) == (1, 0, 1)
        (entry,) = answer["entries"]
        assert (entry["amount"], entry["currency"], entry["state"]) == (Decimal(1500), "USD", "open")
        assert (entry["booked_on"], entry["bank_reference"], entry["remittance"]) == ("2026-05-01", "TX/1", text)
        assert entry["proposal"] == {
            "payment_id": payment["payment_id"],
            "confidence": "high",
            "reason": "reference_and_amount",
        }
        assert bank.told.told == [], "nothing is credited without a person"
        path = f"/statements/entries/{entry['id']}/accept"
        first, second = await bank.post(path, json={}), await bank.post(path, json={})
        assert (first.status_code, second.status_code) == (200, 200), first.text + second.text
        assert (first.json()["already_known"], second.json()["already_known"]) == (False, True)
        assert list(bank.told.units.values()) == [150_000]
        (accepted,) = (await bank.entries(state="accepted"))["entries"]
        assert (accepted["id"], accepted["payment_id"], accepted["proposal"]) == (
            entry["id"],
            payment["payment_id"],
            None,
        )
        assert (await bank.entries(state="open"))["entries"] == []


@pytest.mark.asyncio
async def test_the_same_statement_again_changes_nothing(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        rows = [f"2026-05-01,1500.00,,{payment['reference']}", "2026-05-01,7.00,,x", "2026-05-01,7.00,,x"]
        first = await imported(bank, *rows)
        assert (first["new"], first["known"]) == (3, 0), "two equal lines are two transfers"
        await bank.post(f"/statements/entries/{first['entries'][0]['id']}/accept", json={})
        second = await imported(bank, *rows)
        assert (second["new"], second["known"]) == (0, 3)
        assert [entry["state"] for entry in second["entries"]] == ["accepted", "open", "open"]
        assert await bank.count("bank_entries") == 3
        longer = await imported(bank, *rows, "2026-05-02,8.00,,y")
        assert (longer["new"], longer["known"]) == (1, 3)


@pytest.mark.asyncio
async def test_a_transfer_confirmed_by_hand_is_settled_when_its_statement_comes(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        await bank.confirm(payment, bank_reference="tx/1")
        (entry,) = (await imported(bank, "2026-05-01,1500.00,TX/1,hello"))["entries"]
        assert (entry["state"], entry["payment_id"]) == ("accepted", payment["payment_id"])


@pytest.mark.asyncio
async def test_a_transfer_confirmed_by_hand_settles_the_line_that_was_there(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        (entry,) = (await imported(bank, "2026-05-01,1400.00,TX/1,hello"))["entries"]
        answer = await bank.confirm(payment, bank_reference="TX/1")
        assert (answer.status_code, answer.json()["code"]) == (409, "statement_says_otherwise")
        assert (bank.told.told, await bank.count("bank_receipts")) == ([], 0)
        assert (await bank.confirm(payment, bank_reference="TX/1", amount=1400)).status_code == 200
        (shown,) = (await bank.entries())["entries"]
        assert (shown["id"], shown["state"]) == (entry["id"], "accepted")


@pytest.mark.asyncio
async def test_a_line_that_looks_confirmed_by_hand_must_be_meant(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        await bank.confirm(payment, bank_reference="phone call", value_date="2026-05-01")
        (entry,) = (await imported(bank, f"2026-05-01,1500.00,TX/1,{payment['reference']}"))["entries"]
        path = f"/statements/entries/{entry['id']}/accept"
        answer = await bank.post(path, json={})
        assert (answer.status_code, answer.json()["code"]) == (409, "looks_confirmed_already")
        assert (await bank.post(path, json={"is_another": True})).status_code == 200
        assert sum(bank.told.units.values()) == 300_000


@pytest.mark.asyncio
async def test_less_is_accepted_as_what_it_is(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        rows = [f"2026-05-01,400,TX-1,{payment['reference']}", f"2026-05-01,1100,TX-2,{payment['reference']}"]
        entries = (await imported(bank, *rows))["entries"]
        assert [entry["proposal"]["reason"] for entry in entries] == ["reference_amount_less"] * 2
        await bank.post(f"/statements/entries/{entries[0]['id']}/accept", json={})
        (left,) = (await bank.entries(state="open"))["entries"]
        assert left["proposal"]["reason"] == "reference_and_amount", "what has come is not due any more"
        await bank.post(f"/statements/entries/{left['id']}/accept", json={})
        assert bank.told.units == {"bt-TX-1": 40_000, "bt-TX-2": 110_000}


@pytest.mark.asyncio
async def test_an_amount_alone_is_proposed_and_must_be_named(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin("1234.56")
        (entry,) = (await imported(bank, "2026-05-01,1234.56,TX-1,thanks"))["entries"]
        assert entry["proposal"] == {
            "payment_id": payment["payment_id"],
            "confidence": "low",
            "reason": "amount_only",
        }
        path = f"/statements/entries/{entry['id']}/accept"
        answer = await bank.post(path, json={})
        assert (answer.status_code, answer.json()["code"]) == (409, "name_the_payment")
        assert (await bank.post(path, json={"payment_id": payment["payment_id"]})).status_code == 200
        assert bank.told.units == {"bt-TX-1": 123_456}


@pytest.mark.asyncio
async def test_a_line_of_nobody_is_dismissed_and_can_be_taken_back(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        (entry,) = (await imported(bank, "2026-05-01,77.00,TX-1,rent"))["entries"]
        assert entry["proposal"] is None
        path = f"/statements/entries/{entry['id']}"
        answer = await bank.post(f"{path}/accept", json={})
        assert (answer.status_code, answer.json()["code"]) == (409, "no_proposal")
        for _ in range(2):
            answer = await bank.post(f"{path}/dismiss", json={"reason": "not ours"})
            assert (answer.status_code, answer.json()["state"], answer.json()["note"]) == (200, "dismissed", "not ours")
        assert (await bank.post(f"{path}/accept", json={"payment_id": payment["payment_id"]})).status_code == 200
        answer = await bank.post(f"{path}/dismiss", json={"reason": "not ours"})
        assert (answer.status_code, answer.json()["code"]) == (409, "already_accepted")


@pytest.mark.asyncio
async def test_an_accepted_line_is_not_for_another_payment(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment, other = await bank.begin(), await bank.begin(user_id="bob")
        (entry,) = (await imported(bank, f"2026-05-01,1500,TX-1,{payment['reference']}"))["entries"]
        path = f"/statements/entries/{entry['id']}/accept"
        await bank.post(path, json={})
        answer = await bank.post(path, json={"payment_id": other["payment_id"]})
        assert (answer.status_code, answer.json()["code"]) == (409, "bank_reference_used")
        assert len(bank.told.told) == 1


@pytest.mark.asyncio
async def test_lines_come_in_pages_newest_first(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        await imported(bank, *(f"2026-05-0{day},1.0{number},,x" for day in (1, 2) for number in (1, 2)))
        page = await bank.entries(limit=3)
        last = await bank.entries(limit=3, cursor=page["next_cursor"])
        shown = page["entries"] + last["entries"]
        assert [entry["booked_on"][-2:] for entry in shown] == ["02", "02", "01", "01"]
        assert len({entry["id"] for entry in shown}) == 4
        assert last["next_cursor"] is None


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        ("", "empty", None),
        (statement("2026-05-01,1.00,,x", "2026-05-01,oops,,x"), "bad_amount", 3),
        ("<Document/>", "not_camt053", 1),
        ('<!DOCTYPE a [<!ENTITY b "c">]><Document/>', "forbidden_xml", 1),
        ("hello", "no_header", None),
    ],
)
@pytest.mark.asyncio
async def test_a_file_with_one_bad_row_leaves_nothing(
    open_shop: OpenShop, content: str, code: str, line: int | None
) -> None:
    async with opened_bank(open_shop) as bank:
        answer = await bank.upload(content)
        assert (answer.status_code, answer.json()["code"], answer.json().get("line")) == (422, code, line)
        assert await bank.count("bank_entries") == 0


@pytest.mark.asyncio
async def test_a_file_has_a_limit(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        assert (await bank.upload("x" * (256 * 1024 + 1))).status_code == 413


@pytest.mark.asyncio
async def test_what_is_not_there(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        for path, body in (("accept", {}), ("dismiss", {"reason": "x"})):
            answer = await bank.post(f"/statements/entries/abc/{path}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_entry")
        answer = await bank.shop.http.get(
            "/api/admin/statements/entries",
            params={"cursor": "x"},
            headers={"authorization": "Bearer an-admin-token-of-tests"},
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_cursor")
