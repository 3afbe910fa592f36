"""Deployments as messages tell of them: repeated, in any order, known here or not."""

from __future__ import annotations

from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from contracts.amounts import Money
from contracts.messages import (
    ConnectionDetails,
    DeploymentActive,
    DeploymentFailed,
    DeploymentProvisioning,
    DeploymentQueued,
    DeploymentRequested,
    DeploymentUnknown,
    Message,
)

from .conftest import START, Shop

ABOUT = {"deployment_id": "d1", "user_id": "alice"}
PRICE = Money.of(1000, "TFC/2")
REQUESTED = DeploymentRequested(
    **ABOUT, service_id="web-server", service_name="Web server", amount=PRICE, requested_at=START
)
QUEUED = DeploymentQueued(
    **ABOUT,
    service_id="web-server",
    amount=PRICE,
    commission=Money.of(100, "TFC/2"),
    grid_payment=Money.of(900, "TFC/2"),
)
PROVISIONING = DeploymentProvisioning(**ABOUT, attempt=1)
UNKNOWN = DeploymentUnknown(**ABOUT, error_message="the grid does not answer")
FAILED = DeploymentFailed(**ABOUT, error_message="no node has the capacity")
ACTIVE = DeploymentActive(
    **ABOUT, grid_deployment_id="grid-7", connection_details=ConnectionDetails(mycelium_ip="400::7")
)
# When each was told: the order in which the deployments service decided.
AT_S = {REQUESTED: 0, QUEUED: 1, PROVISIONING: 2, UNKNOWN: 3, FAILED: 4, ACTIVE: 4}


async def told(shop: Shop, *messages: Message) -> Any:
    """The deployment as alice sees it after these."""
    for message in messages:
        await shop.publish(message, at_s=AT_S[message])
    await shop.consume()
    return await shop.get("/api/deployments/d1", await shop.sign_in("alice"))


@pytest.mark.asyncio
async def test_one_that_was_charged_elsewhere_gets_its_row(shop: Shop) -> None:
    row = await told(shop, REQUESTED)
    assert (row["status"], row["service_name"], str(row["tfc_amount"])) == ("queued", "Web server", "10.00")
    assert (str(row["commission_amount"]), str(row["grid_payment_amount"])) == ("0.00", "0.00")
    assert row["created_at"] == "2026-05-01T00:00:00Z"


@pytest.mark.asyncio
async def test_the_way_of_one_that_works(shop: Shop) -> None:
    row = await told(shop, REQUESTED, QUEUED, PROVISIONING, ACTIVE)
    assert (row["status"], row["grid_deployment_id"], row["error_message"]) == ("active", "grid-7", None)
    assert row["connection_details"] == {"mycelium_ip": "400::7"}
    assert (str(row["commission_amount"]), str(row["grid_payment_amount"])) == ("1.00", "9.00")
    assert [data["status"] for _, data in await shop.live("alice")] == ["queued", "queued", "provisioning", "active"]


@pytest.mark.asyncio
async def test_one_that_fails_says_why(shop: Shop) -> None:
    row = await told(shop, REQUESTED, QUEUED, PROVISIONING, UNKNOWN, FAILED)
    assert (row["status"], row["error_message"]) == ("failed", "no node has the capacity")
    assert row["connection_details"] is None


@pytest.mark.asyncio
async def test_one_that_was_rejected_at_once(shop: Shop) -> None:
    assert (await told(shop, REQUESTED, FAILED))["status"] == "failed"


@pytest.mark.asyncio
async def test_unknown_may_still_become_active_without_its_error(shop: Shop) -> None:
    row = await told(shop, REQUESTED, QUEUED, UNKNOWN, ACTIVE)
    assert (row["status"], row["error_message"]) == ("active", None)


