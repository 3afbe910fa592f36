"""A bank transfer from the payer's first click to what an operator says arrived."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from payments_api.application.gateways import Observation
from testkit.waiting_for import eventually

from .bank_story import ADMIN, ARRIVED, all_waiting, bank_credited, opened_bank
from .conftest import OpenShop, exact, running
from .payment_story import begun, initiate


@pytest.mark.asyncio
async def test_a_payer_is_told_where_to_transfer_to_and_waits(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        assert payment["payment_url"] == f"http://127.0.0.1:8000/payments/{payment['payment_id']}/bank"
        assert (payment["status"], payment["credits"]) == ("initiated", Decimal(1500))
        assert (payment["bank_name"], payment["account_number"]) == ("Bank of Tests", "DE02120300000000202051")
        assert (payment["account_name"], payment["swift_code"]) == ("Gridledger Ltd", "BYLADEM1001")
        assert payment["reference"] in payment["message"]
        assert payment["expires_at"] == "2026-05-08T00:00:00Z"


@pytest.mark.asyncio
async def test_it_is_offered_with_its_minimum_and_only_if_it_is_set_up(open_shop: OpenShop, shop: Any) -> None:
    async with opened_bank(open_shop) as bank:
        headers = await bank.shop.sign_in()
        offered = await bank.shop.get("/api/payments/gateways", headers)
        minimum = {"amount": "1000.00", "currency": "USD"}
        assert {"name": "bank", "demo": False, "currencies": ["USD"], "minimum": minimum} in offered["gateways"]
        answer = await initiate(bank.shop, headers, gateway="bank", amount="999.99")
        assert (answer.status_code, answer.json()["field"], answer.json()["code"]) == (422, "amount", "below_minimum")
    answer = await initiate(shop, await shop.sign_in(), gateway="bank", amount="1500")
    assert (answer.status_code, answer.json()["code"]) == (422, "gateway_not_configured")


@pytest.mark.asyncio
async def test_what_arrived_is_told_under_the_banks_own_reference(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        answer = await bank.confirm(payment, bank_reference="tx-1")
        assert answer.status_code == 200, answer.text
        assert exact(answer) == {
            "gateway_payment_id": "bt-TX-1",
            "payment_id": payment["payment_id"],
            "reference": payment["reference"],
            "amount": Decimal(1500),
            "currency": "USD",
            "bank_reference": "tx-1",
            "value_date": "2026-05-01",
            "already_known": False,
        }
        assert bank.told.told == [
            Observation(
                gateway="bank",
                name="bt-TX-1.confirmed",
                kind="confirmed",
                payment_id="bt-TX-1",
                at=datetime(2026, 5, 1, tzinfo=UTC),
                reference=payment["reference"],
                fields={"received": {"units": 150_000, "asset": "USD/2"}},
            )
        ]
        await bank.shop.deliver(bank_credited(payment, "bt-TX-1", 150_000))
        shown = await bank.shop.get(f"/api/payments/{payment['payment_id']}", await bank.shop.sign_in())
        assert (shown["status"], shown["credited"]) == ("confirmed", Decimal(1500))


@pytest.mark.asyncio
async def test_confirming_twice_changes_nothing_even_at_once(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        spelled = ("TX/1", "tx/1", " TX / 1 ", "TX/1")
        answers = await asyncio.gather(*(bank.confirm(payment, bank_reference=text) for text in spelled))
        assert [answer.status_code for answer in answers] == [200] * 4
        assert sorted(answer.json()["already_known"] for answer in answers) == [False, True, True, True]
        assert list(bank.told.units.values()) == [150_000]
        assert await bank.count("bank_receipts") == 1


@pytest.mark.asyncio
async def test_two_transfers_for_one_reference_are_two_pieces(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        assert (await bank.confirm(payment, bank_reference="TX-1", amount=400)).status_code == 200
        assert (await bank.confirm(payment, bank_reference="TX-2", amount="1100.01")).status_code == 200
        assert bank.told.units == {"bt-TX-1": 40_000, "bt-TX-2": 110_001}


@pytest.mark.parametrize("changed", [{"amount": "1500.01"}, {"currency": "EUR"}])
@pytest.mark.asyncio
async def test_one_transfer_does_not_count_twice(open_shop: OpenShop, changed: dict[str, Any]) -> None:
    async with opened_bank(open_shop) as bank:
        payment, other = await bank.begin(), await bank.begin(user_id="bob")
        assert (await bank.confirm(payment)).status_code == 200
        for answer in (await bank.confirm(payment, **changed), await bank.confirm(other)):
            assert (answer.status_code, answer.json()["code"]) == (409, "bank_reference_used")
            assert answer.json()["payment_id"] == payment["payment_id"]
        assert len(bank.told.told) == await bank.count("bank_receipts") == 1


@pytest.mark.asyncio
async def test_what_looks_confirmed_under_another_reference_must_be_meant(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        await bank.confirm(payment, bank_reference="typed by hand", value_date=None)
        again = {"bank_reference": "TX/1"}
        answer = await bank.confirm(payment, **again)
        assert (answer.status_code, answer.json()["code"]) == (409, "looks_confirmed_already")
        assert answer.json()["bank_reference"] == "typed by hand"
        assert await bank.count("bank_receipts") == 1, "nothing of it was kept"
        assert (await bank.confirm(payment, **again, is_another=True)).status_code == 200
        assert sum(bank.told.units.values()) == 300_000
        assert (await bank.confirm(payment, **again)).status_code == 200, "a repeat of what was meant is a repeat"


@pytest.mark.asyncio
async def test_two_operators_who_confirm_one_transfer_at_once_are_told_apart(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        asks = [partial(bank.confirm, payment, bank_reference=text) for text in ("typed by hand", "TX-1")]
        answers = await all_waiting(bank, payment, *asks)
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        assert sum(bank.told.units.values()) == 150_000


@pytest.mark.asyncio
async def test_equal_transfers_a_week_apart_do_not_look_alike(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        await bank.confirm(payment, bank_reference="TX-1", value_date="2026-04-20")
        assert (await bank.confirm(payment, bank_reference="TX-2", value_date="2026-04-26")).status_code == 200


@pytest.mark.asyncio
async def test_what_was_kept_is_told_although_gateway_ingest_was_away(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        receipts = bank.shop.parts.bank_receipts
        payment = await bank.begin()
        bank.told.is_away = True
        assert (await bank.confirm(payment)).status_code == 503
        assert bank.told.told == []
        assert await receipts.tell_untold(older_than_s=60) == 0, "whoever confirms is telling it just now"
        bank.told.is_away = False
        assert await receipts.tell_untold(older_than_s=0) == 1
        assert list(bank.told.units.values()) == [150_000]
        assert await receipts.tell_untold(older_than_s=0) == 0


@pytest.mark.asyncio
async def test_the_process_behind_outlives_an_outage(open_shop: OpenShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payments_api.application.bank_receipts.TELL_AGAIN_EVERY_S", 0.01)
    async with opened_bank(open_shop) as bank:
        bank.told.is_away = True
        assert (await bank.confirm(await bank.begin())).status_code == 503
        async with running(bank.shop.parts.bank_receipts.run):
            bank.told.is_away = False

            async def told() -> bool:
                return bool(bank.told.told)

            await eventually(told)


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
        ({"amount": 0}, "amount", "not_positive"),
        ({"amount": "1.005"}, "amount", "too_many_decimals"),
        ({"amount": "99999999999999"}, "amount", "too_large"),
        ({"currency": "XXX"}, "currency", "unknown_currency"),
        ({"bank_reference": "NOTPROVIDED"}, "bank_reference", "not_a_reference"),
        ({"value_date": "2026-05-03"}, "value_date", "in_the_future"),
        ({"credits": 5}, "credits", "extra_forbidden"),
    ],
)
@pytest.mark.asyncio
async def test_a_wrong_confirmation_changes_nothing(
    open_shop: OpenShop, changed: dict[str, Any], field: str, code: str
) -> None:
    async with opened_bank(open_shop) as bank:
        answer = await bank.confirm(await bank.begin(), **changed)
        assert (answer.status_code, answer.json()["field"], answer.json()["code"]) == (422, field, code)
        assert (bank.told.told, await bank.count("bank_receipts")) == ([], 0)


@pytest.mark.asyncio
async def test_only_bank_payments_are_confirmed_or_rejected_here(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        _, demo = await begun(bank.shop)
        for path, body in (("confirm", ARRIVED), ("reject", {"reason": "no"})):
            answer = await bank.post(f"/payments/{demo['payment_id']}/{path}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (409, "not_a_bank_transfer")
            answer = await bank.post(f"/payments/nothing/{path}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_payment")
        assert bank.told.told == []


@pytest.mark.asyncio
async def test_a_rejection_says_why(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        path = f"/payments/{payment['payment_id']}/reject"
        for _ in range(2):
            answer = await bank.post(path, json={"reason": "the account was closed"})
            assert (answer.status_code, answer.json()["reason"]) == (200, "the account was closed")
        (told,) = bank.told.told
        assert (told.kind, told.name, told.reference) == (
            "failed",
            f"{payment['payment_id']}.rejected",
            payment["reference"],
        )
        assert told.fields == {"reason_code": "rejected", "reason": "the account was closed", "is_over": True}


@pytest.mark.asyncio
async def test_what_was_paid_is_not_rejected_but_what_was_rejected_may_be_paid(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await bank.begin()
        path, body = f"/payments/{payment['payment_id']}/reject", {"reason": "no"}
        assert (await bank.post(path, json=body)).status_code == 200
        assert (await bank.confirm(payment)).status_code == 200, "money that comes all the same is taken"
        answer = await bank.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "money_has_come")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/payments/p/confirm"),
        ("POST", "/payments/p/reject"),
        ("POST", "/payments/p/returned"),
        ("POST", "/statements"),
        ("GET", "/statements/entries"),
        ("POST", "/statements/entries/a/accept"),
        ("POST", "/statements/entries/a/dismiss"),
    ],
)
@pytest.mark.asyncio
async def test_nobody_else_gets_in(open_shop: OpenShop, shop: Any, method: str, path: str) -> None:
    async with opened_bank(open_shop) as bank:
        person = await bank.shop.sign_in()
        for headers in ({}, person, {"authorization": "Bearer wrong"}):
            assert (await bank.shop.http.request(method, f"/api/admin{path}", headers=headers)).status_code == 401
    assert (await shop.http.request(method, f"/api/admin{path}", headers=ADMIN)).status_code == 401, "no token is set"
