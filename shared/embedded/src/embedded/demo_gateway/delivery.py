"""Delivers webhooks, as gateways do: again and again until somebody answers 2xx, but not for ever.

The same event is sent each time, signed anew.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import structlog

from chassis.clock import Clock
from embedded.demo_gateway.signing import webhook_signature

PATH = "/api/webhooks/demo"
TIMEOUT_S = 2.0
# Together with the pauses less than the page's request may take.
ATTEMPTS = 4
FIRST_PAUSE_S = 0.1

log = structlog.get_logger("demo_gateway")


class Delivery:
    """Use it as an async context manager around the process's life."""

    def __init__(
        self, url: str, secret: bytes, clock: Clock, *, attempts: int = ATTEMPTS, pause_s: float = FIRST_PAUSE_S
    ) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False)
        self._secret = secret
        self._clock = clock
        self._attempts = attempts
        self._pause_s = pause_s
        self._later: set[asyncio.Task[bool]] = set()

    async def close(self) -> None:
        """Forget what was to be told later, and let go of the connections."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
        await self._client.aclose()

    def deliver_later(self, event: Mapping[str, Any], pause_s: float) -> None:
        """As ``deliver``, after a while; forgotten when the process ends before that."""
        task = asyncio.create_task(self._deliver_after(event, pause_s))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _deliver_after(self, event: Mapping[str, Any], pause_s: float) -> bool:
        await asyncio.sleep(pause_s)
        return await self.deliver(event)

    async def deliver(self, event: Mapping[str, Any]) -> bool:
        """Whether somebody took it in the end."""
        body = json.dumps(event).encode()
        for attempt in range(self._attempts):
            if attempt:
                await asyncio.sleep(self._pause_s * 2.0 ** (attempt - 1))
            if await self._send(str(event["id"]), body):
                return True
        return False

    async def _send(self, event_id: str, body: bytes) -> bool:
        signature = webhook_signature(body, self._secret, int(self._clock.now().timestamp()))
        headers = {"content-type": "application/json", "demo-signature": signature}
        try:
            answer = await self._client.post(PATH, content=body, headers=headers)
        except httpx.HTTPError as error:
            log.warning("webhook_not_delivered", event_id=event_id, error=type(error).__name__)
            return False
        if not answer.is_success:
            log.warning("webhook_refused", event_id=event_id, status=answer.status_code)
        return answer.is_success
