"""The demo's chains: a transfer is seen, gets its blocks, is believed, and may be lost; told as watchers tell."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio

from chassis.clock import ManualClock
from chassis.ids import SequenceIds
from embedded.demo_gateway.signing import address_signature
from embedded.gateway_simulators.coins import ATTEMPTS, PARAMETERS, DemoChains, create_demo_chains

pytestmark = pytest.mark.asyncio
SECRET = b"demo-secret"
PAYMENT = {
    "reference": "GL123",
    "amount": "50000",
    "asset": "BTC/8",
    "network": "bitcoin",
    "address": "tb1qexample",
    "confirmations": "3",
}
PAGE = {"accept": "text/html"}
NOW = ManualClock().now().isoformat()


def address(**changed: str) -> str:
    return f"/pay?{urlencode(PAYMENT | {'signature': address_signature(PAYMENT, SECRET, PARAMETERS)} | changed)}"


class Chains:
    """The chains, and an ear that answers with ``statuses`` in turn, then 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.told: list[Any] = []
        self.tokens: set[str] = set()
        transport = httpx.MockTransport(self._hear)
        clock = ManualClock()
        self.chains = DemoChains("http://ear", "service", clock, block_s=0.0, pause_s=0.0, transport=transport)
        app = create_demo_chains(SECRET, self.chains, SequenceIds())
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chains")

    def _hear(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/observations"
        self.tokens.add(request.headers["authorization"])
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.told += json.loads(request.content)["observations"]
        return httpx.Response(status)

    async def send(self, outcome: str) -> str:
        answer = await self.http.post(address(), data={"outcome": outcome})
        assert answer.status_code == 200, answer.text
        await self.chains.mined()
        return str(answer.json()["tx"])


@pytest_asyncio.fixture
async def chains() -> AsyncIterator[Chains]:
    made = Chains()
    async with made.http:
        yield made
    await made.chains.close()


async def test_the_page_shows_what_is_to_be_sent_where(chains: Chains) -> None:
    page = await chains.http.get(address(), headers=PAGE)
    assert page.status_code == 200
    assert "0.00050000 BTC" in page.text
    assert "tb1qexample" in page.text
    assert "No coin is sent" in page.text


async def test_a_transfer_gets_its_blocks_and_is_believed(chains: Chains) -> None:
    tx = await chains.send("sent")
    payment_id, amount = f"bitcoin.{tx}.0", {"units": 50_000, "asset": "BTC/8"}
    *blocks, believed = chains.told
    assert chains.tokens == {"Bearer service"}
    assert [(one["observed"]["confirmations"], one["name"]) for one in blocks] == [
        (0, f"{payment_id}.1.unconfirmed.0"),
        (1, f"{payment_id}.2.unconfirmed.1"),
        (2, f"{payment_id}.3.unconfirmed.2"),
    ]
    for one in blocks:
        shown = {"kind": "pending", "state": "unconfirmed", "amount": amount, "confirmations_required": 3}
        assert shown.items() <= one["observed"].items()
    assert believed == {
        "gateway": "crypto",
        "name": f"{payment_id}.confirmed",
        "at": NOW,
        "observed": {"kind": "confirmed", "payment_id": payment_id, "received": amount, "reference": "GL123"},
    }


@pytest.mark.parametrize(("outcome", "units"), [("less", 40_000), ("more", 60_000)])
async def test_less_and_more_can_be_sent(chains: Chains, outcome: str, units: int) -> None:
    await chains.send(outcome)
    assert chains.told[-1]["observed"]["received"]["units"] == units


async def test_a_fork_takes_it_back(chains: Chains) -> None:
    tx = await chains.send("lost")
    believed, lost = chains.told[-2:]
    assert believed["observed"]["kind"] == "confirmed"
    assert lost["observed"] == {
        "kind": "refund",
        "payment_id": f"bitcoin.{tx}.0",
        "refund_id": f"fork.{tx}",
        "amount": {"units": 50_000, "asset": "BTC/8"},
        "state": "succeeded",
        "reason": "chain fork",
    }


async def test_each_transfer_is_another(chains: Chains) -> None:
    assert await chains.send("sent") != await chains.send("sent")


async def test_what_is_not_taken_is_told_again_and_nobody_is_told_that_it_was_sent(chains: Chains) -> None:
    chains.statuses = [503]
    await chains.send("sent")
    assert len(chains.told) == 4
    chains.statuses = [503] * ATTEMPTS
    answer = await chains.http.post(address(), data={"outcome": "sent"})
    assert answer.status_code == 503
    assert len(chains.told) == 4


@pytest.mark.parametrize("name", PARAMETERS)
async def test_an_address_that_is_not_ours_is_refused(chains: Chains, name: str) -> None:
    other = address(**{name: PAYMENT[name] + "1"})
    assert (await chains.http.get(other, headers=PAGE)).status_code == 403
    assert (await chains.http.post(other, data={"outcome": "sent"}, headers=PAGE)).status_code == 403
    assert (await chains.http.post(other, data={"outcome": "sent"})).json()["code"] == "bad_signature"
    assert chains.told == []


async def test_any_other_outcome_is_refused(chains: Chains) -> None:
    answer = await chains.http.post(address(), data={"outcome": "wished"})
    assert (answer.status_code, answer.json()["field"]) == (422, "outcome")
    assert chains.told == []
