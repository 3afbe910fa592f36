"""The purchase process: whatever becomes of the ledger's answers, each purchase is charged once or refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from payments_api.adapters.purchase_desk import PostgresPurchaseDesk
from payments_api.application.ports import Charged, NoCover
from payments_api.application.purchasing import Patience
from testkit.waiting_for import eventually

from .conftest import QUICK, OpenShop, Shop, exact, running

SHORT = Patience(budget_s=0.2, first_pause_s=0.01, longest_pause_s=0.02, resume_after_s=0.0, resume_pause_s=0.01)
WEB_SERVER = {"service_id": "web-server", "payment_method": "TFC"}


async def buy(shop: Shop, headers: dict[str, str], **body: str) -> httpx.Response:
    return await shop.http.post("/api/marketplace/buy-now", headers=headers, json=WEB_SERVER | body)


async def shopper(shop: Shop, units: int = 2500) -> dict[str, str]:
    shop.ledger.give("alice", units)
    return await shop.sign_in("alice")


async def states(shop: Shop) -> list[str]:
    return [row["state"] for row in await shop.pool.fetch("SELECT state FROM purchases ORDER BY created_at")]


def action(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return exact(answer)["action"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "faults", [["away"], ["away"] * 5, ["charges_then_hangs"], ["hangs"], ["nonsense"], ["away", "nonsense"]]
)
async def test_within_the_budget_it_asks_again_under_one_key(shop: Shop, faults: list[str]) -> None:
    headers = await shopper(shop)
    shop.ledger.faults = list(faults)
    bought = action(await buy(shop, headers))
    assert shop.ledger.asked == {f"deployment:{bought['deployment_id']}:charge": len(faults) + 1}
    assert shop.ledger.charges() == 1
    assert await states(shop) == ["charged"]


@pytest.mark.asyncio
async def test_an_unknown_outcome_names_the_deployment_and_goes_on_behind(open_shop: OpenShop) -> None:
    async with open_shop(patience=SHORT) as shop:
        headers = await shopper(shop)
        shop.ledger.always = "charges_then_hangs"
        answer = await buy(shop, headers)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (503, "outcome_unknown")
        assert int(answer.headers["retry-after"]) > 0
        shown = await shop.get(f"/api/deployments/{problem['deployment_id']}", headers)
        assert shown["status"] == "queued"
        shop.ledger.always = None
        shop.ledger.release.set()
        assert await shop.parts.purchasing.resume_once() == 1
        assert await states(shop) == ["charged"]
        assert shop.ledger.charges() == 1
        assert [(kind, data["id"]) for kind, data in await shop.live("alice")] == [
            ("deployment", problem["deployment_id"])
        ]


@pytest.mark.asyncio
async def test_it_goes_on_after_a_restart(open_shop: OpenShop) -> None:
    async with open_shop(patience=SHORT) as first:
        headers = await shopper(first)
        first.ledger.always = "away"
        assert (await buy(first, headers)).status_code == 503
        first.ledger.always = None
    async with open_shop(patience=SHORT) as second:
        assert await second.parts.purchasing.resume_once() == 1
        assert await second.parts.purchasing.resume_once() == 0
        assert await states(second) == ["charged"]


@pytest.mark.asyncio
async def test_a_refusal_that_comes_late_hides_the_deployment(open_shop: OpenShop) -> None:
    async with open_shop(patience=SHORT) as shop:
        headers = await shopper(shop, 999)
        shop.ledger.always = "away"
        deployment_id = (await buy(shop, headers)).json()["deployment_id"]
        shop.ledger.always = None
        assert await shop.parts.purchasing.resume_once() == 1
        assert await states(shop) == ["refused"]
        assert (await shop.http.get(f"/api/deployments/{deployment_id}", headers=headers)).status_code == 404


@pytest.mark.asyncio
async def test_an_outcome_is_noted_once(shop: Shop) -> None:
    headers = await shopper(shop)
    deployment_id = action(await buy(shop, headers))["deployment_id"]
    desk = PostgresPurchaseDesk(shop.pool)
    for outcome in (NoCover(1000, 0, 9), Charged(9)):
        assert (await desk.settle(deployment_id, outcome)).state == "charged"
    assert (await shop.get(f"/api/deployments/{deployment_id}", headers))["status"] == "queued"
    assert len(await shop.live("alice")) == 1


@pytest.mark.asyncio
async def test_as_long_as_the_ledger_is_away_the_pauses_grow(open_shop: OpenShop) -> None:
    patience = Patience(budget_s=0.1, first_pause_s=0.01, longest_pause_s=0.02, resume_after_s=0.0, resume_pause_s=60)
    async with open_shop(patience=patience) as shop:
        headers = await shopper(shop)
        shop.ledger.always = "away"
        await buy(shop, headers)
        assert await shop.parts.purchasing.resume_once() == 1
        assert await shop.parts.purchasing.resume_once() == 0, "it is not its time yet"
        due_in = "SELECT attempts, next_attempt_at > clock_timestamp() + interval '50 s' FROM purchases"
        assert tuple(await shop.pool.fetchrow(due_in)) == (1, True)


@pytest.mark.asyncio
async def test_the_background_takes_up_what_is_left_open(open_shop: OpenShop) -> None:
    patience = Patience(budget_s=0.1, first_pause_s=0.01, resume_after_s=0.0, resume_pause_s=0.01, look_every_s=0.01)
    async with open_shop(patience=patience) as shop:
        headers = await shopper(shop)
        shop.ledger.always = "away"
        await buy(shop, headers)
        async with running(shop.parts.purchasing.run):
            shop.ledger.always = None

            async def charged() -> bool:
                return await states(shop) == ["charged"]

            await eventually(charged)


@pytest.mark.asyncio
async def test_the_same_key_buys_once(shop: Shop) -> None:
    headers = await shopper(shop) | {"idempotency-key": "k1"}
    first = await buy(shop, headers)
    again = await buy(shop, headers)
    assert (first.content, "idempotency-replayed" in first.headers) == (again.content, False)
    assert again.headers["idempotency-replayed"] == "true"
    other = await buy(shop, headers, service_id="small-vm")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (shop.ledger.charges(), await states(shop)) == (1, ["charged"])


@pytest.mark.asyncio
async def test_a_refusal_is_an_answer_like_any_other(shop: Shop) -> None:
    headers = await shopper(shop, 999) | {"idempotency-key": "k1"}
    first = await buy(shop, headers)
    shop.ledger.give("alice", 1000)
    again = await buy(shop, headers)
    assert action(again)["type"] == "InsufficientFunds"
    assert again.content == first.content
    assert action(await buy(shop, headers | {"idempotency-key": "k2"}))["type"] == "DeploymentStarted"


@pytest.mark.asyncio
async def test_a_key_of_an_unknown_outcome_leads_to_the_same_deployment(open_shop: OpenShop) -> None:
    async with open_shop(patience=SHORT) as shop:
        headers = await shopper(shop) | {"idempotency-key": "k1"}
        shop.ledger.always = "charges_then_hangs"
        unknown = (await buy(shop, headers)).json()["deployment_id"]
        shop.ledger.always = None
        assert action(await buy(shop, headers))["deployment_id"] == unknown
        assert shop.ledger.charges() == 1


@pytest.mark.asyncio
async def test_ten_at_once_with_one_key_buy_once(shop: Shop) -> None:
    headers = await shopper(shop, 10_000) | {"idempotency-key": "k1"}
    answers = await asyncio.gather(*(buy(shop, headers) for _ in range(10)))
    assert len({action(answer)["deployment_id"] for answer in answers}) == 1
    assert (shop.ledger.charges(), await states(shop)) == (1, ["charged"])


@pytest.mark.asyncio
async def test_a_key_for_another_operation_is_refused(shop: Shop) -> None:
    headers = await shopper(shop) | {"idempotency-key": "k1"}
    await buy(shop, headers)
    body = {"amount": 1, "currency": "USD", "gateway": "demo"}
    answer = await shop.http.post("/api/payments/initiate", headers=headers, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.asyncio
async def test_a_hundred_at_once_against_cover_for_ten(open_shop: OpenShop) -> None:
    # However slow the machine is: what counts here is that ten are started, not how soon.
    async with open_shop(patience=replace(QUICK, budget_s=60.0, resume_after_s=60.0)) as shop:
        headers = await shopper(shop, 10_000)
        shop.ledger.faults = ["away", "nonsense", "charges_then_hangs"] * 5
        answers = await asyncio.gather(*(buy(shop, headers) for _ in range(100)))
        kinds = [action(answer)["type"] for answer in answers]
        assert (kinds.count("DeploymentStarted"), kinds.count("InsufficientFunds")) == (10, 90)
        listed = (await shop.get("/api/deployments", headers))["deployments"]
        assert len(listed) == shop.ledger.charges() == 10
