"""The simulated Stripe's webhooks: signed, sent again until somebody answers 2xx, but not for ever.

Can be told to keep them back, to lose them, or to send each several times: what a real gateway does on a bad day.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import httpx

from chassis.clock import Clock
from embedded.demo_gateway.signed_delivery import Address, SignedDelivery

PATH = "/api/webhooks/stripe"
TIMEOUT_S = 5.0
ATTEMPTS = 4
FIRST_PAUSE_S = 0.1
COPIES_MAX = 10
MODES = ("send", "hold", "lose")
Mode = Literal["send", "hold", "lose"]


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
        address = Address(url, PATH, "stripe-signature")
        self._delivery = SignedDelivery(
            address, secret, clock, attempts=attempts, pause_s=pause_s, timeout_s=TIMEOUT_S, transport=transport
        )
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
        await self._delivery.close()

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
                event["_delivered"] = await self._delivery.deliver(str(event["id"]), body)
