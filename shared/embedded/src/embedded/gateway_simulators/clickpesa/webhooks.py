"""The simulated ClickPesa's webhooks: both published shapes, the checksum in any of the places where it was seen.

ClickPesa does not say how often it tries; this one tries a few times. It can keep them back, lose them, or send copies.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import structlog

from embedded.gateway_simulators.clickpesa.checksum import Method, checksum

PATH = "/api/webhooks/clickpesa"
HEADER = "x-clickpesa-signature"
TIMEOUT_S = 15.0
"""Longer than the shop takes to ask back."""
ATTEMPTS = 3
FIRST_PAUSE_S = 0.1
COPIES_MAX = 10

Shape = Literal["current", "old"]
Place = Literal["body", "data", "header"]
Mode = Literal["send", "hold", "lose"]
EVENTS = {"SUCCESS": "PAYMENT RECEIVED", "FAILED": "PAYMENT FAILED"}
FAILED_FIELDS = ("id", "status", "channel", "orderReference", "message", "updatedAt", "createdAt", "clientId")

log = structlog.get_logger("clickpesa_simulator")


@dataclass
class Manner:
    """How webhooks are sent from now on."""

    mode: Mode = "send"
    shape: Shape = "current"
    place: Place = "body"
    method: Method = "canonical"
    copies: int = 1


class ClickPesaWebhooks:
    """Sends in the background, in order; ``drained`` waits until nothing is left to send."""

    def __init__(
        self,
        url: str,
        checksum_key: bytes,
        *,
        pause_s: float = FIRST_PAUSE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._line = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False, transport=transport)
        self.checksum_key = checksum_key
        self.manner = Manner()
        self._pause_s = pause_s
        self._in_turn = asyncio.Lock()
        self._sending: set[asyncio.Task[None]] = set()
        self._kept_back: list[tuple[bytes, dict[str, str]]] = []

    async def close(self) -> None:
        """Stop sending."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._line.aclose()

    def tell(self, payment: Mapping[str, Any]) -> None:
        """Of a payment that succeeded or failed, as it is at this moment."""
        letter = written(payment, self.manner, self.checksum_key)
        if self.manner.mode == "hold":
            self._kept_back.append(letter)
        elif self.manner.mode == "send":
            self._send(letter, self.manner.copies)

    def release(self, *, is_reversed: bool) -> int:
        """Send what was kept back; how many that was."""
        letters, self._kept_back = self._kept_back, []
        for letter in reversed(letters) if is_reversed else letters:
            self._send(letter, self.manner.copies)
        return len(letters)

    async def drained(self) -> None:
        """Until nothing is being sent."""
        while self._sending:
            await asyncio.gather(*self._sending)

    def _send(self, letter: tuple[bytes, dict[str, str]], copies: int) -> None:
        task = asyncio.create_task(self._deliver(*letter, copies))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, body: bytes, headers: dict[str, str], copies: int) -> None:
        async with self._in_turn:
            for _ in range(copies):
                await self._try(body, headers)

    async def _try(self, body: bytes, headers: dict[str, str]) -> None:
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(self._pause_s * 2.0 ** (attempt - 1))
            try:
                answer = await self._line.post(PATH, content=body, headers=headers)
            except httpx.HTTPError as error:
                log.warning("webhook_not_delivered", error=type(error).__name__)
                continue
            if answer.is_success:
                return
            log.warning("webhook_refused", status=answer.status_code)


def written(payment: Mapping[str, Any], manner: Manner, checksum_key: bytes) -> tuple[bytes, dict[str, str]]:
    """Body and headers."""
    event = EVENTS[payment["status"]]
    told: dict[str, Any]
    if manner.shape == "old":
        told = {"eventType": event, "data": _old_data(payment)}
    else:
        told = {"event": event, "data": _data(payment)}
    headers = {"content-type": "application/json"}
    part = told["data"] if manner.place == "data" else told
    made = checksum(part, checksum_key, manner.method)
    if manner.place == "header":
        headers[HEADER] = made
    else:
        part["checksum"] = made
    if manner.place != "header" or manner.method == "legacy":
        part["checksumMethod"] = manner.method
    return json.dumps(told, ensure_ascii=False).encode(), headers


def _data(payment: Mapping[str, Any]) -> dict[str, Any]:
    """Amounts are texts here, numbers in the answer to a query."""
    if payment["status"] == "FAILED":
        return {name: payment[name] for name in FAILED_FIELDS}
    data = {name: value for name, value in payment.items() if name != "clientId"}
    return data | {"collectedAmount": str(payment["collectedAmount"])}


def _old_data(payment: Mapping[str, Any]) -> dict[str, Any]:
    customer = payment["customer"]
    return {
        "paymentId": payment["id"],
        "status": payment["status"],
        "orderReference": payment["orderReference"],
        "amount": str(payment["collectedAmount"]),
        "currency": payment["collectedCurrency"],
        "message": payment["message"],
        "customer": {
            "name": customer["customerName"],
            "email": customer["customerEmail"],
            "phone": customer["customerPhoneNumber"],
        },
    }
