"""Bank transfer: its bank says nothing by itself, so an operator plays its part in the back office."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest

from .contract import GatewayContract, NotOfThisGateway, payment_units

pytestmark = pytest.mark.e2e


class BankPlayer:
    """See contract.Player."""

    name = "bank"
    request: Mapping[str, Any] = {"amount": "25", "currency": "USD"}

    def __init__(self, person: Any) -> None:
        self._person = person
        self._url = person.stack.url("payments-api") + "/api/admin"
        self._operator = {"authorization": f"Bearer {person.stack.environment['ADMIN_TOKEN']}"}
        self._last: tuple[str, Mapping[str, Any], Mapping[str, str]] = ("", {}, {})

    async def pays(self, payment: Mapping[str, Any]) -> None:
        """By a statement, as most transfers are found: their text holds the reference, in pieces and in small."""
        reference = payment["reference"].lower()
        row = f"2026-01-02,{payment['price']},USD,TX {secrets.token_hex(8)},Invoice {reference[:7]} {reference[7:]} thx"
        statement = f"Date,Amount,Currency,Bank Reference,Description\n{row}\n"
        answer = await self._person.http.post(
            f"{self._url}/statements", content=statement.encode(), headers=self._operator
        )
        assert answer.status_code == 200, answer.text
        (entry,) = answer.json()["entries"]
        assert (entry["proposal"]["payment_id"], entry["proposal"]["confidence"]) == (payment["payment_id"], "high")
        accepted = await self._send(f"/statements/entries/{entry['id']}/accept", {})
        assert accepted.status_code == 200, accepted.text

    async def pays_in_silence(self, payment: Mapping[str, Any]) -> None:
        raise NotOfThisGateway("a bank sends no webhooks, and is not asked")

    async def tells(self, payment: Mapping[str, Any] | None, units: int, currency: str | None = None) -> httpx.Response:
        if payment is None:
            raise NotOfThisGateway("an operator confirms payments that are there; the rest stays a statement's line")
        return await self._confirm(payment, units, currency or "USD", self._operator)

    async def tells_again(self) -> httpx.Response:
        return await self._send(*self._last)

    async def forges(self, payment: Mapping[str, Any]) -> httpx.Response:
        return await self._confirm(payment, payment_units(payment), "USD", self._person.signed_in)

    async def tells_of_failure(self, payment: Mapping[str, Any]) -> None:
        answer = await self._send(f"/payments/{payment['payment_id']}/reject", {"reason": "the account was closed"})
        # Once money has come an operator is told so, and nothing is rejected.
        assert answer.status_code == 200 or answer.json()["code"] == "money_has_come", answer.text

    async def goes_away(self) -> None:
        raise NotOfThisGateway("a bank is not asked when a payment begins")

    async def comes_back(self) -> None: ...

    async def sends_back(self, payment: Mapping[str, Any], amount: str) -> None:
        """At the bank; the operator records it."""
        body = {"amount": amount, "bank_reference": f"OUT-{secrets.token_hex(8)}", "reason": "asked for"}
        answer = await self._send(f"/payments/{payment['payment_id']}/returned", body)
        assert answer.status_code == 200, answer.text

    async def _confirm(
        self, payment: Mapping[str, Any], units: int, currency: str, headers: Mapping[str, str]
    ) -> httpx.Response:
        amount = str(Decimal(units).scaleb(-2))
        body = {"amount": amount, "currency": currency, "bank_reference": f"TX-{secrets.token_hex(8)}"}
        return await self._send(f"/payments/{payment['payment_id']}/confirm", body, headers)

    async def _send(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        shown = self._operator if headers is None else headers
        self._last = path, body, shown
        answer: httpx.Response = await self._person.http.post(self._url + path, json=body, headers=shown)
        return answer


class TestBank(GatewayContract):
    """The contract."""

    @pytest.fixture
    def gateway(self, person: Any) -> BankPlayer:
        return BankPlayer(person)

    @pytest.mark.asyncio
    async def test_a_transfer_confirmed_twice_and_one_more_add_up(self, person: Any, gateway: BankPlayer) -> None:
        payment = await self.begin(person, gateway)
        assert (await gateway.tells(payment, 1_000)).status_code == 200
        again = await gateway.tells_again()
        assert (again.status_code, again.json()["already_known"]) == (200, True)
        await self.becomes(person, payment, "underpaid")
        assert (await gateway.tells(payment, 1_500)).status_code == 200
        shown = await self.becomes(person, payment, "confirmed")
        assert (str(shown["received"]), str(shown["credited"])) == ("25.00", "25.00")
        await person.balance_becomes("25.00")

    @pytest.mark.asyncio
    async def test_what_was_sent_back_takes_its_credits_back(self, person: Any, gateway: BankPlayer) -> None:
        payment = await self.begin(person, gateway)
        await gateway.pays(payment)
        await self.becomes(person, payment, "confirmed")
        await gateway.sends_back(payment, "10")
        await self.becomes(person, payment, "partially_refunded")
        await person.balance_becomes("15.00")
        assert (await gateway.tells_again()).json()["already_known"] is True
        await gateway.sends_back(payment, "15")
        await self.becomes(person, payment, "refunded")
        await person.balance_becomes("0.00")