@pytest.mark.asyncio
@pytest.mark.parametrize("end", [ACTIVE, FAILED], ids=["active", "failed"])
async def test_no_order_and_no_repeat_leads_away_from_the_end(shop: Shop, end: Message) -> None:
    """Each permutation is a deployment of its own; all are told twice."""
    orders = list(permutations([REQUESTED, QUEUED, PROVISIONING, end]))
    for number, order in enumerate(orders):
        for message in (*order, *order):
            renamed = message.model_copy(update={"deployment_id": f"d{number}"})
            await shop.publish(renamed, at_s=AT_S[message], key=f"d{number}")
    await shop.consume()
    # The sweep takes up what waited for a row that somebody else made at that very moment.
    rows = await shop.pool.fetch("SELECT id, status, commission FROM deployments")
    expected = {f"d{number}": (end.TYPE.split(".")[2].removeprefix("Deployment").lower(), 100) for number in range(24)}
    assert {row["id"]: (row["status"], row["commission"]) for row in rows} == expected
    assert await shop.pool.fetchval("SELECT count(*) FROM waiting_messages") == 0


@pytest.mark.asyncio
async def test_an_older_status_does_not_come_back(shop: Shop) -> None:
    row = await told(shop, REQUESTED, QUEUED, UNKNOWN, PROVISIONING)
    assert row["status"] == "unknown"


@pytest.mark.asyncio
@pytest.mark.parametrize("end", [ACTIVE, FAILED], ids=["active", "failed"])
async def test_an_end_is_the_end_whatever_the_clocks_say(shop: Shop, end: Message) -> None:
    await told(shop, REQUESTED, end)
    for late in (QUEUED, PROVISIONING, UNKNOWN, ACTIVE, FAILED):
        await shop.publish(late, at_s=99)
    row = await told(shop, REQUESTED)
    assert row["status"] == ("active" if end is ACTIVE else "failed")
    assert (row["error_message"] is None) == (end is ACTIVE)


@pytest.mark.asyncio
async def test_a_repeat_is_told_once(shop: Shop) -> None:
    message_id = str(uuid4())
    await shop.publish(REQUESTED)
    for _ in range(3):
        await shop.publish(QUEUED, at_s=1, message_id=message_id)
    await shop.consume()
    assert len(await shop.live("alice")) == 2


@pytest.mark.asyncio
async def test_one_that_nobody_told_of_waits(shop: Shop) -> None:
    await shop.deliver(PROVISIONING, at_s=2)
    assert await shop.pool.fetchval("SELECT waits_for FROM waiting_messages") == "deployment:d1"
    assert (await told(shop, REQUESTED))["status"] == "provisioning"


@pytest.mark.asyncio
async def test_somebody_elses_deployment_is_not_there(shop: Shop) -> None:
    await shop.deliver(REQUESTED)
    bob = await shop.sign_in("bob")
    assert (await shop.http.get("/api/deployments/d1", headers=bob)).status_code == 404
    assert (await shop.get("/api/deployments", bob))["deployments"] == []
    assert await shop.live("bob") == []
    assert (await shop.http.get("/api/deployments/%00", headers=bob)).status_code == 422


@pytest.mark.asyncio
async def test_news_of_a_purchase_do_not_change_whose_it_is(shop: Shop) -> None:
    headers = await shop.sign_in("alice")
    shop.ledger.give("alice", 1000)
    body = {"service_id": "web-server", "payment_method": "TFC"}
    bought = (await shop.http.post("/api/marketplace/buy-now", headers=headers, json=body)).json()
    deployment_id = bought["action"]["deployment_id"]
    await shop.deliver(QUEUED.model_copy(update={"deployment_id": deployment_id, "user_id": "mallory"}), at_s=1)
    row = await shop.get(f"/api/deployments/{deployment_id}", headers)
    assert (row["service_name"], str(row["commission_amount"])) == ("Web server", "1.00")
    assert (await shop.get("/api/deployments", await shop.sign_in("mallory")))["deployments"] == []
