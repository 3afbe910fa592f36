"""The simulated Stripe's webhooks: signed, sent again until somebody answers 2xx, but not for ever.

Can be told to keep them back, to lose them, or to send each several times: what a real gateway does on a bad day.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Literal

import httpx
import structlog

from chassis.clock import Clock
from embedded.demo_gateway.signing import webhook_signature

PATH = "/api/webhooks/stripe"
TIMEOUT_S = 5.0
ATTEMPTS = 4
FIRST_PAUSE_S = 0.1
COPIES_MAX = 10
MODES = ("send", "hold", "lose")
Mode = Literal["send", "hold", "lose"]

log = structlog.get_logger("stripe_simulator")


class Webhooks:
    """Sends in the background, one after the other; ``drained`` waits until all that was to be sent is done with."""

    def __init__(
        self,
        url: str,
        secret: bytes,
        clock: Clock,
        *,
        attempts: int = ATTEMPTS,
        pause_s: float = FIRST_PAUSE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False, transport=transport)
        self._secret = secret
        self._clock = clock
        self._attempts = attempts
        self._pause_s = pause_s
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: list[dict[str, Any]] = []
        self.mode: Mode = "send"
        self.copies = 1

    async def close(self) -> None:
        """End what is being sent, and let go of the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def tell(self, event: dict[str, Any]) -> None:
        """Send the event as the mode says. ``_delivered`` of it becomes true once somebody took it."""
        if self.mode == "hold":
            self._held.append(event)
        elif self.mode == "send":
            self.send(event)

    def send(self, event: dict[str, Any]) -> None:
        """Send it whatever the mode."""
        task = asyncio.create_task(self._deliver(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def release(self, *, is_reversed: bool) -> int:
        """Send what was held back; how many that was."""
        held, self._held = self._held, []
        for event in reversed(held) if is_reversed else held:
            self.send(event)
        return len(held)

    async def drained(self) -> None:
        """Until nothing is being sent any more."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _deliver(self, event: dict[str, Any]) -> None:
        body = json.dumps({name: value for name, value in event.items() if not name.startswith("_")}).encode()
        async with self._turn:
            for _ in range(self.copies):
                event["_delivered"] = await self._deliver_once(event, body)

    async def _deliver_once(self, event: Mapping[str, Any], body: bytes) -> bool:
        for attempt in range(self._attempts):
            if attempt:
                await asyncio.sleep(self._pause_s * 2.0 ** (attempt - 1))
            if await self._send(str(event["id"]), body):
                return True
        return False

    async def _send(self, event_id: str, body: bytes) -> bool:
        signature = webhook_signature(body, self._secret, int(self._clock.now().timestamp()))
        headers = {"content-type": "application/json", "stripe-signature": signature}
        try:
            answer = await self._client.post(PATH, content=body, headers=headers)
        except httpx.HTTPError as error:
            log.warning("webhook_not_delivered", event_id=event_id, error=type(error).__name__)
            return False
        if not answer.is_success:
            log.warning("webhook_refused", event_id=event_id, status=answer.status_code)
        return answer.is_success
