"""The demo's bank: what a person says on its page, the back office is told, and nobody without an address of ours."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio

from chassis.ids import SequenceIds
from embedded.gateway_simulators.bank import BackOffice, create_demo_bank

pytestmark = pytest.mark.asyncio
SECRET = b"demo-secret"
PAYMENT = {"payment_id": "p1", "reference": "GL123", "amount": "100050", "asset": "USD/2"}
SIGNATURE = "f4010418583f88b0bb2d6a45701b346a343ae7fc16bb6482087aea28d4370152"
"""As payments-api signs it: its own tests hold the same."""
PAGE = {"accept": "text/html"}


def address(**changed: str) -> str:
    return f"/pay?{urlencode(PAYMENT | {'signature': SIGNATURE} | changed)}"


class Bank:
    """The bank, and an office that notes what it is told and answers with ``answers`` in turn, then 200."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response | Exception] = []
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.office = BackOffice("http://office", "operator", transport=httpx.MockTransport(self._hear))
        app = create_demo_bank(SECRET, self.office, SequenceIds())
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bank")

    def _hear(self, request: httpx.Request) -> httpx.Response:
        self.told.append((request.headers["authorization"], request.url.path, json.loads(request.content)))
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, json={"already_known": False})
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest_asyncio.fixture
async def bank() -> AsyncIterator[Bank]:
    made = Bank()
    async with made.http:
        yield made
    await made.office.close()


async def test_the_page_shows_what_is_due(bank: Bank) -> None:
    page = await bank.http.get(address(), headers=PAGE)
    assert page.status_code == 200
    assert "1000.50 USD" in page.text
    assert "GL123" in page.text
    assert "No money is taken" in page.text


async def test_a_transfer_is_confirmed_as_an_operator_confirms_it(bank: Bank) -> None:
    answer = await bank.http.post(address(), data={"outcome": "arrived"})
    assert (answer.status_code, answer.json()) == (200, {"already_known": False})
    ((token, path, body),) = bank.told
    assert (token, path) == ("Bearer operator", "/api/admin/payments/p1/confirm")
    assert re.fullmatch(r"DEMO-[0-9A-F]{32}", body.pop("bank_reference"))
    assert body == {"amount": "1000.50", "currency": "USD"}


async def test_each_transfer_is_another_and_may_be_of_another_amount(bank: Bank) -> None:
    for arrived in ("400", "600.50"):
        page = await bank.http.post(address(), data={"outcome": "arrived", "arrived": arrived}, headers=PAGE)
        assert "Transfer confirmed" in page.text
    assert [body["amount"] for _, _, body in bank.told] == ["400", "600.50"]
    assert len({body["bank_reference"] for _, _, body in bank.told}) == 2


async def test_a_payment_can_be_rejected(bank: Bank) -> None:
    page = await bank.http.post(address(), data={"outcome": "rejected"}, headers=PAGE)
    assert "Payment rejected" in page.text
    assert bank.told == [
        ("Bearer operator", "/api/admin/payments/p1/reject", {"reason": "Rejected at the demo's bank"})
    ]


async def test_what_the_office_refuses_is_said_in_its_words(bank: Bank) -> None:
    refusal = {"code": "looks_confirmed_already", "title": "<This> looks like one that came"}
    bank.answers = [httpx.Response(409, json=refusal), httpx.Response(409, json=refusal)]
    answer = await bank.http.post(address(), data={"outcome": "arrived"})
    assert (answer.status_code, answer.json()) == (409, refusal)
    page = await bank.http.post(address(), data={"outcome": "arrived"}, headers=PAGE)
    assert page.status_code == 409
    assert "looks_confirmed_already" in page.text
    assert "<This>" not in page.text


async def test_an_office_that_is_away_is_said_to_be(bank: Bank) -> None:
    bank.answers = [httpx.ConnectError("nobody")]
    answer = await bank.http.post(address(), data={"outcome": "arrived"})
    assert answer.status_code == 503


@pytest.mark.parametrize("changed", [{"amount": "1"}, {"payment_id": "p2"}, {"asset": "EUR/2"}, {"signature": "0"}])
async def test_an_address_that_is_not_ours_is_refused(bank: Bank, changed: dict[str, str]) -> None:
    assert (await bank.http.get(address(**changed), headers=PAGE)).status_code == 403
    assert (await bank.http.post(address(**changed), data={"outcome": "arrived"}, headers=PAGE)).status_code == 403
    assert (await bank.http.post(address(**changed), data={"outcome": "arrived"})).json()["code"] == "bad_signature"
    assert bank.told == []


async def test_a_form_changes_nothing_that_is_signed(bank: Bank) -> None:
    await bank.http.post(address(), data={"outcome": "arrived", "payment_id": "p2", "amount": "1", "asset": "EUR/2"})
    ((_, path, body),) = bank.told
    assert (path, body["amount"], body["currency"]) == ("/api/admin/payments/p1/confirm", "1000.50", "USD")


async def test_any_other_outcome_is_refused(bank: Bank) -> None:
    answer = await bank.http.post(address(), data={"outcome": "wished"})
    assert (answer.status_code, answer.json()["field"]) == (422, "outcome")
    assert bank.told == []
