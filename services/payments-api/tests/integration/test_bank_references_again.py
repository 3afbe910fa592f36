"""A bank uses its references again: nothing that comes under an old one is taken for what came before, nor lost."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from .bank_story import all_waiting_for, opened_bank, statement
from .conftest import OpenShop, exact

LONG_AGO, NOW = "2026-03-02", "2026-05-01"


async def imported(bank: Any, *rows: str) -> Any:
    answer = await bank.upload(statement(*rows))
    assert answer.status_code == 200, answer.text
    return exact(answer)["entries"]


async def accept(bank: Any, entry: Any, **body: Any) -> Any:
    return await bank.post(f"/statements/entries/{entry['id']}/accept", json=body)


async def states(bank: Any) -> dict[str, str]:
    return {entry["id"]: entry["state"] for entry in (await bank.entries())["entries"]}


@pytest.mark.asyncio
async def test_a_strangers_transfer_under_an_old_reference_is_credited_to_the_stranger(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        alices, bobs = await bank.begin(), await bank.begin(user_id="bob")
        assert (await bank.confirm(alices, bank_reference="N17", value_date=LONG_AGO)).status_code == 200
        (entry,) = await imported(bank, f"{NOW},1500.00,N17,{bobs['reference']}")
        assert (entry["state"], entry["proposal"]["payment_id"]) == ("open", bobs["payment_id"])
        answer = await accept(bank, entry)
        assert (answer.status_code, answer.json()["already_known"]) == (200, False), answer.text
        assert answer.json()["payment_id"] == bobs["payment_id"]
        assert [one.reference for one in bank.told.told] == [alices["reference"], bobs["reference"]]
        assert len({one.payment_id for one in bank.told.told}) == len(bank.told.units) == 2
        again = await accept(bank, entry, is_another=True)
        assert (again.status_code, again.json()["already_known"]) == (200, True), "an accepted line is one transfer"
        (known,) = await imported(bank, f"{NOW},1500.00,N17,{bobs['reference']}")
        assert (known["id"], known["state"], known["payment_id"]) == (entry["id"], "accepted", bobs["payment_id"])
        assert await bank.count("bank_receipts") == 2


@pytest.mark.asyncio
async def test_the_same_amount_for_the_same_payment_months_later_is_asked_about_and_not_lost(
    open_shop: OpenShop,
) -> None:
    """A day that was mistyped, or the same sum once more: only a person can tell."""
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        await bank.confirm(payment, bank_reference="N17", value_date=LONG_AGO)
        answer = await bank.confirm(payment, bank_reference="N17", value_date=NOW)
        assert (answer.status_code, answer.json()["code"]) == (409, "looks_confirmed_already")
        assert list(bank.told.units.values()) == [150_000]
        for is_repeat in (False, True):
            answer = await bank.confirm(payment, bank_reference="N17", value_date=NOW, is_another=True)
            assert (answer.status_code, answer.json()["already_known"]) == (200, is_repeat), answer.text
        assert sorted(bank.told.units.values()) == [150_000, 150_000]


@pytest.mark.asyncio
async def test_running_numbers_of_two_days_are_two_transfers(open_shop: OpenShop) -> None:
    """As files have them that count their lines: a day apart, the same round amount, another payer or the same."""
    async with opened_bank(open_shop) as bank:
        alices, bobs = await bank.begin(), await bank.begin(user_id="bob")
        first, second = await imported(bank, "2026-04-29,1500.00,1,x", f"2026-04-30,1500.00,1,{bobs['reference']}")
        assert (await accept(bank, first, payment_id=alices["payment_id"])).status_code == 200
        assert await states(bank) == {first["id"]: "accepted", second["id"]: "open"}
        answer = await accept(bank, second)
        assert (answer.status_code, answer.json()["code"]) == (409, "bank_reference_used")
        assert (await accept(bank, second, is_another=True)).json()["already_known"] is False
        (third,) = await imported(bank, "2026-05-01,1500.00,1,")
        assert third["state"] == "open", "no transfer is settled by lines of two days"
        answer = await accept(bank, third, payment_id=alices["payment_id"])
        assert (answer.status_code, answer.json()["code"]) == (409, "looks_confirmed_already")
        assert (await accept(bank, third, payment_id=alices["payment_id"], is_another=True)).status_code == 200
        assert set(await states(bank)) == {first["id"], second["id"], third["id"]}
        assert sorted(bank.told.units.values()) == [150_000] * 3


@pytest.mark.asyncio
async def test_lines_of_one_value_date_and_two_booking_dates_are_two_transfers(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        rows = [f"2026-04-{booked},2026-04-30,1500.00,USD,N17" for booked in (28, 29)]
        header = "Date,Value Date,Amount,Currency,Bank Reference"
        first, second = exact(await bank.upload("\n".join([header, *rows])))["entries"]
        assert (await accept(bank, second, payment_id=payment["payment_id"])).status_code == 200
        assert await states(bank) == {first["id"]: "open", second["id"]: "accepted"}


@pytest.mark.asyncio
async def test_a_line_that_names_another_payment_is_not_settled_by_its_number(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        alices, bobs = await bank.begin(), await bank.begin(user_id="bob")
        await bank.confirm(alices, bank_reference="N17", value_date="2026-04-30")
        (entry,) = await imported(bank, f"{NOW},1500.00,N17,for {bobs['reference']}")
        assert (entry["state"], entry["proposal"]["payment_id"]) == ("open", bobs["payment_id"])
        assert (await accept(bank, entry, is_another=True)).status_code == 200
        assert [one.reference for one in bank.told.told] == [alices["reference"], bobs["reference"]]
        (other,) = await imported(bank, f"{NOW},70.00,N18,for {bobs['reference']}")
        assert (await accept(bank, other, payment_id=alices["payment_id"])).status_code == 200
        assert (await states(bank))[other["id"]] == "accepted", "a person's word is enough"


@pytest.mark.asyncio
async def test_one_transfer_in_two_formats_and_by_hand_is_credited_once(open_shop: OpenShop) -> None:
    """The other format names the account, so that its line is another one; and a value date later than the booking."""
    async with opened_bank(open_shop) as bank:
        old, payment = await bank.begin(), await bank.begin(user_id="bob")
        await bank.confirm(old, bank_reference="N17", value_date=LONG_AGO)
        assert (await bank.confirm(payment, bank_reference="N17", value_date="2026-04-29")).status_code == 200
        (short,) = await imported(bank, "2026-04-30,1500.00,N17,hello")
        longer = "Date,Value Date,Amount,Currency,Bank Reference,IBAN\n2026-04-30,2026-05-01,1500,USD,N17,DE02\n"
        (full,) = exact(await bank.upload(longer))["entries"]
        assert short["id"] != full["id"]
        assert [(one["state"], one["payment_id"]) for one in (short, full)] == [
            ("accepted", payment["payment_id"]),
        ] * 2
        for entry in (short, full):
            assert (await accept(bank, entry, is_another=True)).json()["already_known"] is True
        assert sorted(bank.told.units.values()) == [150_000, 150_000]


@pytest.mark.asyncio
async def test_a_line_that_was_there_twice_is_settled_twice_and_credited_once(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        old, payment = await bank.begin(), await bank.begin(user_id="bob")
        await bank.confirm(old, bank_reference="N17", value_date=LONG_AGO)
        (short,) = await imported(bank, "2026-04-30,1500.00,N17,")
        longer = "Date,Amount,Currency,Bank Reference,IBAN\n2026-04-30,1500,USD,N17,DE02\n"
        (full,) = exact(await bank.upload(longer))["entries"]
        assert (await accept(bank, full, payment_id=payment["payment_id"])).status_code == 200
        assert await states(bank) == {short["id"]: "accepted", full["id"]: "accepted"}
        assert (await accept(bank, short)).json()["already_known"] is True
        assert len(bank.told.told) == 2


@pytest.mark.asyncio
async def test_two_amounts_under_one_reference_and_day_are_both_credited(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        one, other = await imported(bank, f"{NOW},1000,B-1,{payment['reference']}", f"{NOW},500,B-1,x")
        assert (await accept(bank, one)).status_code == 200
        body = {"payment_id": payment["payment_id"]}
        answer = await accept(bank, other, **body)
        assert (answer.status_code, answer.json()["code"]) == (409, "bank_reference_used")
        for is_repeat in (False, True):
            assert (await accept(bank, other, **body, is_another=True)).json()["already_known"] is is_repeat
        assert sorted(bank.told.units.values()) == [50_000, 100_000]


@pytest.mark.asyncio
async def test_two_operators_who_accept_a_line_at_once_credit_one_payment(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        old, alices, bobs = await bank.begin(), await bank.begin(), await bank.begin(user_id="bob")
        await bank.confirm(old, bank_reference="N17", value_date=LONG_AGO)
        (entry,) = await imported(bank, f"{NOW},1500.00,N17,")
        bodies = [{"payment_id": one["payment_id"], "is_another": True} for one in (alices, bobs)]
        asks = [partial(accept, bank, entry, **body) for body in bodies]
        answers = await all_waiting_for("SELECT FROM bank_entries FOR NO KEY UPDATE", (), bank, *asks)
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        assert len(bank.told.told) == 2


@pytest.mark.asyncio
async def test_two_operators_who_confirm_it_for_two_payments_at_once_credit_one(open_shop: OpenShop) -> None:
    """Their ids differ, since payments and days do; held back is what both need to store a receipt."""
    async with opened_bank(open_shop) as bank:
        old, alices, bobs = await bank.begin(), await bank.begin(), await bank.begin(user_id="bob")
        await bank.confirm(old, bank_reference="N17", value_date=LONG_AGO)
        asks = [
            partial(bank.confirm, payment, bank_reference="N17", value_date=day)
            for payment, day in ((alices, "2026-04-29"), (bobs, "2026-04-30"))
        ]
        answers = await all_waiting_for("SELECT FROM bank_receipts FOR UPDATE", (), bank, *asks)
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        assert len(bank.told.told) == 2


@pytest.mark.asyncio
async def test_without_a_day_a_used_reference_is_the_same_transfer(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        alices, bobs = await bank.begin(), await bank.begin(user_id="bob")
        await bank.confirm(alices, bank_reference="N17", value_date=LONG_AGO)
        undated = {"bank_reference": "N17", "value_date": None}
        assert (await bank.confirm(alices, **undated)).json()["already_known"] is True
        for more in ({}, {"is_another": True}):
            answer = await bank.confirm(bobs, **undated, **more)
            assert (answer.status_code, answer.json()["code"]) == (409, "bank_reference_used")
        assert (await bank.confirm(bobs, bank_reference="N17", value_date=NOW)).status_code == 200
        assert len(bank.told.told) == 2


@pytest.mark.asyncio
async def test_what_was_confirmed_without_a_day_is_asked_about(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        alices, bobs = await bank.begin(), await bank.begin(user_id="bob")
        await bank.confirm(alices, bank_reference="N17", value_date=None)
        await bank.shop.pool.execute("UPDATE bank_receipts SET created_at = $1::text::timestamptz", LONG_AGO)
        (entry,) = await imported(bank, f"{NOW},1500.00,N17,")
        assert entry["state"] == "open"
        for payment, code in ((alices, "looks_confirmed_already"), (bobs, "bank_reference_used")):
            answer = await accept(bank, entry, payment_id=payment["payment_id"])
            assert (answer.status_code, answer.json().get("code")) == (409, code), answer.text
        answer = await accept(bank, entry, payment_id=bobs["payment_id"], is_another=True)
        assert (answer.status_code, answer.json()["already_known"]) == (200, False)
        await bank.shop.pool.execute("UPDATE bank_receipts SET created_at = $1::text::timestamptz", NOW)
        (near,) = await imported(bank, "2026-04-28,1500.00,N17,")
        assert (near["state"], near["payment_id"]) == ("accepted", alices["payment_id"])


@pytest.mark.asyncio
async def test_an_old_line_of_another_amount_contradicts_nothing(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        await imported(bank, f"{LONG_AGO},77.00,N17,rent")
        answer = await bank.confirm(payment, bank_reference="N17", value_date=None)
        assert (answer.status_code, answer.json()["code"]) == (409, "statement_says_otherwise")
        assert (await bank.confirm(payment, bank_reference="N17", value_date=NOW)).status_code == 200


@pytest.mark.asyncio
async def test_what_came_under_a_used_reference_can_be_sent_back(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        path = f"/payments/{payment['payment_id']}/returned"
        sent = {"amount": 1500, "bank_reference": "OUT-1", "returned_reference": "N17", "reason": "x"}
        came = [
            await bank.confirm(payment, bank_reference="N17", value_date=day, is_another=day == NOW)
            for day in (LONG_AGO, NOW)
        ]
        answer = await bank.post(path, json=sent)
        assert (answer.status_code, answer.json()["code"]) == (409, "which_transfer")
        later = exact(came[1])["gateway_payment_id"]
        for is_repeat in (False, True):
            answer = await bank.post(path, json=sent | {"returned_reference": later})
            assert answer.status_code == 200, answer.text
            assert (answer.json()["gateway_payment_id"], answer.json()["already_known"]) == (later, is_repeat)
        answer = await bank.post(path, json=sent | {"returned_reference": "bt-N17"})
        assert (answer.status_code, answer.json()["code"]) == (409, "bank_reference_used")


@pytest.mark.asyncio
async def test_what_is_sent_back_is_the_payments_own_whoever_had_the_reference_first(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        alices, bobs = await bank.begin(), await bank.begin(user_id="bob")
        await bank.confirm(alices, bank_reference="N17", value_date=LONG_AGO)
        came = await bank.confirm(bobs, bank_reference="N17", value_date=NOW)
        sent = {"amount": 1500, "bank_reference": "OUT-1", "returned_reference": "N17", "reason": "x"}
        for is_repeat in (False, True):
            answer = await bank.post(f"/payments/{bobs['payment_id']}/returned", json=sent)
            assert answer.status_code == 200, answer.text
            assert answer.json()["gateway_payment_id"] == came.json()["gateway_payment_id"]
            assert answer.json()["already_known"] is is_repeat
