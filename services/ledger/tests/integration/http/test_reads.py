"""Reads over HTTP: pages, positions, accounts and the log."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import httpx
import pytest

from ledger.application.work import Work
from ledger.bootstrap import Parts
from ledger.domain.commands import CaptureHold, CreditPayment, HoldCredits


async def story(parts: Parts) -> None:
    now = datetime.now(UTC)
    for number in range(5):
        await parts.engine.settle(Work(command=CreditPayment("stripe", f"pi_{number}", 1000, "USD/2", now, "alice")))
    await parts.engine.settle(Work(command=HoldCredits("alice", "d-1", "web", "Web server", 1000)))
    await parts.engine.settle(Work(command=CaptureHold("d-1", 100, 900)))


@pytest.mark.asyncio
async def test_a_wallet_without_events_is_empty(parts: Parts, client: httpx.AsyncClient) -> None:
    wallet = (await client.get("/v1/wallets/nobody")).json()
    assert (wallet["available"], wallet["version"], wallet["asset"]) == ("0.00", 0, "TFC/2")


@pytest.mark.asyncio
async def test_totals_tell_what_happened(parts: Parts, client: httpx.AsyncClient) -> None:
    await story(parts)
    wallet = (await client.get("/v1/wallets/alice")).json()
    totals = (wallet["total_purchased"], wallet["total_spent"], wallet["total_refunded"])
    assert totals == ("50.00", "10.00", "0.00")
    assert (wallet["available"], wallet["held"], wallet["debt"], wallet["version"]) == ("40.00", "0.00", "0.00", 7)


@pytest.mark.asyncio
async def test_history_comes_in_pages_newest_first_and_complete(parts: Parts, client: httpx.AsyncClient) -> None:
    await story(parts)
    rows, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/wallets/alice/transactions", params=params)).json()
        rows += page["transactions"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [row["transaction_type"] for row in rows] == ["Deployment"] + ["Purchase"] * 5
    assert [row["amount"]["amount"] for row in rows] == ["-10.00"] + ["10.00"] * 5
    assert rows[0]["description"] == "Deployment: Web server (d-1)"
    assert rows[-1]["description"] == "TFC purchase via Stripe (pi_0)"
    assert rows[-1]["metadata"] == {"payment_intent_id": "pi_0", "stripe_amount_cents": 1000}
    for newer, older in pairwise(rows):
        assert newer["balance_before"] == older["balance_after"]


@pytest.mark.asyncio
async def test_accounts_and_postings_agree(parts: Parts, client: httpx.AsyncClient) -> None:
    await story(parts)
    last = (await client.get("/v1/events", params={"after": 6})).json()["events"][-1]["position"]
    commission = (await client.get("/v1/accounts/platform:commission", params={"min_position": last})).json()
    assert commission["balances"] == [{"asset": "TFC/2", "posted": "1.00"}]
    page = (await client.get("/v1/accounts/platform:exchange/postings", params={"limit": 3})).json()
    rest = (
        await client.get(
            "/v1/accounts/platform:exchange/postings", params={"limit": 200, "cursor": page["next_cursor"]}
        )
    ).json()
    places = [(line["position"], line["asset"]) for line in page["postings"] + rest["postings"]]
    assert len(places) == 10
    assert places == sorted(places, key=lambda place: -place[0])
    assert rest["next_cursor"] is None


@pytest.mark.asyncio
async def test_a_position_beyond_the_log_is_waited_for_and_then_refused(
    parts: Parts, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.entrypoints.http.reads.WAIT_S", 0.05)
    answer = await client.get("/v1/wallets/alice", params={"min_position": 10**6})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path",
    [
        "/v1/wallets/alice/transactions?limit=201",
        "/v1/wallets/alice/transactions?limit=0",
        "/v1/wallets/alice/transactions?cursor=abc",
        "/v1/accounts/grid:payable/postings?cursor=1",
        "/v1/events?after=-1",
        "/v1/wallets/al%20ice",
    ],
)
async def test_a_bad_question_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.asyncio
async def test_the_log_is_read_in_order(parts: Parts, client: httpx.AsyncClient) -> None:
    await story(parts)
    page = (await client.get("/v1/events", params={"limit": 3})).json()
    assert [event["version"] for event in page["events"]] == [1, 2, 3]
    assert page["events"][0]["data"]["postings"][0] == ["gateway:stripe", "USD/2", -1000]
    following = (await client.get("/v1/events", params={"after": page["next_after"]})).json()
    assert [event["type"] for event in following["events"]][-2:] == ["ledger.CreditsHeld", "ledger.HoldCaptured"]
