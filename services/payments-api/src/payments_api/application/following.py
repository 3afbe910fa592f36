"""Following open payments: ask the gateway about those that stay open, and let expire what nobody paid.

What a gateway says becomes observations, the way of its webhooks: a payment whose webhook never came is credited by the
same reference, so never twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog

from chassis.bus.retry import passes
from chassis.errors import DomainError
from chassis.rounds import in_rounds
from chassis.runtime import StopSignal
from payments_api.application.gateways import AskedPayment, Gateway, Observing

BATCH_MAX_PAYMENTS = 20
LOOK_EVERY_S = 1.0
UNDER_WAY = ("confirmed", "pending")

log = structlog.get_logger("following")


class OpenQueue(Protocol):
    """Where open payments are taken from."""

    async def take(self, limit: int) -> Sequence[Any]:
        """(gateway, AskedPayment, whether it is credited) of those whose time has come; each comes again."""
        ...

    async def done(self, payment_id: str) -> None:
        """A credited payment does not come again."""
        ...


class Following:
    """The process. ``expire`` ends a payment whose time is over, if nobody has begun to pay it."""

    def __init__(
        self,
        queue: OpenQueue,
        gateways: Mapping[str, Gateway],
        observing: Observing,
        expire: Callable[[str], Awaitable[None]],
    ) -> None:
        self._queue = queue
        self._gateways = gateways
        self._observing = observing
        self._expire = expire

    async def run(self, stop: StopSignal) -> None:
        """Look until stopped; what is away is asked again later, bugs are raised."""

        async def follow() -> None:
            while await self.follow_once() == BATCH_MAX_PAYMENTS and not stop.is_set():
                continue

        await in_rounds(follow, stop, every_s=LOOK_EVERY_S, failed="payments_not_followed")

    async def follow_once(self) -> int:
        """Look at those whose time has come; answers how many."""
        taken = await self._queue.take(BATCH_MAX_PAYMENTS)
        for gateway, asked, is_credited in taken:
            await self._follow(gateway, asked, is_credited=is_credited)
        return len(taken)

    async def _follow(self, name: str, asked: AskedPayment, *, is_credited: bool) -> None:
        """Ask, tell, and only then let it expire: what the gateway just said must not be missed."""
        gateway = self._gateways.get(name)
        if gateway is not None:
            try:
                observations = await gateway.status(asked)
                await self._observing.tell(observations)
                if any(told.kind in UNDER_WAY for told in observations) and not is_credited:
                    return
            except DomainError as refused:
                log.warning("gateway_refused", gateway=name, payment=asked.payment_id, code=refused.code)
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("gateway_away", gateway=name, payment=asked.payment_id, error=str(error))
                return
        if is_credited:
            await self._queue.done(asked.payment_id)
        else:
            await self._expire(asked.payment_id)
