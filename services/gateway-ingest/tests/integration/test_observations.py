"""What our own services learnt by asking is kept and published as a webhook is, and once."""

from __future__ import annotations

from typing import Any

import pytest

PATH = "/v1/observations"
TOKEN = "service-token"
PAID = {
    "gateway": "stripe",
    "name": "pi_1.confirmed",
    "at": "2026-01-02T03:04:05Z",
    "observed": {
        "kind": "confirmed",
        "payment_id": "pi_1",
        "received": {"units": 2500, "asset": "USD/2"},
        "user_id": "alice",
    },
}


async def tell(gateway: Any, *observations: Any, token: str = TOKEN) -> Any:
    headers = {"authorization": f"Bearer {token}"}
    return await gateway.http.post(PATH, json={"observations": list(observations)}, headers=headers)


@pytest.mark.asyncio
async def test_an_observation_is_published_as_a_webhook_is(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        assert (await tell(gateway, PAID)).json() == {"outcomes": ["new"]}
        assert await gateway.kept() == [("observed.pi_1.confirmed", "published", None)]
        (message,) = await gateway.outgoing()
    expected = {
        "gateway": "stripe",
        "gateway_payment_id": "pi_1",
        "received": {"asset": "USD/2", "amount": "25.00"},
        "paid_at": "2026-01-02T03:04:05Z",
        "user_id": "alice",
    }
    assert expected.items() <= message.items()


@pytest.mark.asyncio
async def test_a_repeat_changes_nothing(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        await tell(gateway, PAID)
        assert (await tell(gateway, PAID, PAID)).json() == {"outcomes": ["repeat", "repeat"]}
        assert len(await gateway.outgoing()) == 1


@pytest.mark.parametrize(
    "observed",
    [
        {"kind": "pending", "payment_id": "p", "state": "processing"},
        {"kind": "failed", "payment_id": "p", "reason_code": "expired", "is_over": True},
        {"kind": "refunded", "payment_id": "p", "refunded_total": {"units": 5, "asset": "USD/2"}},
        {
            "kind": "refund",
            "payment_id": "p",
            "refund_id": "re_1",
            "state": "failed",
            "amount": {"units": 5, "asset": "JPY/0"},
        },
        {
            "kind": "disputed",
            "payment_id": "p",
            "dispute_id": "dp_1",
            "state": "opened",
            "amount": {"units": 5, "asset": "USD/2"},
        },
        {"kind": "fee", "payment_id": "p", "fee_id": "txn_1", "amount": {"units": -5, "asset": "BTC/8"}},
    ],
    ids=lambda observed: observed["kind"],
)
@pytest.mark.asyncio
async def test_every_kind_becomes_a_message(open_gateway: Any, observed: dict[str, Any]) -> None:
    async with open_gateway() as gateway:
        answer = await tell(gateway, {"gateway": "stripe", "name": "n", "observed": observed})
        assert answer.json() == {"outcomes": ["new"]}
        (message,) = await gateway.outgoing()
    assert (message["gateway"], message["gateway_payment_id"]) == ("stripe", "p")


@pytest.mark.asyncio
async def test_blocks_are_passed_on(open_gateway: Any) -> None:
    blocks = {"confirmations": 2, "confirmations_required": 6}
    observed = {"kind": "pending", "payment_id": "bitcoin.tx.0", "state": "unconfirmed", **blocks}
    async with open_gateway() as gateway:
        assert (await tell(gateway, {"gateway": "crypto", "name": "n", "observed": observed})).status_code == 200
        (message,) = await gateway.outgoing()
    assert blocks.items() <= message.items()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"gateway": "Stripe!"}, "gateway"),
        ({"name": "a:b"}, "name"),
        ({"at": "2026-01-02T03:04:05"}, "at"),
        ({"observed": PAID["observed"] | {"payment_id": "a:b"}}, "payment_id"),
        ({"observed": PAID["observed"] | {"received": {"units": 1.5, "asset": "USD/2"}}}, "units"),
        ({"observed": PAID["observed"] | {"received": {"units": 1, "asset": "dollars"}}}, "asset"),
        ({"observed": {"kind": "wished", "payment_id": "p"}}, "observed"),
        ({"colour": "green"}, "colour"),
    ],
)
@pytest.mark.asyncio
async def test_a_wrong_one_is_refused_and_keeps_nothing(open_gateway: Any, change: Any, field: str) -> None:
    async with open_gateway() as gateway:
        answer = await tell(gateway, PAID | change)
        assert answer.status_code == 422
        assert field in answer.text
        assert await gateway.kept() == []


@pytest.mark.asyncio
async def test_nobody_else_may_tell(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        assert (await tell(gateway, PAID, token="guessed")).status_code == 401
        assert await gateway.kept() == []
