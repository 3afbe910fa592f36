"""Sends signed webhooks, as gateways do: again and again until somebody answers 2xx, but not for ever.

The same body is sent each time, signed anew. Which events, when and how often is for others to say.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx
import structlog

from chassis.clock import Clock
from embedded.demo_gateway.signing import webhook_signature

log = structlog.get_logger("webhooks")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gateway's webhooks go, and the header in which it signs. ``url`` is the receiver's base."""

    url: str
    path: str
    header: str


class SignedDelivery:
    """``close`` it at the end. The pause before an attempt doubles from ``pause_s``."""

    def __init__(
        self,
        address: Address,
        secret: bytes,
        clock: Clock,
        *,
        attempts: int,
        pause_s: float,
        timeout_s: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = httpx.AsyncClient(base_url=address.url, timeout=timeout_s, trust_env=False, transport=transport)
        self._address = address
        self._secret = secret
        self._clock = clock
        self._attempts = attempts
        self._pause_s = pause_s

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def deliver(self, event_id: str, body: bytes) -> bool:
        """Whether somebody took it in the end."""
        for attempt in range(self._attempts):
            if attempt:
                await asyncio.sleep(self._pause_s * 2.0 ** (attempt - 1))
            if await self._send(event_id, body):
                return True
        return False

    async def _send(self, event_id: str, body: bytes) -> bool:
        signature = webhook_signature(body, self._secret, int(self._clock.now().timestamp()))
        headers = {"content-type": "application/json", self._address.header: signature}
        try:
            answer = await self._client.post(self._address.path, content=body, headers=headers)
        except httpx.HTTPError as error:
            log.warning("webhook_not_delivered", event_id=event_id, error=type(error).__name__)
            return False
        if not answer.is_success:
            log.warning("webhook_refused", event_id=event_id, status=answer.status_code)
        return answer.is_success
