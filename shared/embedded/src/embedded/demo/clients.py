"""How the demo talks to the stack, over HTTP only: as a person, as Stripe, and as somebody who reads the books.

Amounts come as Decimal, exactly as they stand in the answers. Knows nothing of what should come out.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx

TIMEOUT_S = 15.0
POSTINGS_MAX = 200


class UnexpectedAnswer(Exception):
    """The stack answered what nobody asked for; the text is one line."""


@dataclass(frozen=True, slots=True)
class StackAddress:
    """Where a stack is, and what opens it."""

    payments_api: str
    gateway_ingest: str
    ledger: str
    stripe_secret: str = field(repr=False)
    service_token: str = field(repr=False)


class Person:
    """Somebody signed in at payments-api."""

    def __init__(self, http: httpx.AsyncClient, address: StackAddress, user_id: str) -> None:
        self.user_id = user_id
        self._http = http
        self._base = address.payments_api
        self._headers: Mapping[str, str] = {}

    async def sign_in(self) -> None:
        """The demo sign-in: it believes whoever asks."""
        answer = await self._http.post(f"{self._base}/api/auth/demo", json={"user_id": self.user_id})
        self._headers = {"Authorization": f"Bearer {_body(answer)['access_token']}"}

    async def balance(self) -> dict[str, Any]:
        """What can be spent, what is held."""
        return await self._get("/api/user/tfc-balance")

    async def services(self) -> dict[str, dict[str, Any]]:
        """The catalogue, by id."""
        return {service["id"]: service for service in (await self._get("/api/marketplace/services"))["services"]}

    async def buy(self, service_id: str) -> dict[str, Any]:
        """Buy a deployment with credits; answers the action."""
        body = {"service_id": service_id, "payment_method": "TFC"}
        answer = await self._http.post(f"{self._base}/api/marketplace/buy-now", json=body, headers=self._headers)
        action: dict[str, Any] = _body(answer)["action"]
        return action

    async def deployment(self, deployment_id: str) -> dict[str, Any]:
        """A deployment of theirs."""
        return await self._get(f"/api/deployments/{deployment_id}")

    async def _get(self, path: str) -> dict[str, Any]:
        return _body(await self._http.get(f"{self._base}{path}", headers=self._headers))


class Stripe:
    """Sends webhooks as Stripe does: its shapes, its signature."""

    def __init__(self, http: httpx.AsyncClient, address: StackAddress) -> None:
        self._http = http
        self._url = f"{address.gateway_ingest}/api/webhooks/stripe"
        self._secret = address.stripe_secret.encode()

    async def payment_succeeded(self, event_id: str, intent_id: str, cents: int, user_id: str) -> None:
        """Tell of a payment in US dollars."""
        body = json.dumps(payment_succeeded(event_id, intent_id, cents, user_id)).encode()
        headers = {"Stripe-Signature": signature(body, self._secret, int(time.time()))}
        _body(await self._http.post(self._url, content=body, headers=headers))


class Books:
    """Reads the ledger with the service token."""

    def __init__(self, http: httpx.AsyncClient, address: StackAddress) -> None:
        self._http = http
        self._base = f"{address.ledger}/v1"
        self._headers = {"Authorization": f"Bearer {address.service_token}"}

    async def position(self, user_id: str) -> int:
        """How far the log has come, once it holds all that this person was answered."""
        return int((await self._get(f"/wallets/{user_id}"))["position"])

    async def postings(self, account: str, position: int) -> list[dict[str, Any]]:
        """An account's newest postings, not older than ``position``."""
        query = f"limit={POSTINGS_MAX}&min_position={position}"
        postings: list[dict[str, Any]] = (await self._get(f"/accounts/{account}/postings?{query}"))["postings"]
        return postings

    async def trial_balance(self) -> dict[str, Any]:
        """The sum of all postings for each asset."""
        return await self._get("/trial-balance")

    async def _get(self, path: str) -> dict[str, Any]:
        return _body(await self._http.get(f"{self._base}{path}", headers=self._headers))


def payment_succeeded(event_id: str, intent_id: str, cents: int, user_id: str) -> dict[str, Any]:
    """A ``payment_intent.succeeded`` in US dollars, as far as anybody reads it."""
    now = int(time.time())
    intent = {
        "id": intent_id,
        "object": "payment_intent",
        "amount": cents,
        "amount_received": cents,
        "currency": "usd",
        "created": now,
        "livemode": False,
        "metadata": {"user_id": user_id, "purpose": "tfc_purchase"},
        "status": "succeeded",
    }
    return {
        "id": event_id,
        "object": "event",
        "api_version": "2025-07-30.basil",
        "created": now,
        "livemode": False,
        "type": "payment_intent.succeeded",
        "data": {"object": intent},
    }


def signature(body: bytes, secret: bytes, timestamp_s: int) -> str:
    """The ``Stripe-Signature`` header."""
    return f"t={timestamp_s},v1={hmac.digest(secret, b'%d.' % timestamp_s + body, 'sha256').hex()}"


def _body(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        where = f"{answer.request.method} {answer.request.url}"
        raise UnexpectedAnswer(f"{where} answered {answer.status_code}: {answer.text[:300]}")
    body: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
    return body
