"""The simulated Stripe's saved cards over HTTP: what is kept, for whom, and what becomes of charging it off-session."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request

from chassis.clock import ManualClock
from chassis.ids import SequenceIds
from embedded.gateway_simulators.stripe.app import create_stripe_simulator
from embedded.gateway_simulators.stripe.webhooks import PATH, Webhooks

pytestmark = pytest.mark.asyncio
KEY = {"authorization": "Bearer sk_test_x"}
OFF_SESSION = {"off_session": "true", "return_url": "https://shop.example/payments/p-1"}
PAYS, DECLINED, DECLINED_LATER = "4242424242424242", "4000000000000002", "4000000000000341"
ASKS_ONCE, ASKS_ALWAYS = "4000002500003155", "4000002760003184"


class Stripe:
    """The simulator, and the types of the events that it told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        ear = FastAPI()

        @ear.post(PATH)
        async def hear(request: Request) -> None:
            self.told.append(json.loads(await request.body())["type"])

        clock = ManualClock()
        self.webhooks = Webhooks("http://ear", b"whsec_x", clock, transport=httpx.ASGITransport(ear))
        app = create_stripe_simulator(self.webhooks, clock, SequenceIds(), "http://stripe.local")
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://stripe", headers=KEY)

    async def post(self, path: str, status: int = 200, /, headers: Any = None, **form: str) -> Any:
        answer = await self.http.post(f"/v1/{path}", data=form, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, status: int = 200) -> Any:
        answer = await self.http.get(f"/v1/{path}")
        assert answer.status_code == status, answer.text
        return answer.json()

    async def save(self, customer: str, card: str, status: int = 200) -> Any:
        """The form, after a person filled it in with that card."""
        setup = await self.post("setup_intents", customer=customer, usage="off_session")
        answer = await self.http.post(f"/simulate/setup_intents/{setup['id']}", json={"card": card})
        assert answer.status_code == status, answer.text
        await self.webhooks.drained()
        return answer.json()

    async def intent(self, customer: str, method: str, status: int = 200) -> Any:
        form = {"amount": "2500", "currency": "usd", "customer": customer, "payment_method": method}
        return await self.post("payment_intents", status, **form)

    async def charges(self) -> list[str]:
        return [charge["status"] for charge in (await self.get("charges"))["data"]]


@pytest_asyncio.fixture
async def stripe() -> AsyncIterator[Stripe]:
    simulated = Stripe()
    async with simulated.http:
        yield simulated
    await simulated.webhooks.close()


async def customer_of(stripe: Stripe) -> str:
    made = await stripe.post("customers", **{"metadata[user_id]": "alice"})
    assert made["metadata"] == {"user_id": "alice"}
    return str(made["id"])


async def test_a_card_is_saved_for_its_customer_and_nobody_else(stripe: Stripe) -> None:
    alice, bob = await customer_of(stripe), await customer_of(stripe)
    setup = await stripe.save(alice, PAYS)
    assert (setup["status"], stripe.told) == ("succeeded", ["payment_method.attached", "setup_intent.succeeded"])
    (method,) = (await stripe.get(f"customers/{alice}/payment_methods"))["data"]
    assert (method["id"], method["card"]["last4"], method["customer"]) == (setup["payment_method"], "4242", alice)
    assert "4242424242424242" not in json.dumps(method)
    assert (await stripe.get(f"customers/{bob}/payment_methods"))["data"] == []
    assert (await stripe.get(f"customers/{alice}/payment_methods/{method['id']}"))["id"] == method["id"]
    refused = await stripe.get(f"customers/{bob}/payment_methods/{method['id']}", 404)
    assert refused["error"]["code"] == "resource_missing"
    assert (await stripe.intent(bob, method["id"], 400))["error"]["param"] == "payment_method"


async def test_what_is_declined_is_not_saved(stripe: Stripe) -> None:
    alice = await customer_of(stripe)
    error = (await stripe.save(alice, DECLINED, 402))["error"]
    assert (error["code"], error["decline_code"]) == ("card_declined", "generic_decline")
    assert stripe.told == ["setup_intent.setup_failed"]
    assert (await stripe.get(f"customers/{alice}/payment_methods"))["data"] == []


