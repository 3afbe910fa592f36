"""The simulated Stripe over HTTP, with somebody who hears its webhooks."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request
from starlette.responses import Response

from chassis.clock import ManualClock
from chassis.ids import SequenceIds
from embedded.gateway_simulators.stripe.app import create_stripe_simulator
from embedded.gateway_simulators.stripe.webhooks import PATH, Webhooks

pytestmark = pytest.mark.asyncio
SECRET = b"whsec_simulated"
KEY = {"authorization": "Bearer sk_test_x"}
NOW_S = int(ManualClock().now().timestamp())
INTENT = {"amount": "2500", "currency": "usd", "metadata[reference]": "REF1"}
SESSION = {
    "mode": "payment",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][unit_amount]": "2500",
    "client_reference_id": "REF1",
    "payment_intent_data[metadata][reference]": "REF1",
    "success_url": "https://shop.example/credits/success?session_id={CHECKOUT_SESSION_ID}",
    "cancel_url": "https://shop.example/credits",
}


class Stripe:
    """The simulator, and the shop's ear: it answers with ``statuses`` in turn, then 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.heard: list[tuple[str, bytes]] = []
        ear = FastAPI()

        @ear.post(PATH)
        async def hear(request: Request) -> Response:
            self.heard.append((request.headers["stripe-signature"], await request.body()))
            return Response(status_code=self.statuses.pop(0) if self.statuses else 200)

        clock = ManualClock()
        transport = httpx.ASGITransport(ear)
        self.webhooks = Webhooks("http://ear", SECRET, clock, attempts=3, pause_s=0.001, transport=transport)
        app = create_stripe_simulator(self.webhooks, clock, SequenceIds(), "http://stripe.local/stripe/")
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://stripe")

    async def call(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Any:
        answer = await self.http.post(f"/v1/{path}", data=form or {}, headers=KEY | headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, path: str) -> Any:
        answer = await self.http.get(f"/v1/{path}", headers=KEY)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def simulate(self, path: str, expected: int = 200, /, **body: Any) -> Any:
        answer = await self.http.post(f"/simulate/{path}", json=body)
        assert answer.status_code == expected, answer.text
        await self.webhooks.drained()
        return answer.json()

    async def paid(self, **body: Any) -> Any:
        """An intent that was paid."""
        intent = await self.call("payment_intents", INTENT)
        return await self.simulate(f"payments/{intent['id']}", **body)

    @property
    def events(self) -> list[Any]:
        return [json.loads(body) for _, body in self.heard]

    @property
    def told(self) -> list[str]:
        return [event["type"] for event in self.events]


@pytest_asyncio.fixture
async def stripe() -> AsyncIterator[Stripe]:
    simulated = Stripe()
    async with simulated.http:
        yield simulated
    await simulated.webhooks.close()


async def test_a_person_pays_a_session_on_its_page(stripe: Stripe) -> None:
    session = await stripe.call("checkout/sessions", SESSION)
    assert (session["payment_intent"], session["payment_status"], session["status"]) == (None, "unpaid", "open")
    assert session["url"] == f"http://stripe.local/stripe/pay/{session['id']}"
    page = await stripe.http.get(f"/pay/{session['id']}")
    assert (page.status_code, "25.00 USD" in page.text) == (200, True)
    done = await stripe.http.post(f"/pay/{session['id']}", data={"action": "pay", "card": "4242424242424242"})
    assert f"success?session_id={session['id']}" in done.text
    assert stripe.told == ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]
    paid = stripe.events[-1]["data"]["object"]
    assert (paid["payment_status"], paid["amount_total"], paid["client_reference_id"]) == ("paid", 2500, "REF1")
    assert not [name for name in paid if name.startswith("_")]
    assert (await stripe.http.get(f"/pay/{session['id']}")).status_code == 404
    query = "expand[0]=payment_intent.latest_charge.balance_transaction&expand[1]=payment_intent"
    whole = await stripe.get(f"checkout/sessions/{session['id']}?{query}")
    intent = whole["payment_intent"]
    assert (intent["status"], intent["amount_received"], intent["metadata"]) == (
        "succeeded",
        2500,
        {"reference": "REF1"},
    )
    settled = intent["latest_charge"]["balance_transaction"]
    assert (settled["fee"], settled["net"]) == (103, 2397)


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("4000 0000 0000 0002", "card_declined", "generic_decline"),
        ("4000000000009995", "card_declined", "insufficient_funds"),
        ("4000000000000069", "expired_card", None),
        ("4000000000000077", "expired_card", None),
        ("4000000000000127", "incorrect_cvc", None),
        ("1234", "incorrect_number", None),
    ],
)
async def test_the_test_cards_decline(stripe: Stripe, card: str, code: str, decline_code: str | None) -> None:
    session = await stripe.call("checkout/sessions", SESSION)
    page = await stripe.http.post(f"/pay/{session['id']}", data={"action": "pay", "card": card})
    assert page.status_code == 402
    assert stripe.told == ["payment_intent.payment_failed"]
    error = stripe.events[0]["data"]["object"]["last_payment_error"]
    assert (error["code"], error["decline_code"]) == (code, decline_code)
    assert error["message"].replace("'", "&#x27;") in page.text
    again = await stripe.http.post(f"/pay/{session['id']}", data={"card": "4242424242424242"})
    assert (again.status_code, stripe.told[-1]) == (200, "checkout.session.completed")


