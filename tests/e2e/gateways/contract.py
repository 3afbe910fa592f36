"""What every gateway must hold, whatever it is: one suite, run by one module per gateway on the whole running stack.

A module derives a class from ``GatewayContract`` and gives it a ``gateway``: who plays the gateway's part, as truly as
it can be had here. What a gateway does not have (a webhook, an amount that the payer chooses) its player says; that
test is skipped by that name.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any, Protocol

import httpx
import pytest
import pytest_asyncio

from testkit.waiting_for import eventually

PATIENCE_S = 60.0


class NotOfThisGateway(Exception):
    """The gateway has no such thing; the text says why."""


class Player(Protocol):
    """Plays the gateway. Amounts are in the smallest unit of what it takes."""

    name: str
    request: Mapping[str, Any]
    """What is asked of ``initiate`` beside the gateway; worth 25 credits."""

    async def pays(self, payment: Mapping[str, Any]) -> None:
        """The payer pays what is asked for; the gateway tells it in its own way."""
        ...

    async def pays_in_silence(self, payment: Mapping[str, Any]) -> None:
        """As ``pays``, but its webhook never comes."""
        ...

    async def tells(self, payment: Mapping[str, Any] | None, units: int, currency: str | None = None) -> httpx.Response:
        """A genuine piece of news that ``units`` (of another currency) came, for a payment or for a reference of ours
        that nobody knows."""
        ...

    async def tells_again(self) -> httpx.Response:
        """The last news once more, byte for byte."""
        ...

    async def forges(self, payment: Mapping[str, Any]) -> httpx.Response:
        """News that somebody else made up."""
        ...

    async def tells_of_failure(self, payment: Mapping[str, Any]) -> None:
        """An attempt failed."""
        ...

    async def goes_away(self) -> None:
        """Its API answers nothing sensible until the test's end."""
        ...

    async def comes_back(self) -> None: ...


