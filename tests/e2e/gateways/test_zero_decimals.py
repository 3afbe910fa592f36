"""A currency without decimals at Stripe: quoted, paid and partly sent back, each time as many yen as are meant."""

from __future__ import annotations

from typing import Any

import pytest

from testkit.waiting_for import eventually

from .test_stripe_contract import StripePlayer

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]
PATIENCE_S = 60.0


async def test_yen_become_credits_and_go_back_in_part(gateways_visitor: Any) -> None:
    person = gateways_visitor
    url = f"{person.stack.url('payments-api')}/api/payments"
    order = {"gateway": "stripe", "amount": "5000", "currency": "JPY"}
    begun = (await person.http.post(f"{url}/initiate", headers=person.signed_in, json=order)).json()
    assert (begun["amount"], begun["currency"], begun["credits"]) == (5000, "JPY", 32.5)
    await StripePlayer(person).pays(begun)
    await person.balance_becomes("32.50")

    async def is_confirmed() -> bool:
        return bool((await person.get(f"/api/payments/{begun['payment_id']}"))["status"] == "confirmed")

    await eventually(is_confirmed, PATIENCE_S)

    token = person.stack.environment["ADMIN_TOKEN"]
    admin = {"Authorization": f"Bearer {token}", "Idempotency-Key": begun["payment_id"]}
    path = f"{url}/{begun['payment_id']}/refunds"
    refused = await person.http.post(path, headers=admin, json={"amount": "0.5", "reason": "half a yen"})
    assert (refused.status_code, refused.json()["field"]) == (422, "amount")
    asked = await person.http.post(path, headers=admin, json={"amount": "2000", "reason": "part of it"})
    assert asked.status_code in {200, 201, 202}, asked.text
    await person.balance_becomes("19.50")

    async def is_proven() -> bool:
        balance = await person.ledger("/trial-balance")
        return bool((balance["balanced"], balance["wallets_off"]) == (True, []))

    await eventually(is_proven, PATIENCE_S)
