"""Somebody at the stack's doors: a person, a gateway, an operator.

Nothing in here reaches into a process: tests see what these see, over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import httpx

from embedded.demo.clients import payment_succeeded, signature
from testkit.waiting_for import eventually

from .launched_stack import RETRY_S, START_TIMEOUT_S, STRIPE_SECRET, LaunchedStack

READY_PROCESSES = ("gateway-ingest", "ledger", "deployments", "payments-api", "grid-simulator")
AMONG_OTHERS_S = 60.0


class Visitor:
    """Somebody with a browser, a card, and a way to look into the books."""

    silence = (httpx.TransportError,)

    def __init__(self, http: httpx.AsyncClient, stack: LaunchedStack, user_id: str) -> None:
        self.http = http
        self.user_id = user_id
        self.stack = stack
        note = stack.note()
        self.operator = {"Authorization": f"Bearer {note.environments['ledger']['SERVICE_TOKEN']}"}
        self.signed_in: dict[str, str] = {}

    async def everything_is_up(self) -> None:
        await eventually(lambda: all_ready(self.stack, self.http), START_TIMEOUT_S)

    async def sign_in(self) -> None:
        answer = await self.http.post(f"{self.stack.url('payments-api')}/api/auth/demo", json={"user_id": self.user_id})
        self.signed_in = {"Authorization": f"Bearer {read(answer)['access_token']}"}

    async def get(self, path: str) -> Any:
        return read(await self.http.get(f"{self.stack.url('payments-api')}{path}", headers=self.signed_in))

    async def balance(self) -> str:
        return str((await self.get("/api/user/tfc-balance"))["balance"])

    async def balance_becomes(self, amount: str, timeout_s: float = AMONG_OTHERS_S) -> None:
        async def reached() -> bool:
            assert await self.balance() == amount
            return True

        await eventually(reached, timeout_s)

    async def buy(self, service_id: str, key: str | None = None) -> httpx.Response:
        return await self.http.post(
            f"{self.stack.url('payments-api')}/api/marketplace/buy-now",
            json={"service_id": service_id, "payment_method": "TFC"},
            headers={**self.signed_in, **({"Idempotency-Key": key} if key else {})},
        )

    async def deployment_becomes(self, deployment_id: str, status: str) -> dict[str, Any]:
        async def reached() -> dict[str, Any]:
            shown: dict[str, Any] = await self.get(f"/api/deployments/{deployment_id}")
            assert shown["status"] == status
            return shown

        return await eventually(reached, AMONG_OTHERS_S)

    async def webhook(self, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Post a Stripe webhook, signed unless ``headers`` are given."""
        url = f"{self.stack.url('gateway-ingest')}/api/webhooks/stripe"
        return await self.http.post(url, content=body, headers=sign(body) if headers is None else headers)

    async def pay(
        self, cents: int, intent_id: str | None = None, event_id: str | None = None, *, user_id: str | None = None
    ) -> httpx.Response:
        """Let Stripe say that this person (or another) paid."""
        return await self.webhook(payment_body(user_id or self.user_id, cents, intent_id, event_id))

    async def ledger(self, path: str) -> Any:
        return read(await self.http.get(f"{self.stack.url('ledger')}/v1{path}", headers=self.operator))

    async def earned(self, account: str, *deployment_ids: str) -> Decimal:
        """What an account got from these deployments, once the journal has all that this person was answered."""
        position = (await self.ledger(f"/wallets/{self.user_id}"))["position"]
        page = await self.ledger(f"/accounts/{account}/postings?limit=200&min_position={position}")
        of_ours = tuple(f"deployment:{deployment_id}:" for deployment_id in deployment_ids)
        lines = [line for line in page["postings"] if line["reference"].startswith(of_ours)]
        return sum((Decimal(line["amount"]) for line in lines), Decimal("0.00"))


async def all_ready(stack: LaunchedStack, http: httpx.AsyncClient) -> bool:
    """Whether every process that speaks HTTP says that it is ready."""
    for process in READY_PROCESSES:
        try:
            if (await http.get(f"{stack.url(process)}/readyz")).status_code != httpx.codes.OK:
                return False
        except httpx.TransportError:
            return False
    return True


def payment_body(user_id: str, cents: int, intent_id: str | None = None, event_id: str | None = None) -> bytes:
    intent = intent_id or f"pi_{secrets.token_hex(8)}"
    return json.dumps(payment_succeeded(event_id or f"evt_{secrets.token_hex(8)}", intent, cents, user_id)).encode()


def sign(body: bytes, *, secret: str = STRIPE_SECRET, age_s: int = 0) -> dict[str, str]:
    return {"Stripe-Signature": signature(body, secret.encode(), int(time.time()) - age_s)}


def read(answer: httpx.Response) -> Any:
    assert answer.status_code < 300, f"{answer.request.method} {answer.request.url}: {answer.text}"
    return json.loads(answer.text, parse_float=Decimal)


async def persist(call: Callable[[], Any], timeout_s: float = AMONG_OTHERS_S) -> httpx.Response:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            answer: httpx.Response = await call()
        except httpx.TransportError as error:
            seen = repr(error)
        else:
            if answer.status_code < 500:
                return answer
            seen = f"{answer.status_code}: {answer.text}"
        assert time.monotonic() < deadline, f"never answered; last seen {seen}"
        await asyncio.sleep(RETRY_S)