class GatewayContract:
    """The suite. ``person`` is somebody new, signed in; the trial balance is zero after every test."""

    @pytest_asyncio.fixture
    async def person(self, gateways_visitor: Any) -> AsyncIterator[Any]:
        yield gateways_visitor

        async def is_proven() -> bool:
            # While news still come, the journal may be behind: the wallets are then not compared at all.
            balance = await gateways_visitor.ledger("/trial-balance")
            assert (balance["balanced"], balance["wallets_off"]) == (True, [])
            return True

        await eventually(is_proven, PATIENCE_S)

    async def begin(self, person: Any, gateway: Player, **more: Any) -> dict[str, Any]:
        """A payment worth 25 credits."""
        answer = await self.ask(person, gateway, **more)
        assert answer.status_code == 200, answer.text
        begun: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
        assert begun["status"] == "initiated"
        return begun

    async def ask(self, person: Any, gateway: Player, **more: Any) -> httpx.Response:
        body = {"gateway": gateway.name, **gateway.request, **more}
        url = f"{person.stack.url('payments-api')}/api/payments/initiate"
        answer: httpx.Response = await person.http.post(url, json=body, headers=person.signed_in)
        return answer

    async def becomes(self, person: Any, payment: Mapping[str, Any], *statuses: str) -> dict[str, Any]:
        async def reached() -> dict[str, Any]:
            shown: dict[str, Any] = await person.get(f"/api/payments/{payment['payment_id']}")
            assert shown["status"] in statuses, shown["status"]
            return shown

        return await eventually(reached, PATIENCE_S)

    @pytest.mark.asyncio
    async def test_what_is_paid_is_credited(self, person: Any, gateway: Player) -> None:
        payment = await self.begin(person, gateway)
        await gateway.pays(payment)
        shown = await self.becomes(person, payment, "confirmed")
        assert str(shown["credited"]) == "25.00"
        await person.balance_becomes("25.00")

    @pytest.mark.asyncio
    async def test_what_somebody_made_up_is_refused(self, person: Any, gateway: Player) -> None:
        payment = await self.begin(person, gateway)
        with skipping():
            forged = await gateway.forges(payment)
            assert forged.status_code in (400, 401), forged.text
        assert await person.balance() == "0.00"

    @pytest.mark.asyncio
    async def test_a_repeat_changes_nothing(self, person: Any, gateway: Player) -> None:
        payment = await self.begin(person, gateway)
        with skipping():
            assert (await gateway.tells(payment, payment_units(payment))).status_code == 200
        await person.balance_becomes("25.00")
        assert (await gateway.tells_again()).status_code == 200
        again = await self.begin(person, gateway)
        await gateway.tells(again, payment_units(again))
        await person.balance_becomes("50.00")

    @pytest.mark.asyncio
    async def test_a_failure_told_after_the_money_is_old_news(self, person: Any, gateway: Player) -> None:
        payment = await self.begin(person, gateway)
        with skipping():
            await gateway.tells_of_failure(payment)
        await self.becomes(person, payment, "failed")
        await gateway.tells(payment, payment_units(payment))
        await self.becomes(person, payment, "confirmed")
        with skipping():
            await gateway.tells_of_failure(payment)
        other = await self.begin(person, gateway)
        await gateway.tells(other, payment_units(other))
        await self.becomes(person, other, "confirmed")
        assert (await self.becomes(person, payment, "confirmed"))["failure_reason"] is None

    @pytest.mark.asyncio
    async def test_money_without_a_known_reference_waits_on_the_books(self, person: Any, gateway: Player) -> None:
        before = await unallocated(person, gateway.name)
        with skipping():
            assert (await gateway.tells(None, 1234)).status_code == 200

        async def is_listed() -> bool:
            return len(await unallocated(person, gateway.name)) == len(before) + 1

        await eventually(is_listed, PATIENCE_S)

    @pytest.mark.asyncio
    async def test_too_little_and_too_much_are_credited_as_what_they_are(self, person: Any, gateway: Player) -> None:
        less = await self.begin(person, gateway)
        with skipping():
            assert (await gateway.tells(less, payment_units(less) * 4 // 5)).status_code == 200
        await self.becomes(person, less, "underpaid")
        await person.balance_becomes("20.00")
        more = await self.begin(person, gateway)
        # Rounded up, so that a sixth of it is worth five dollars, and not a fraction of a cent less.
        await gateway.tells(more, -(-payment_units(more) * 6 // 5))
        await self.becomes(person, more, "overpaid")
        await person.balance_becomes("50.00")

    @pytest.mark.asyncio
    async def test_another_currency_is_never_taken_for_ours(self, person: Any, gateway: Player) -> None:
        payment = await self.begin(person, gateway)
        before = await unallocated(person, gateway.name)
        with skipping():
            assert (await gateway.tells(payment, payment_units(payment), "EUR")).status_code == 200

        async def is_listed() -> bool:
            return len(await unallocated(person, gateway.name)) == len(before) + 1

        await eventually(is_listed, PATIENCE_S)
        assert await person.balance() == "0.00"

    @pytest.mark.asyncio
    async def test_a_gateway_that_is_away_is_said_to_be_and_nothing_is_begun(
        self, person: Any, gateway: Player
    ) -> None:
        with skipping():
            await gateway.goes_away()
        try:
            answer = await self.ask(person, gateway)
        finally:
            await gateway.comes_back()
        assert (answer.status_code, answer.json()["code"]) == (502, "gateway_unreachable"), answer.text
        assert (await person.get("/api/payments"))["payments"] == []
        await self.begin(person, gateway)

    @pytest.mark.asyncio
    async def test_a_webhook_that_never_came_is_found_by_asking(self, person: Any, gateway: Player) -> None:
        payment = await self.begin(person, gateway)
        with skipping():
            await gateway.pays_in_silence(payment)
        await self.becomes(person, payment, "confirmed")
        await person.balance_becomes("25.00")


class skipping:  # noqa: N801 - reads as a sentence
    """Skips the test, by its reason, where the gateway has no such thing."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, NotOfThisGateway):
            pytest.skip(str(error))


def payment_units(payment: Mapping[str, Any]) -> int:
    """What the gateway takes, in its smallest unit: the price as it is shown says how many decimals there are."""
    price = Decimal(payment["price"])
    return int(price.scaleb(-int(price.as_tuple().exponent)))


async def unallocated(person: Any, gateway: str) -> list[Any]:
    """Money of that gateway that belongs to nobody."""
    rows: list[Any] = []
    cursor = ""
    while True:
        page = await person.ledger(f"/unallocated?limit=200&cursor={cursor}")
        rows += [row for row in page["unallocated"] if row["gateway"] == gateway]
        if page["next_cursor"] is None:
            return rows
        cursor = page["next_cursor"]
