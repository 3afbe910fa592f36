"""The demo gateway's webhooks: sent at once, or after a while."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from chassis.clock import Clock
from embedded.demo_gateway.signed_delivery import Address, SignedDelivery

PATH = "/api/webhooks/demo"
TIMEOUT_S = 2.0
# Together with the pauses less than the page's request may take.
ATTEMPTS = 4
FIRST_PAUSE_S = 0.1


class Delivery:
    """Use it as an async context manager around the process's life."""

    def __init__(
        self, url: str, secret: bytes, clock: Clock, *, attempts: int = ATTEMPTS, pause_s: float = FIRST_PAUSE_S
    ) -> None:
        address = Address(url, PATH, "demo-signature")
        self._delivery = SignedDelivery(address, secret, clock, attempts=attempts, pause_s=pause_s, timeout_s=TIMEOUT_S)
        self._later: set[asyncio.Task[bool]] = set()

    async def close(self) -> None:
        """Forget what was to be told later, and let go of the connections."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
        await self._delivery.close()

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
        return await self._delivery.deliver(str(event["id"]), json.dumps(event).encode())
