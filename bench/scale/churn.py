"""Replicas come and go under load, by SIGTERM and by SIGKILL; in the end every effect must be there exactly once.

Gateways and clients behave as real ones: whoever gets no answer, or a 5xx, asks again with the same words. Nothing
here judges speed; the figures say how much went on meanwhile. No replica is ended before load went through since the
last one was.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
from fleet import MODULES, Fleet
from stages import STAGE_TIMEOUT_S, published, until
from webhooks import STRIPE_SECRET, payment_event

from gateway_ingest.domain.signatures import sign

USERS = 40
CENTS = 2500
PRICE = "5.00"
PAUSE_BETWEEN_BLOWS_S = 1.0
RETRY_PAUSE_S = 0.05
REQUEST_TIMEOUT_S = 10.0
BLOWS = tuple(itertools.product(MODULES, (signal.SIGTERM, signal.SIGKILL)))


@dataclass(frozen=True)
class Shape:
    """How many of each service run, for how long at least they come and go, and who asks something of them."""

    replicas: int = 2
    seconds: float = 20.0
    payers: int = 8
    buyers: int = 8
    rest_s: float = 0.0
    """How long each of them waits before the next wish."""


@dataclass
class Load:
    """What was answered with a promise: these payments were heard, these purchases made."""

    heard: set[str] = field(default_factory=set)
    bought: set[str] = field(default_factory=set)
    refused: int = 0
    retries: int = 0
    blows: list[tuple[str, signal.Signals]] = field(default_factory=list)
    over: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, intent: str) -> None:
        """A payment was promised."""
        self.heard.add(intent)
        self.news.set()

    def buy(self, deployment_id: str) -> None:
        """A purchase was promised."""
        self.bought.add(deployment_id)
        self.news.set()

    @property
    def promises(self) -> tuple[int, int]:
        """Payments and purchases so far."""
        return len(self.heard), len(self.bought)


async def churn(fleet: Fleet, connections: Mapping[str, Any], shape: Shape) -> dict[str, object]:
    """Load on replicas of each service, of which one after the other ends and another comes. Raises AssertionError."""
    await asyncio.gather(*(fleet.start(service, shape.replicas) for service in MODULES))
    load = Load()
    began = time.perf_counter()
    async with httpx.AsyncClient(timeout=REQUEST_TIMEOUT_S, trust_env=False) as client:
        async with asyncio.TaskGroup() as group:
            for _ in range(shape.payers):
                group.create_task(_pay(fleet, client, load, shape.rest_s))
            for _ in range(shape.buyers):
                group.create_task(_buy(fleet, client, load, shape.rest_s))
            await _blows(fleet, load, shape.seconds)
            load.over = True
        under_load_s = time.perf_counter() - began
        await _settled(connections, load)
        trial_balance = await _trial_balance(fleet, client)
    await fleet.end_all()
    lost, doubled = await judge(fleet, connections, load)
    return {
        "seconds": round(under_load_s, 1),
        "payments": len(load.heard),
        "purchases": len(load.bought),
        "refused_for_lack_of_cover": load.refused,
        "requests_repeated": load.retries,
        "replicas_ended": len(load.blows),
        "ended_by": {service: _ended_by(load, service) for service in MODULES},
        "trial_balance": trial_balance,
        "lost": lost,
        "doubled": doubled,
    }


def _ended_by(load: Load, service: str) -> dict[str, int]:
    return dict(Counter(number.name for whose, number in load.blows if whose == service))


async def _blows(fleet: Fleet, load: Load, seconds: float) -> None:
    """End one replica after the other and start another in its place, until the time is up."""
    until_s = time.perf_counter() + seconds
    for service, number in itertools.cycle(BLOWS):
        if time.perf_counter() > until_s and len(load.blows) >= len(BLOWS):
            return
        before = load.promises
        await asyncio.sleep(PAUSE_BETWEEN_BLOWS_S)
        await _loaded_since(load, before)
        await fleet.end(fleet.of(service)[0], number)
        load.blows.append((service, number))
        await fleet.start(service)


async def _loaded_since(load: Load, before: tuple[int, int]) -> None:
    """Wait until payments as well as purchases were promised since then."""
    try:
        async with asyncio.timeout(STAGE_TIMEOUT_S):
            while not all(now > then for now, then in zip(load.promises, before, strict=True)):
                load.news.clear()
                await load.news.wait()
    except TimeoutError:
        raise AssertionError(f"no load went through in {STAGE_TIMEOUT_S:g} s: {before}, {load.promises}") from None


async def _pay(fleet: Fleet, client: httpx.AsyncClient, load: Load, rest_s: float) -> None:
    while not load.over:
        await asyncio.sleep(rest_s)
        intent = f"pi_{secrets.token_hex(10)}"
        user = f"user-{secrets.randbelow(USERS)}"
        # Told twice, by two events: as gateways do.
        for _ in range(2):
            await _persist(load, partial(_tell, fleet, client, intent, user))
            load.hear(intent)


async def _tell(fleet: Fleet, client: httpx.AsyncClient, intent: str, user: str) -> httpx.Response:
    body = payment_event(f"evt_{secrets.token_hex(10)}", intent, CENTS, user)
    headers = {"stripe-signature": sign(body, STRIPE_SECRET.encode(), int(time.time())).decode()}
    url = f"{secrets.choice(fleet.of('gateway-ingest')).url}/api/webhooks/stripe"
    return await client.post(url, content=body, headers=headers)


async def _buy(fleet: Fleet, client: httpx.AsyncClient, load: Load, rest_s: float) -> None:
    while not load.over:
        await asyncio.sleep(rest_s)
        deployment_id = secrets.token_hex(12)
        body = {
            "user_id": f"user-{secrets.randbelow(USERS)}",
            "deployment_id": deployment_id,
            "service_id": "small-vm",
            "service_name": "Small virtual machine",
            "amount": PRICE,
        }
        answer = await _persist(load, partial(_charge, fleet, client, body))
        if answer.status_code == httpx.codes.CREATED:
            load.buy(deployment_id)
        else:
            assert answer.status_code == httpx.codes.PAYMENT_REQUIRED, answer.text
            load.refused += 1
            await asyncio.sleep(RETRY_PAUSE_S)


async def _charge(fleet: Fleet, client: httpx.AsyncClient, body: Mapping[str, str]) -> httpx.Response:
    headers = {
        "authorization": f"Bearer {fleet.service_token}",
        "idempotency-key": f"deployment:{body['deployment_id']}:charge",
    }
    url = f"{secrets.choice(fleet.of('ledger')).url}/v1/charges"
    return await client.post(url, json=body, headers=headers)


async def _persist(load: Load, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Ask until there is an answer that is neither silence nor a 5xx."""
    while True:
        try:
            answer = await ask()
        except (httpx.TransportError, IndexError):
            # IndexError: at this moment no replica of the service runs.
            answer = None
        if answer is not None and answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
            return answer
        load.retries += 1
        await asyncio.sleep(RETRY_PAUSE_S)


