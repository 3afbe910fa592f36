"""Writes over HTTP: once per key, refused by the books without a trace, clear about what is wrong."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from ledger.application.work import Work
from ledger.bootstrap import Parts
from ledger.domain.commands import CreditPayment

CHARGE = {
    "user_id": "alice",
    "deployment_id": "d-1",
    "service_id": "web-server",
    "service_name": "Web server",
    "amount": "10.00",
}


async def credit(parts: Parts, user: str, cents: int, payment: str = "pi_1") -> None:
    await parts.engine.settle(Work(command=CreditPayment("stripe", payment, cents, "USD/2", datetime.now(UTC), user)))


async def post(client: httpx.AsyncClient, path: str, body: Any, key: str = "key-1") -> httpx.Response:
    return await client.post(path, json=body, headers={"Idempotency-Key": key})


async def log_length(parts: Parts) -> int:
    return await parts.store.last_position()


@pytest.mark.asyncio
async def test_a_charge_holds_credits_and_answers_the_wallet(parts: Parts, client: httpx.AsyncClient) -> None:
    await credit(parts, "alice", 2500)
    answer = await post(client, "/v1/charges", CHARGE)
    assert answer.status_code == 201
    wallet = (await client.get("/v1/wallets/alice", params={"min_position": answer.json()["position"]})).json()
    assert (wallet["available"], wallet["held"], wallet["version"]) == ("15.00", "10.00", 2)
    assert answer.json()["wallet"]["version"] == 2


@pytest.mark.asyncio
async def test_the_same_key_and_body_answers_what_it_answered(parts: Parts, client: httpx.AsyncClient) -> None:
    await credit(parts, "alice", 2500)
    first = await post(client, "/v1/charges", CHARGE)
    again = await post(client, "/v1/charges", CHARGE)
    assert again.status_code == 201
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


@pytest.mark.asyncio
async def test_a_refusal_by_the_books_is_kept_too(parts: Parts, client: httpx.AsyncClient) -> None:
    refused = await post(client, "/v1/charges", CHARGE)
    assert refused.status_code == 402
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "insufficient_funds"
    assert (refused.json()["required"], refused.json()["available"]) == ("10.00", "0.00")
    await credit(parts, "alice", 2500)
    again = await post(client, "/v1/charges", CHARGE)
    assert (again.status_code, again.content) == (402, refused.content)
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.asyncio
async def test_the_same_key_with_another_body_is_refused(parts: Parts, client: httpx.AsyncClient) -> None:
    await credit(parts, "alice", 2500)
    await post(client, "/v1/charges", CHARGE)
    before = await log_length(parts)
    other = await post(client, "/v1/charges", CHARGE | {"amount": "11.00"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await log_length(parts) == before


@pytest.mark.asyncio
async def test_concurrent_requests_with_one_key_are_one_charge(parts: Parts, client: httpx.AsyncClient) -> None:
    await credit(parts, "alice", 2500)
    answers = await asyncio.gather(*(post(client, "/v1/charges", CHARGE) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1


@pytest.mark.asyncio
async def test_the_effect_happens_once_also_under_another_key(parts: Parts, client: httpx.AsyncClient) -> None:
    await credit(parts, "alice", 2500)
    await post(client, "/v1/charges", CHARGE, "key-1")
    again = await post(client, "/v1/charges", CHARGE, "key-2")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    other = await post(client, "/v1/charges", CHARGE | {"amount": "1.00"}, "key-3")
    assert (other.status_code, other.json()["code"]) == (409, "reference_conflict")
    assert (await client.get("/v1/wallets/alice")).json()["held"] == "10.00"


@pytest.mark.asyncio
async def test_a_hundred_charges_against_cover_for_ten(parts: Parts, client: httpx.AsyncClient) -> None:
    await credit(parts, "alice", 10_000)
    answers = await asyncio.gather(
        *(post(client, "/v1/charges", CHARGE | {"deployment_id": f"d-{n}"}, f"key-{n}") for n in range(100))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [402] * 90
    wallet = (await client.get("/v1/wallets/alice")).json()
    assert (wallet["available"], wallet["held"]) == ("0.00", "100.00")


@pytest.mark.asyncio
async def test_a_transfer_moves_credits(parts: Parts, client: httpx.AsyncClient) -> None:
    await credit(parts, "alice", 2500)
    body = {"from_user_id": "alice", "to_user_id": "bob", "amount": 5}
    assert (await post(client, "/v1/transfers", body)).status_code == 201
    assert (await client.get("/v1/wallets/bob")).json()["available"] == "5.00"
    too_much = await post(client, "/v1/transfers", body | {"amount": "20.01"}, "key-2")
    assert too_much.status_code == 402
    to_oneself = await post(client, "/v1/transfers", body | {"to_user_id": "alice"}, "key-3")
    assert (to_oneself.status_code, to_oneself.json()["field"]) == (422, "to_user_id")


@pytest.mark.asyncio
async def test_an_adjustment_gives_and_takes_within_cover(client: httpx.AsyncClient) -> None:
    body = {"user_id": "carol", "amount": "3.00", "reason": "goodwill"}
    assert (await post(client, "/v1/adjustments", body)).status_code == 201
    taken = await post(client, "/v1/adjustments", body | {"amount": "-2.00"}, "key-2")
    assert taken.status_code == 201
    refused = await post(client, "/v1/adjustments", body | {"amount": "-2.00", "reason": "again"}, "key-3")
    assert refused.status_code == 402
    assert (await client.get("/v1/wallets/carol")).json()["available"] == "1.00"


@pytest.mark.asyncio
async def test_money_that_has_an_owner_is_not_given_to_another(parts: Parts, client: httpx.AsyncClient) -> None:
    await parts.engine.settle(Work(command=CreditPayment("stripe", "pi_1", 2500, "USD/2", datetime.now(UTC), "alice")))
    refused = await post(client, "/v1/unallocated/stripe:pi_1/allocate", {"user_id": "dora"}, "key-1")
    assert refused.status_code == 404, refused.text
    assert (await client.get("/v1/wallets/dora")).json()["available"] == "0.00"
    assert (await client.get("/v1/wallets/alice")).json()["available"] == "25.00"


@pytest.mark.asyncio
async def test_unallocated_money_gets_an_owner(parts: Parts, client: httpx.AsyncClient) -> None:
    await parts.engine.settle(Work(command=CreditPayment("bank", "b-1", 700, "USD/2", datetime.now(UTC))))
    listed = (await client.get("/v1/unallocated")).json()["unallocated"]
    assert [(row["payment"], row["received"]) for row in listed] == [("bank:b-1", "7.00")]
    allocated = await post(client, "/v1/unallocated/bank:b-1/allocate", {"user_id": "dora"})
    assert allocated.status_code == 201, allocated.text
    assert (await client.get("/v1/unallocated")).json()["unallocated"] == []
    assert (await client.get("/v1/wallets/dora")).json()["available"] == "7.00"
    nothing = await post(client, "/v1/unallocated/bank:b-2/allocate", {"user_id": "dora"}, "key-2")
    assert nothing.status_code == 404


@pytest.mark.asyncio
async def test_money_without_a_rate_gets_an_owner_by_what_it_was_worth(parts: Parts, client: httpx.AsyncClient) -> None:
    ether = CreditPayment("crypto", "eth.1", 5 * 10**15, "ETH/18", datetime.now(UTC))
    await parts.engine.settle(Work(command=ether))
    path = "/v1/unallocated/crypto:eth.1/allocate"
    refused = await post(client, path, {"user_id": "dora"}, "key-1")
    assert (refused.status_code, refused.json()["code"]) == (404, "nothing_to_allocate")
    bad = await post(client, path, {"user_id": "dora", "worth_usd": "0.001"}, "key-2")
    assert (bad.status_code, bad.json()["field"]) == (422, "worth_usd")
    assert (await post(client, path, {"user_id": "dora", "worth_usd": "12.50"}, "key-3")).status_code == 201
    assert (await client.get("/v1/wallets/dora")).json()["available"] == "12.50"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (0, "not_positive"),
        ("-1", "not_positive"),
        ("ten", "not_a_number"),
        (True, "not_a_number"),
        ("0.001", "too_many_decimals"),
        ("10000000000000.00", "too_large"),
    ],
)
async def test_a_bad_amount_is_named_and_burns_no_key(
    parts: Parts, client: httpx.AsyncClient, amount: Any, code: str
) -> None:
    await credit(parts, "alice", 2500)
    before = await log_length(parts)
    bad = await post(client, "/v1/charges", CHARGE | {"amount": amount})
    assert (bad.status_code, bad.json()["code"], bad.json()["field"]) == (422, code, "amount")
    assert await log_length(parts) == before
    assert (await post(client, "/v1/charges", CHARGE)).status_code == 201


@pytest.mark.asyncio
async def test_what_is_missing_or_foreign_is_named(client: httpx.AsyncClient) -> None:
    keyless = await client.post("/v1/charges", json=CHARGE)
    assert (keyless.status_code, keyless.json()["code"]) == (400, "idempotency_key_missing")
    stranger = await post(client, "/v1/charges", CHARGE | {"user_id": "al:ice"})
    assert (stranger.status_code, stranger.json()["field"]) == (422, "user_id")
    unknown = await post(client, "/v1/charges", CHARGE | {"colour": "green"})
    assert (unknown.status_code, unknown.json()["field"]) == (422, "colour")
    unsigned = await client.post("/v1/charges", json=CHARGE, headers={"Authorization": "Bearer wrong"})
    assert unsigned.status_code == 401
