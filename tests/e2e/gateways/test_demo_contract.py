"""The demo gateway: a page of ours, and webhooks signed as Stripe's are."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from embedded.demo.clients import signature

from .contract import GatewayContract, NotOfThisGateway

pytestmark = pytest.mark.e2e


class DemoPlayer:
    """See contract.Player."""

    name = "demo"
    request: Mapping[str, Any] = {"amount": "25", "currency": "USD"}

    def __init__(self, person: Any) -> None:
        self._person = person
        self._url = person.stack.url("gateway-ingest") + "/api/webhooks/demo"
        self._secret = person.stack.note().environments["gateway-ingest"]["DEMO_WEBHOOK_SECRET"].encode()
        self._last: tuple[bytes, dict[str, str]] = (b"", {})

    async def pays(self, payment: Mapping[str, Any]) -> None:
        answer = await self._person.http.post(payment["payment_url"], data={"outcome": "confirmed"})
        assert answer.status_code == 200, answer.text

    async def pays_in_silence(self, payment: Mapping[str, Any]) -> None:
        raise NotOfThisGateway("the demo gateway keeps nothing that could be asked for")

    async def tells(self, payment: Mapping[str, Any] | None, units: int, currency: str | None = None) -> httpx.Response:
        return await self._send("confirmed", payment, amount=units, currency=(currency or "USD").lower())

    async def tells_again(self) -> httpx.Response:
        body, headers = self._last
        answer: httpx.Response = await self._person.http.post(self._url, content=body, headers=headers)
        return answer

    async def forges(self, payment: Mapping[str, Any]) -> httpx.Response:
        return await self._send("confirmed", payment, b"guessed", amount=2500, currency="usd")

    async def tells_of_failure(self, payment: Mapping[str, Any]) -> None:
        await self._send("failed", payment, reason="Declined")

    async def goes_away(self) -> None:
        raise NotOfThisGateway("the demo gateway is not asked when a payment begins")

    async def comes_back(self) -> None: ...

    async def _send(
        self, outcome: str, payment: Mapping[str, Any] | None, secret: bytes | None = None, **data: Any
    ) -> httpx.Response:
        unknown = {"payment_id": secrets.token_hex(8), "reference": "GLD4WJD8RSK25FN9"}
        about = unknown if payment is None else {name: payment[name] for name in ("payment_id", "reference")}
        event = {
            "id": f"demo_evt_{secrets.token_hex(8)}",
            "type": f"payment.{outcome}",
            "created": int(time.time()),
            "data": about | data,
        }
        body = json.dumps(event).encode()
        self._last = body, {"demo-signature": signature(body, secret or self._secret, int(time.time()))}
        return await self.tells_again()


class TestDemo(GatewayContract):
    """The contract."""

    @pytest.fixture
    def gateway(self, person: Any) -> DemoPlayer:
        return DemoPlayer(person)