async def _settled(connections: Mapping[str, Any], load: Load) -> None:
    """Wait until all that was promised took effect."""
    ledger, deployments = connections["ledger"], connections["deployments"]
    await published(connections["gateway_ingest"])
    await until(ledger, "SELECT count(*) FROM stored_events WHERE topic = 'ledger.CreditsPurchased'", len(load.heard))
    activated = "SELECT count(*) FROM stored_events WHERE topic = 'deployments.DeploymentActivated'"
    await until(deployments, activated, len(load.bought))
    await until(ledger, "SELECT count(*) FROM charges WHERE state = 'captured'", len(load.bought))


async def _trial_balance(fleet: Fleet, client: httpx.AsyncClient) -> dict[str, str]:
    """Asset → sum of all postings, as the ledger says it; each must be zero."""
    headers = {"authorization": f"Bearer {fleet.service_token}"}
    answer = await client.get(f"{fleet.of('ledger')[0].url}/v1/trial-balance", headers=headers)
    assert answer.status_code == httpx.codes.OK, answer.text
    told = answer.json()
    assert told["balanced"] is True, told
    return {asset["asset"]: asset["sum"] for asset in told["assets"]}


async def judge(fleet: Fleet, connections: Mapping[str, Any], load: Load) -> tuple[int, int]:
    """Every promise kept, exactly once, and the books prove it; answers how many were lost and doubled.

    Raises AssertionError naming what is wrong.
    """
    ledger, deployments = connections["ledger"], connections["deployments"]
    credited = [
        row["reference"].split(":")[1]
        for row in await ledger.fetch("SELECT reference FROM command_references WHERE reference LIKE 'stripe:%:credit'")
    ]
    charged = [row["deployment_id"] for row in await ledger.fetch("SELECT deployment_id FROM charges")]
    active = [
        row["name"]
        for row in await deployments.fetch(
            """SELECT substring(originator_id FROM position(':' IN originator_id) + 1) AS name FROM stored_events
               WHERE topic = 'deployments.DeploymentActivated'"""
        )
    ]
    promises = (
        ("payments credited", credited, load.heard),
        ("purchases charged", charged, load.bought),
        ("deployments active", active, load.bought),
    )
    for what, done, promised in promises:
        assert sorted(done) == sorted(promised), f"{what}: {len(done)}, promised {len(promised)}"
    bought_cents = len(load.bought) * 500
    total = await ledger.fetchval("SELECT sum(spendable + held)::bigint FROM wallets")
    assert total == len(load.heard) * CENTS - bought_cents, f"wallets hold {total}"
    for name in ("ledger", "deployments"):
        assert await connections[name].fetchval("SELECT count(*) FROM dead_letters") == 0, f"{name} parked messages"
    for command in ("verify", "rebuild"):
        assert await fleet.run("ledger", command) == 0, f"{command} found faults; see the log"
    lost = sum(len(promised.difference(done)) for _, done, promised in promises)
    return lost, sum(len(done) - len(set(done)) for _, done, _ in promises)
