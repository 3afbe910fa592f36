"""Stripe: its simulator behind the official library, pay pages and signed webhooks; odd news are signed here."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from embedded.demo.clients import signature

from .contract import GatewayContract

pytestmark = pytest.mark.e2e


class StripePlayer:
    """See contract.Player."""

    name = "stripe"
    request: Mapping[str, Any] = {"amount": "25", "currency": "USD"}

    def __init__(self, person: Any) -> None:
        self._person = person
        self._url = person.stack.url("gateway-ingest") + "/api/webhooks/stripe"
        self._simulator = person.stack.url("demo-gateway") + "/stripe/simulate"
        self._secret = person.stack.environment["STRIPE_WEBHOOK_SECRET"].encode()
        self._last: tuple[bytes, dict[str, str]] = (b"", {})

    async def pays(self, payment: Mapping[str, Any]) -> None:
        await self._simulate(f"/payments/{payment['session_id']}", {"card": "4242424242424242"})

    async def pays_in_silence(self, payment: Mapping[str, Any]) -> None:
        await self._simulate("/webhooks", {"mode": "lose"})
        try:
            await self.pays(payment)
        finally:
            await self._simulate("/webhooks", {"mode": "send"})

    async def tells(self, payment: Mapping[str, Any] | None, units: int, currency: str | None = None) -> httpx.Response:
        return await self._send(payment, "payment_intent.succeeded", self._secret, units, currency)

    async def tells_again(self) -> httpx.Response:
        body, headers = self._last
        answer: httpx.Response = await self._person.http.post(self._url, content=body, headers=headers)
        return answer

    async def forges(self, payment: Mapping[str, Any]) -> httpx.Response:
        return await self._send(payment, "payment_intent.succeeded", b"guessed", 2500)

    async def tells_of_failure(self, payment: Mapping[str, Any]) -> None:
        await self._send(payment, "payment_intent.payment_failed", self._secret, 0)

    async def goes_away(self) -> None:
        await self._simulate("/silence", {"calls": 20})

    async def comes_back(self) -> None:
        await self._simulate("/silence", {"calls": 0})

    async def _simulate(self, path: str, body: Mapping[str, Any]) -> None:
        answer = await self._person.http.post(self._simulator + path, json=body)
        assert answer.status_code == 200, answer.text

    async def _send(
        self, payment: Mapping[str, Any] | None, kind: str, secret: bytes, units: int, currency: str | None = None
    ) -> httpx.Response:
        reference = "GLD4WJD8RSK25FN9" if payment is None else payment["reference"]
        intent = {
            "id": f"pi_{secrets.token_hex(8)}",
            "object": "payment_intent",
            "amount_received": units,
            "currency": (currency or "usd").lower(),
            "metadata": {"reference": reference},
            "last_payment_error": {"code": "card_declined", "message": "Your card was declined."},
        }
        event = {
            "id": f"evt_{secrets.token_hex(8)}",
            "object": "event",
            "type": kind,
            "created": int(time.time()),
            "data": {"object": intent},
        }
        body = json.dumps(event).encode()
        self._last = body, {"stripe-signature": signature(body, secret, int(time.time()))}
        return await self.tells_again()


class TestStripe(GatewayContract):
    """The contract."""

    @pytest.fixture
    def gateway(self, person: Any) -> StripePlayer:
        return StripePlayer(person)
