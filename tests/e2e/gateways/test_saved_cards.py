"""Saved cards on the whole running stack: saved at Stripe's simulator, charged while nobody is there, and declined."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from testkit.waiting_for import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]
PATIENCE_S = 60.0
PAYS, DECLINED_LATER, ASKS_ALWAYS = "4242424242424242", "4000000000000341", "4000002760003184"


class CardOwner:
    """Somebody with cards that Stripe keeps."""

    def __init__(self, person: Any) -> None:
        self.person = person

    async def post(self, path: str, **body: Any) -> httpx.Response:
        url = f"{self.person.stack.url('payments-api')}/api/{path}"
        headers = {**self.person.signed_in, "Idempotency-Key": secrets.token_hex(8)}
        answer: httpx.Response = await self.person.http.post(url, json=body, headers=headers)
        return answer

    async def simulate(self, path: str, card: str) -> Any:
        url = f"{self.person.stack.url('demo-gateway')}/stripe/simulate/{path}"
        answer = await self.person.http.post(url, json={"card": card})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def save(self, card: str) -> str:
        begun = await self.post("payment-methods")
        assert begun.status_code == 200, begun.text
        saved = await self.simulate(f"setup_intents/{begun.json()['setup_intent_id']}", card)
        return str(saved["payment_method"])

    async def pay(self, card_id: str) -> httpx.Response:
        return await self.post("payments/initiate", gateway="stripe", amount="25", payment_method_id=card_id)

    async def becomes(self, payment_id: str, status: str) -> dict[str, Any]:
        async def reached() -> dict[str, Any]:
            shown: dict[str, Any] = await self.person.get(f"/api/payments/{payment_id}")
            assert shown["status"] == status, shown["status"]
            return shown

        return await eventually(reached, PATIENCE_S)


@pytest_asyncio.fixture
async def owner(gateways_visitor: Any) -> AsyncIterator[CardOwner]:
    """The trial balance is zero after each test."""
    yield CardOwner(gateways_visitor)

    async def is_proven() -> bool:
        balance = await gateways_visitor.ledger("/trial-balance")
        assert (balance["balanced"], balance["wallets_off"]) == (True, [])
        return True

    await eventually(is_proven, PATIENCE_S)


async def test_a_saved_card_pays_while_nobody_is_there(owner: CardOwner) -> None:
    card_id = await owner.save(PAYS)
    (shown,) = (await owner.person.get("/api/payment-methods"))["payment_methods"]
    assert (shown["id"], shown["last4"]) == (card_id, "4242")
    answers = [await owner.pay(card_id), await owner.pay(card_id)]
    assert [answer.status_code for answer in answers] == [200, 200]
    for answer in answers:
        await owner.becomes(answer.json()["payment_id"], "confirmed")
    await owner.person.balance_becomes("50.00")


async def test_a_declined_card_changes_nothing(owner: CardOwner) -> None:
    refused = await owner.pay(await owner.save(DECLINED_LATER))
    assert (refused.status_code, refused.json()["decline_code"]) == (402, "generic_decline")
    failed = await owner.becomes(refused.json()["payment_id"], "failed")
    assert failed["failure_reason"] == "Your card was declined."
    assert await owner.person.balance() == "0.00"


async def test_who_must_be_asked_pays_the_same_payment_afterwards(owner: CardOwner) -> None:
    refused = await owner.pay(await owner.save(ASKS_ALWAYS))
    assert (refused.status_code, refused.json()["error_code"]) == (402, "authentication_required")
    failed = await owner.becomes(refused.json()["payment_id"], "failed")
    assert failed["history"][-1]["detail"]["reason_code"] == "authentication_required"
    assert failed["client_secret"].startswith(failed["gateway_payment_id"])
    assert await owner.person.balance() == "0.00"
    # What the page behind the link of the mail does with the secret.
    await owner.simulate(f"payments/{failed['gateway_payment_id']}", ASKS_ALWAYS)
    await owner.becomes(failed["payment_id"], "confirmed")
    await owner.person.balance_becomes("25.00")
