"""ClickPesa: its simulator behind our own client, checkout pages and checksums; odd webhooks are signed here.

A webhook is only a reason to ask back, so whatever is told must have happened at the simulator before.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest

from contracts.references import RANDOM_BITS, make_reference
from embedded.gateway_simulators.clickpesa.checksum import checksum

from .contract import GatewayContract

pytestmark = pytest.mark.e2e
SILENT_CALLS = 100_000


class ClickPesaPlayer:
    """See contract.Player."""

    name = "clickpesa"
    request: Mapping[str, Any] = {"amount": "25", "currency": "USD"}
    unit = Decimal("0.01")

    def __init__(self, person: Any) -> None:
        self._person = person
        self._url = person.stack.url("gateway-ingest") + "/api/webhooks/clickpesa"
        self._simulator = person.stack.url("demo-gateway") + "/clickpesa"
        self._key = person.stack.note().environments["gateway-ingest"]["CLICKPESA_WEBHOOK_SECRET"].encode()
        self._last: bytes = b""

    async def pays(self, payment: Mapping[str, Any]) -> None:
        assert payment["payment_url"] == f"{self._simulator}/pay/{payment['reference']}"
        answer = await self._person.http.post(payment["payment_url"], data={"action": "pay"})
        assert answer.status_code == 200, answer.text

    async def pays_in_silence(self, payment: Mapping[str, Any]) -> None:
        await self._silently(payment["reference"], {"action": "pay"})

    async def tells(self, payment: Mapping[str, Any] | None, units: int, currency: str | None = None) -> httpx.Response:
        reference = await self._link_of_nobody() if payment is None else payment["reference"]
        happening = {"action": "pay", "amount": str(units * self.unit)}
        await self._silently(reference, happening if currency is None else happening | {"currency": currency})
        return await self._send("PAYMENT RECEIVED", "SUCCESS", reference, self._key)

    async def tells_again(self) -> httpx.Response:
        headers = {"content-type": "application/json"}
        answer: httpx.Response = await self._person.http.post(self._url, content=self._last, headers=headers)
        return answer

    async def forges(self, payment: Mapping[str, Any]) -> httpx.Response:
        return await self._send("PAYMENT RECEIVED", "SUCCESS", payment["reference"], b"CHKguessed")

    async def tells_of_failure(self, payment: Mapping[str, Any]) -> None:
        await self._silently(payment["reference"], {"action": "fail"})
        assert (await self._send("PAYMENT FAILED", "FAILED", payment["reference"], self._key)).status_code == 200

    async def gives_back(self, payment: Mapping[str, Any]) -> None:
        """After its settlement; somebody tells of it."""
        for action in ("settle", "reverse"):
            await self._silently(payment["reference"], {"action": action})
        assert (await self._send("PAYMENT REVERSED", "REVERSED", payment["reference"], self._key)).status_code == 200

    async def goes_away(self) -> None:
        # Open payments of other tests are asked about all the time.
        await self._simulate("/simulate/silence", {"calls": SILENT_CALLS})

    async def comes_back(self) -> None:
        await self._simulate("/simulate/silence", {"calls": 0})

    async def _silently(self, reference: str, happening: Mapping[str, Any]) -> None:
        await self._simulate("/simulate/webhooks", {"mode": "lose"})
        try:
            await self._simulate(f"/simulate/payments/{reference}", happening)
        finally:
            await self._simulate("/simulate/webhooks", {"mode": "send"})

    async def _link_of_nobody(self) -> str:
        """A checkout link that we know nothing of, under a reference that could be ours."""
        keys = {"client-id": "simulated", "api-key": "simulated"}
        token = (await self._simulate("/generate-token", {}, keys))["token"]
        asked = {"totalPrice": "12.34", "orderReference": make_reference(secrets.randbits(RANDOM_BITS))}
        asked["orderCurrency"] = "USD"
        signed = asked | {"checksum": checksum(asked, self._key)}
        await self._simulate("/checkout-link/generate-checkout-url", signed, {"authorization": token})
        return asked["orderReference"]

    async def _simulate(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Any:
        answer = await self._person.http.post(self._simulator + path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def _send(self, event: str, status: str, reference: str, key: bytes) -> httpx.Response:
        """What it says of an amount is never used."""
        data = {"id": f"LCP{secrets.token_hex(6)}", "status": status, "orderReference": reference}
        body = {"event": event, "data": data | {"collectedAmount": "9999999", "collectedCurrency": "TZS"}}
        self._last = json.dumps(body | {"checksum": checksum(body, key)}).encode()
        return await self.tells_again()


class ShillingPlayer(ClickPesaPlayer):
    """The price is in shillings: worth 25 dollars at the simulator's rate, less the spread."""

    request: Mapping[str, Any] = {"amount": "66460", "currency": "TZS"}
    unit = Decimal(1)


class ClickPesaContract(GatewayContract):
    """The contract, and what ClickPesa does beside."""

    @pytest.mark.asyncio
    async def test_what_was_given_back_is_taken_back(self, person: Any, gateway: ClickPesaPlayer) -> None:
        payment = await self.begin(person, gateway)
        await gateway.pays(payment)
        await person.balance_becomes("25.00")
        await gateway.gives_back(payment)
        shown = await self.becomes(person, payment, "refunded")
        assert shown["refunded"] == shown["received"] == shown["price"]
        await person.balance_becomes("0.00")


class TestClickPesa(ClickPesaContract):
    """In dollars."""

    @pytest.fixture
    def gateway(self, person: Any) -> ClickPesaPlayer:
        return ClickPesaPlayer(person)


class TestClickPesaInShillings(ClickPesaContract):
    """In a currency that has no rate in our books."""

    @pytest.fixture
    def gateway(self, person: Any) -> ShillingPlayer:
        return ShillingPlayer(person)
