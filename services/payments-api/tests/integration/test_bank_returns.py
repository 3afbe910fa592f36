"""What was sent back at the bank: recorded once, never more than came, told as a refund."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from payments_api.application.gateways import Observation

from .bank_story import ARRIVED, all_waiting, opened_bank
from .conftest import OpenShop, exact
from .payment_story import begun

BACK = {"amount": "500", "bank_reference": "OUT/1", "reason": "too much"}


async def paid(bank: Any) -> Any:
    payment = await bank.begin()
    answer = await bank.confirm(payment, bank_reference="TX-1")
    assert answer.status_code == 200, answer.text
    return payment


async def send_back(bank: Any, payment: Any, **changed: Any) -> Any:
    return await bank.post(f"/payments/{payment['payment_id']}/returned", json=BACK | changed)


@pytest.mark.asyncio
async def test_what_went_back_is_told_once_as_a_refund_of_what_came(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await paid(bank)
        spelled = ("OUT-1", "out-1", " OUT-1")
        answers = await asyncio.gather(*(send_back(bank, payment, bank_reference=text) for text in spelled))
        assert [answer.status_code for answer in answers] == [200] * 3
        assert sorted(answer.json()["already_known"] for answer in answers) == [False, True, True]
        shown = exact(answers[0])
        assert (shown["refund_id"], shown["gateway_payment_id"], shown["amount"]) == (
            "bt-OUT-1",
            "bt-TX-1",
            Decimal(500),
        )
        assert bank.told.told[1:] == [
            Observation(
                gateway="bank",
                name="bt-TX-1.refund.bt-OUT-1.succeeded",
                kind="refund",
                payment_id="bt-TX-1",
                fields={
                    "refund_id": "bt-OUT-1",
                    "amount": {"units": 50_000, "asset": "USD/2"},
                    "state": "succeeded",
                    "reason": "too much",
                },
            )
        ]


@pytest.mark.asyncio
async def test_never_more_goes_back_than_came_even_at_once(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await paid(bank)
        asks = [partial(send_back, bank, payment, bank_reference=f"OUT-{number}") for number in range(5)]
        answers = await all_waiting(bank, payment, *asks)
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 2
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"more_than_came"}
        assert await bank.shop.pool.fetchval("SELECT sum(units) FROM bank_returns") == 150_000
        assert len(bank.told.told) == 4


@pytest.mark.asyncio
async def test_of_several_transfers_the_returned_one_is_named(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await paid(bank)
        await bank.confirm(payment, bank_reference="TX-2", amount=700)
        answer = await send_back(bank, payment)
        assert (answer.status_code, answer.json()["code"]) == (409, "which_transfer")
        answer = await send_back(bank, payment, returned_reference="tx-2")
        assert (answer.status_code, answer.json()["gateway_payment_id"]) == (200, "bt-TX-2")
        answer = await send_back(bank, payment, returned_reference="TX-1")
        assert (answer.status_code, answer.json()["code"]) == (409, "bank_reference_used")
        answer = await send_back(bank, payment, returned_reference="TX-9", bank_reference="OUT-2")
        assert (answer.status_code, answer.json()["code"]) == (409, "nothing_came")


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"amount": "1500.01"}, 409, "more_than_came"),
        ({"currency": "EUR"}, 409, "more_than_came"),
        ({"amount": 0}, 422, "not_positive"),
        ({"bank_reference": "NONREF"}, 422, "not_a_reference"),
    ],
)
@pytest.mark.asyncio
async def test_what_cannot_have_gone_back_is_refused(
    open_shop: OpenShop, changed: dict[str, Any], status: int, code: str
) -> None:
    async with opened_bank(open_shop) as bank:
        answer = await send_back(bank, await paid(bank), **changed)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert (len(bank.told.told), await bank.count("bank_returns")) == (1, 0)


@pytest.mark.asyncio
async def test_only_what_came_by_bank_goes_back_there(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        _, demo = await begun(bank.shop)
        for payment, status, code in (
            (demo, 409, "not_a_bank_transfer"),
            ({"payment_id": "nothing"}, 404, "unknown_payment"),
            (await bank.begin(), 409, "nothing_came"),
        ):
            answer = await send_back(bank, payment)
            assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.asyncio
async def test_one_transfer_back_is_for_one_payment(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment, other = await paid(bank), await bank.begin(user_id="bob")
        assert (await bank.confirm(other, **ARRIVED | {"bank_reference": "TX-2"})).status_code == 200
        answers = await asyncio.gather(send_back(bank, payment), send_back(bank, other))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        assert await bank.count("bank_returns") == 1


@pytest.mark.asyncio
async def test_it_is_told_although_gateway_ingest_was_away(open_shop: OpenShop) -> None:
    async with opened_bank(open_shop) as bank:
        payment = await paid(bank)
        bank.told.is_away = True
        assert (await send_back(bank, payment)).status_code == 503
        bank.told.is_away = False
        assert await bank.shop.parts.bank_returns.tell_untold(older_than_s=0) == 1
        assert [one.kind for one in bank.told.told] == ["confirmed", "refund"]
        assert await bank.shop.parts.bank_returns.tell_untold(older_than_s=0) == 0