@pytest.mark.parametrize("card", [PAYS, ASKS_ONCE])
async def test_a_saved_card_is_charged_once_it_is_confirmed(stripe: Stripe, card: str) -> None:
    alice = await customer_of(stripe)
    method = (await stripe.save(alice, card))["payment_method"]
    intent = await stripe.intent(alice, method)
    assert (intent["status"], await stripe.charges()) == ("requires_confirmation", [])
    paid = await stripe.post(f"payment_intents/{intent['id']}/confirm", **OFF_SESSION)
    assert (paid["status"], paid["amount_received"], await stripe.charges()) == ("succeeded", 2500, ["succeeded"])
    again = await stripe.post(f"payment_intents/{intent['id']}/confirm", 400, **OFF_SESSION)
    assert again["error"]["code"] == "payment_intent_unexpected_state"
    assert await stripe.charges() == ["succeeded"]


@pytest.mark.parametrize(
    ("card", "code"), [(DECLINED_LATER, "card_declined"), (ASKS_ALWAYS, "authentication_required")]
)
async def test_a_refusal_is_remembered_under_its_key(stripe: Stripe, card: str, code: str) -> None:
    alice = await customer_of(stripe)
    intent = await stripe.intent(alice, (await stripe.save(alice, card))["payment_method"])
    stripe.told.clear()
    path, key = f"payment_intents/{intent['id']}/confirm", {"idempotency-key": "confirm:p-1"}
    refused = await stripe.post(path, 402, headers=key, **OFF_SESSION)
    assert refused["error"]["code"] == code
    assert await stripe.post(path, 402, headers=key, **OFF_SESSION) == refused
    await stripe.webhooks.drained()
    assert (await stripe.charges(), stripe.told) == (["failed"], ["payment_intent.payment_failed"])
    stands = await stripe.get(f"payment_intents/{intent['id']}")
    assert (stands["status"], stands["last_payment_error"]["code"]) == ("requires_payment_method", code)


async def test_who_is_asked_for_can_pay_what_was_declined_without_them(stripe: Stripe) -> None:
    alice = await customer_of(stripe)
    intent = await stripe.intent(alice, (await stripe.save(alice, ASKS_ALWAYS))["payment_method"])
    await stripe.post(f"payment_intents/{intent['id']}/confirm", 402, **OFF_SESSION)
    paid = await stripe.http.post(f"/simulate/payments/{intent['id']}", json={"card": ASKS_ALWAYS})
    assert paid.json()["status"] == "succeeded"


async def test_an_intent_is_not_confirmed_without_a_way_back(stripe: Stripe) -> None:
    alice = await customer_of(stripe)
    intent = await stripe.intent(alice, (await stripe.save(alice, PAYS))["payment_method"])
    refused = await stripe.post(f"payment_intents/{intent['id']}/confirm", 400, off_session="true")
    assert (refused["error"]["param"], await stripe.charges()) == ("return_url", [])


async def test_what_is_detached_can_no_longer_be_charged(stripe: Stripe) -> None:
    alice = await customer_of(stripe)
    method = (await stripe.save(alice, PAYS))["payment_method"]
    intent = await stripe.intent(alice, method)
    assert (await stripe.post(f"payment_methods/{method}/detach"))["customer"] is None
    await stripe.post(f"payment_methods/{method}/detach", 400)
    assert (await stripe.get(f"customers/{alice}/payment_methods"))["data"] == []
    await stripe.post(f"payment_intents/{intent['id']}/confirm", 400, **OFF_SESSION)
    await stripe.intent(alice, method, 400)
    assert await stripe.charges() == []


async def test_a_deleted_customer_is_nobody(stripe: Stripe) -> None:
    alice = await customer_of(stripe)
    method = (await stripe.save(alice, PAYS))["payment_method"]
    assert (await stripe.http.delete(f"/v1/customers/{alice}")).json()["deleted"] is True
    refused = await stripe.post("setup_intents", 400, customer=alice)
    assert (refused["error"]["code"], refused["error"]["param"]) == ("resource_missing", "customer")
    await stripe.intent(alice, method, 400)
