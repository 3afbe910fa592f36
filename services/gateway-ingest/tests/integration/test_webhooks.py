"""Every answer that a gateway can get, and what is stored and to be published afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from contracts.references import make_reference


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"gridledger_ingest_{name}_total", labels) or 0.0


@pytest.mark.asyncio
async def test_a_payment_is_kept_and_to_be_published(open_gateway: Any) -> None:
    reference = make_reference(7)
    metadata = {"user_id": "alice", "reference": reference.lower()}
    async with open_gateway() as gateway:
        answer = await gateway.post(gateway.event(metadata=metadata))
        assert (answer.status_code, answer.json()) == (200, {"success": True, "received": True})
        assert await gateway.kept() == [("evt_1", "published", None)]
        assert await gateway.outgoing() == [
            {
                "gateway": "stripe",
                "gateway_payment_id": "pi_1",
                "received": {"asset": "USD/2", "amount": "25.00"},
                "paid_at": "2026-01-01T00:00:00Z",
                "reference": reference,
                "user_id": "alice",
                "metadata": metadata,
                "worth": None,
            }
        ]
        row = (await gateway.rows("SELECT topic, key FROM outbox"))[0]
        assert (row["topic"], row["key"]) == ("payments", b"stripe:pi_1")


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/api/webhooks/stripe", "/api/credits/webhook", "/stripe/webhook"])
async def test_all_of_the_seeds_paths_hear_stripe(open_gateway: Any, path: str) -> None:
    async with open_gateway() as gateway:
        answer = await gateway.post(gateway.event(), path=path)
        assert (answer.status_code, answer.json()) == (200, {"success": True, "received": True})
        assert len(await gateway.outgoing()) == 1


@pytest.mark.asyncio
async def test_every_handled_type_has_its_message(open_gateway: Any) -> None:
    checkout = "checkout.session.completed"
    async with open_gateway() as gateway:
        for event in (
            gateway.event(1, "payment_intent.payment_failed", last_payment_error={"code": "card_declined"}),
            gateway.event(
                2, "checkout.session.completed", payment_intent="pi_9", payment_status="paid", amount_total=100
            ),
            gateway.event(3, "charge.refunded", payment_intent="pi_9", amount_refunded=40),
            gateway.event(4, checkout, payment_intent="pi_8", payment_status="unpaid"),
            gateway.event(5, "customer.created"),
        ):
            assert (await gateway.post(event)).status_code == 200
        failed, paid, refunded = await gateway.outgoing()
        assert (failed["gateway_payment_id"], failed["reason_code"]) == ("pi_1", "card_declined")
        assert (paid["gateway_payment_id"], paid["received"]["amount"]) == ("pi_9", "1.00")
        assert (refunded["gateway_payment_id"], refunded["refunded_total"]["amount"]) == ("pi_9", "0.40")
        assert (await gateway.kept())[3:] == [
            ("evt_4", "ignored", "checkout_unpaid"),
            ("evt_5", "ignored", "type_not_handled"),
        ]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("how", "counter"),
    [
        ({"secret": "whsec_other"}, "signature_wrong"),
        ({"age_s": 301}, "signature_stale"),
        ({"age_s": -301}, "signature_stale"),
        ({"signature": ""}, "signature_missing"),
        ({"signature": "t=1,v2=00"}, "signature_malformed"),
    ],
)
async def test_a_webhook_that_is_not_proven_is_400_and_leaves_nothing(
    open_gateway: Any, how: dict[str, Any], counter: str
) -> None:
    before = counted("refused", gateway="stripe", reason=counter)
    async with open_gateway() as gateway:
        answer = await gateway.post(gateway.event(), **how)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "invalid_signature"
        assert "x-request-id" in answer.headers
        assert await gateway.kept() == []
    assert counted("refused", gateway="stripe", reason=counter) == before + 1


@pytest.mark.asyncio
async def test_all_secrets_are_alive_while_one_is_rolled(open_gateway: Any) -> None:
    async with open_gateway(stripe_webhook_secret="whsec_new, whsec_old") as gateway:
        assert (await gateway.post(gateway.event(1), secret="whsec_old")).status_code == 200
        assert (await gateway.post(gateway.event(2), secret="whsec_new")).status_code == 200
        assert (await gateway.post(gateway.event(3), secret="whsec_x")).status_code == 400


@pytest.mark.asyncio
@pytest.mark.parametrize("secret", [None, "", " , "])
async def test_without_a_secret_nothing_is_heard(open_gateway: Any, secret: str | None) -> None:
    async with open_gateway(stripe_webhook_secret=secret) as gateway:
        answer = await gateway.post(gateway.event(), secret="")
        assert (answer.status_code, answer.json()["code"]) == (503, "gateway_not_configured")
        assert await gateway.kept() == []


@pytest.mark.asyncio
async def test_a_body_may_have_256_kib_and_no_more(open_gateway: Any) -> None:
    async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    async with open_gateway() as gateway:
        event = json.dumps(gateway.event()).encode()
        largest = event + b" " * (256 * 1024 - len(event))
        assert (await gateway.post(largest)).status_code == 200
        assert (await gateway.post(largest + b" ")).status_code == 413
        streamed = await gateway.http.post("/api/webhooks/stripe", content=in_pieces(largest + b" "))
        assert (streamed.status_code, streamed.json()["code"]) == (413, "body_too_large")
        assert len(await gateway.kept()) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"id": NaN}', b'"\\ud800"', b"[" * 200_000, b'{"a":1}x', b"\x00"]
)
async def test_malformed_json_is_400_counted_and_not_kept(open_gateway: Any, body: bytes) -> None:
    before = counted("refused", gateway="stripe", reason="malformed_json")
    async with open_gateway() as gateway:
        answer = await gateway.post(body)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")
        assert await gateway.kept() == []
    assert counted("refused", gateway="stripe", reason="malformed_json") == before + 1


@pytest.mark.asyncio
async def test_what_is_signed_but_odd_is_kept_answered_200_and_listed(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        odd = [
            (gateway.event(1, amount_received=-2500), "amount_not_positive"),
            (gateway.event(2, currency="xyz"), "unknown_currency"),
            (gateway.event(3, amount_received="2500"), "bad_amount"),
            (gateway.event(4, id="pi_\u0000"), "bad_payment_id"),
            (gateway.event(5) | {"type": "x\u0000y"}, "bad_event_type"),
            (gateway.event(6) | {"id": "evt_\u0000"}, "bad_event_id"),
            ([], "not_an_object"),
        ]
        for event, _ in odd:
            assert (await gateway.post(event)).status_code == 200
        assert await gateway.outgoing() == []
        assert [(verdict, reason) for _, verdict, reason in await gateway.kept()] == [
            ("quarantined", reason) for _, reason in odd
        ]
        unnamed = [
            event_id for event_id, _, reason in await gateway.kept() if reason in ("bad_event_id", "not_an_object")
        ]
        assert all(event_id.startswith("sha256.") for event_id in unnamed)
        # Known by its bytes: a redelivery of what has no id is a repeat, too.
        assert (await gateway.post([])).status_code == 200
        assert len(await gateway.kept()) == len(odd)


@pytest.mark.asyncio
async def test_metadata_with_nul_is_published_as_it_is(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        good = [gateway.post(gateway.event(number)) for number in range(1, 6)]
        bad = gateway.post(gateway.event(9, metadata={"user_id": "alice", "note": "nul \u0000"}))
        assert {answer.status_code for answer in await asyncio.gather(*good, bad)} == {200}
        assert sorted(message["metadata"].get("note", "") for message in await gateway.outgoing())[-1] == "nul \u0000"


@pytest.mark.asyncio
async def test_claims_are_counted_and_never_used(open_gateway: Any) -> None:
    before = counted("oddities", kind="claim_differs:tfc_amount")
    async with open_gateway() as gateway:
        await gateway.post(gateway.event(metadata={"user_id": "mallory", "tfc_amount": "1000000"}))
        assert (await gateway.outgoing())[0]["received"]["amount"] == "25.00"
    assert counted("oddities", kind="claim_differs:tfc_amount") == before + 1


@pytest.mark.asyncio
async def test_the_demo_gateway_is_heard_only_where_it_is_allowed(open_gateway: Any) -> None:
    payment = {"payment_id": "pay-1", "reference": None, "user_id": "alice", "amount": 2500, "currency": "usd"}
    event = {"id": "demo_evt_1", "type": "payment.confirmed", "created": 1_767_225_600, "data": payment}
    how: dict[str, Any] = {"path": "/api/webhooks/demo", "header": "demo-signature", "secret": "demo-secret"}
    async with open_gateway() as gateway:
        assert (await gateway.post(event, **how)).status_code == 404
    async with open_gateway(demo_payment=True) as gateway:
        assert (await gateway.post(event, **how)).status_code == 503
    async with open_gateway(demo_payment=True, demo_webhook_secret="demo-secret") as gateway:
        assert (await gateway.post(event, **how)).status_code == 200
        assert (await gateway.post(event, **how | {"header": "stripe-signature"})).status_code == 400
        message = (await gateway.outgoing())[0]
        assert (message["gateway"], message["gateway_payment_id"], message["user_id"]) == ("demo", "pay-1", "alice")


@pytest.mark.asyncio
async def test_other_methods_and_paths(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        assert (await gateway.http.get("/api/webhooks/stripe")).status_code == 405
        assert (await gateway.http.post("/api/webhooks/paypal")).status_code == 404
        assert (await gateway.http.get("/readyz")).json()["checks"] == {"database": True}