async def test_webhooks_are_signed_over_time_and_body(stripe: Stripe) -> None:
    await stripe.paid()
    for signature, body in stripe.heard:
        expected = hmac.digest(SECRET, b"%d." % NOW_S + body, "sha256").hex()
        assert signature == f"t={NOW_S},v1={expected}"
    assert len(stripe.heard) == 2


async def test_a_repeat_under_the_same_key_is_answered_alike(stripe: Stripe) -> None:
    first = await stripe.call("payment_intents", INTENT, **{"idempotency-key": "k"})
    answer = await stripe.http.post("/v1/payment_intents", data=INTENT, headers=KEY | {"idempotency-key": "k"})
    assert (answer.json(), answer.headers["idempotent-replayed"]) == (first, "true")
    assert len((await stripe.get("payment_intents"))["data"]) == 1
    other = INTENT | {"amount": "2600"}
    refused = await stripe.http.post("/v1/payment_intents", data=other, headers=KEY | {"idempotency-key": "k"})
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "idempotency_error")


async def test_refunds_in_parts_and_no_more_than_was_paid(stripe: Stripe) -> None:
    intent = await stripe.paid()
    first = await stripe.call("refunds", {"payment_intent": intent["id"], "amount": "1000", "metadata[refund_id]": "r"})
    assert (first["status"], first["metadata"]) == ("succeeded", {"refund_id": "r"})
    too_much = {"payment_intent": intent["id"], "amount": "1501"}
    refused = await stripe.http.post("/v1/refunds", data=too_much, headers=KEY)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "amount")
    rest = await stripe.call("refunds", {"payment_intent": intent["id"]})
    assert rest["amount"] == 1500
    refused = await stripe.http.post("/v1/refunds", data={"payment_intent": intent["id"]}, headers=KEY)
    assert refused.json()["error"]["code"] == "charge_already_refunded"
    await stripe.webhooks.drained()
    totals = [event["data"]["object"].get("amount_refunded") for event in stripe.events]
    assert totals[2:] == [None, 1000, None, 2500]
    listed = await stripe.get(f"refunds?payment_intent={intent['id']}")
    assert [each["id"] for each in listed["data"]] == [rest["id"], first["id"]]


async def test_a_refund_fails_late(stripe: Stripe) -> None:
    intent = await stripe.paid()
    refund = await stripe.call("refunds", {"payment_intent": intent["id"], "amount": "1000"})
    await stripe.simulate(f"refunds/{refund['id']}", state="failed", reason="lost_or_stolen_card")
    assert stripe.told[-1] == "refund.failed"
    assert stripe.events[-1]["data"]["object"]["failure_reason"] == "lost_or_stolen_card"
    charge = await stripe.get(f"charges/{intent['latest_charge']}")
    assert (charge["amount_refunded"], charge["refunded"]) == (0, False)
    await stripe.simulate(f"refunds/{refund['id']}", 400, state="failed")


async def test_a_pending_refund_comes_through(stripe: Stripe) -> None:
    intent = await stripe.paid(card="4000000000007726")
    refund = await stripe.call("refunds", {"payment_intent": intent["id"]})
    assert refund["status"] == "pending"
    assert (await stripe.simulate(f"refunds/{refund['id']}", state="succeeded"))["status"] == "succeeded"
    assert stripe.told[-1] == "refund.updated"


@pytest.mark.parametrize(
    ("end", "told", "fees"), [("won", "charge.dispute.funds_reinstated", [1500, 0]), ("lost", "", [1500])]
)
async def test_a_dispute(stripe: Stripe, end: str, told: str, fees: list[int]) -> None:
    intent = await stripe.paid()
    dispute = await stripe.simulate(f"payments/{intent['id']}/disputes", amount=2000, reason="product_not_received")
    assert (dispute["status"], dispute["amount"]) == ("needs_response", 2000)
    closed = await stripe.simulate(f"disputes/{dispute['id']}", status=end)
    assert [each["fee"] for each in closed["balance_transactions"]] == fees
    opened = ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    assert stripe.told[2:] == [*opened, *([told] if told else []), "charge.dispute.closed"]
    await stripe.simulate(f"disputes/{dispute['id']}", 400, status="lost")


async def test_an_inquiry_takes_no_money(stripe: Stripe) -> None:
    intent = await stripe.paid()
    inquiry = await stripe.simulate(f"payments/{intent['id']}/disputes", inquiry=True)
    assert (inquiry["status"], inquiry["balance_transactions"]) == ("warning_needs_response", [])
    await stripe.simulate(f"disputes/{inquiry['id']}", 400, status="lost")
    await stripe.simulate(f"disputes/{inquiry['id']}", status="warning_closed")
    assert stripe.told[2:] == ["charge.dispute.created", "charge.dispute.closed"]


async def test_a_slow_method_pays_or_does_not(stripe: Stripe) -> None:
    for action, last in (("settle", "async_payment_succeeded"), ("fail", "async_payment_failed")):
        session = await stripe.call("checkout/sessions", SESSION)
        await stripe.http.post(f"/pay/{session['id']}", data={"action": "later"})
        assert stripe.told[-2:] == ["payment_intent.processing", "checkout.session.completed"]
        assert stripe.events[-1]["data"]["object"]["payment_status"] == "unpaid"
        await stripe.simulate(f"payments/{session['id']}", action=action)
        assert stripe.told[-1] == f"checkout.session.{last}"


async def test_webhooks_held_back_come_reversed_and_doubled(stripe: Stripe) -> None:
    await stripe.simulate("webhooks", mode="hold", copies=2)
    await stripe.paid()
    assert stripe.told == []
    assert (await stripe.simulate("webhooks/release", reversed=True))["sent"] == 2
    assert stripe.told == ["payment_intent.succeeded"] * 2 + ["charge.succeeded"] * 2
    assert len({event["id"] for event in stripe.events}) == 2


async def test_a_lost_webhook_stays_listed_and_can_be_sent_again(stripe: Stripe) -> None:
    await stripe.simulate("webhooks", mode="lose")
    await stripe.paid()
    assert stripe.told == []
    lost = await stripe.get("events?delivery_success=false&types[]=payment_intent.succeeded")
    (event,) = lost["data"]
    await stripe.simulate(f"events/{event['id']}/resend")
    assert [each["id"] for each in stripe.events] == [event["id"]]
    assert (await stripe.get("events?delivery_success=true"))["data"] == [event]


async def test_it_sends_again_and_not_for_ever(stripe: Stripe) -> None:
    stripe.statuses = [503, 500]
    await stripe.paid()
    assert stripe.told == ["charge.succeeded"] * 3 + ["payment_intent.succeeded"]
    stripe.statuses = [503] * 6
    await stripe.paid()
    assert len(stripe.heard) == 10
    assert len((await stripe.get("events?delivery_success=false"))["data"]) == 2


async def test_silence_is_503_for_so_many_calls(stripe: Stripe) -> None:
    await stripe.simulate("silence", calls=2)
    statuses = [(await stripe.http.get("/v1/charges", headers=KEY)).status_code for _ in range(3)]
    assert statuses == [503, 503, 200]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"amount": "49"}, "amount"),
        ({"amount": "100000000"}, "amount"),
        ({"amount": "25.00"}, "amount"),
        ({"currency": "us"}, "currency"),
        ({"metadata[reference]": "x" * 501}, "metadata[reference]"),
    ],
)
async def test_what_stripe_refuses(stripe: Stripe, changes: dict[str, str], param: str) -> None:
    refused = await stripe.http.post("/v1/payment_intents", data=INTENT | changes, headers=KEY)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_a_session_lives_from_half_an_hour_to_a_day(stripe: Stripe) -> None:
    for seconds, status in ((1799, 400), (1800, 200), (86_400, 200), (86_401, 400)):
        form = SESSION | {"expires_at": str(NOW_S + seconds)}
        assert (await stripe.http.post("/v1/checkout/sessions", data=form, headers=KEY)).status_code == status


async def test_only_test_keys_are_taken(stripe: Stripe) -> None:
    for headers in ({}, {"authorization": "Bearer sk_live_x"}, {"authorization": "Bearer pk_test_x"}):
        assert (await stripe.http.get("/v1/charges", headers=headers)).status_code == 401


async def test_what_stands_in_a_session_cannot_script_its_page(stripe: Stripe) -> None:
    form = SESSION | {"metadata[reference]": "<script>alert(1)</script>", "cancel_url": "javascript:alert(1)"}
    session = await stripe.call("checkout/sessions", form)
    page = await stripe.http.get(f"/pay/{session['id']}")
    assert ("<script" in page.text, "default-src 'none'" in page.headers["content-security-policy"]) == (False, True)
    left = await stripe.http.post(f"/pay/{session['id']}", data={"action": "cancel"})
    assert (left.status_code, "javascript" in left.text) == (200, False)
