"""Following payments: ask the gateway about those that stay open, let expire what nobody paid, and learn the fees of
those that were credited.

What a gateway says becomes observations, the way of its webhooks: a payment whose webhook never came is credited by the
same reference, so never twice. Nothing is asked about for ever; what comes after that is told by its webhook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog

from chassis.bus.retry import passes
from chassis.errors import DomainError
from chassis.rounds import in_rounds
from chassis.runtime import StopSignal
from payments_api.application.gateways import AskedPayment, Gateway, KeepsFees, Observation, Observing
from payments_api.domain.payment import REQUIRES_ACTION

BATCH_MAX_PAYMENTS = 20
LOOK_EVERY_S = 1.0
GIVEN_UP_AFTER_S = 30 * 86_400.0
"""Slow methods take two weeks at most. Counted from a quote's end; what comes later still is credited all the same."""

log = structlog.get_logger("following")


class OpenQueue(Protocol):
    """Where open payments are taken from."""

    async def take(self, limit: int) -> Sequence[Any]:
        """(gateway, AskedPayment, whether it is credited, for how long it is waited for) of those whose time has come.

        Each comes again. Waiting is counted from the quote's end, and from the credits once there are some.
        """
        ...

    async def done(self, payment_id: str) -> None:
        """A credited payment does not come again."""
        ...


class Expire(Protocol):
    """Ends a payment whose time is over, if no money of it is under way, or if that ``is_given_up``."""

    async def __call__(self, payment_id: str, *, is_given_up: bool = False) -> None: ...


class Following:
    """The process."""

    def __init__(
        self,
        queue: OpenQueue,
        gateways: Mapping[str, Gateway],
        observing: Observing,
        expire: Expire,
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
        for gateway, asked, is_credited, waited_s in taken:
            told = await self._ask(gateway, asked)
            if told is None:
                continue
            if not is_credited:
                await self._let_expire(asked.payment_id, told, waited_s)
            elif self._has_all_fees(gateway, told, waited_s):
                await self._queue.done(asked.payment_id)
        return len(taken)

    async def _ask(self, name: str, asked: AskedPayment) -> Sequence[Observation] | None:
        """What the gateway says, told before anything else: it must not be missed. None while nobody answers."""
        gateway = self._gateways.get(name)
        if gateway is None:
            return ()
        try:
            observations = await gateway.status(asked)
            await self._observing.tell(observations)
        except DomainError as refused:
            log.warning("gateway_refused", gateway=name, payment=asked.payment_id, code=refused.code)
            return ()
        except Exception as error:
            if not passes(error):
                raise
            log.warning("gateway_away", gateway=name, payment=asked.payment_id, error=str(error))
            return None
        return observations

    async def _let_expire(self, payment_id: str, told: Sequence[Observation], waited_s: float) -> None:
        is_given_up = waited_s >= GIVEN_UP_AFTER_S
        if is_given_up:
            log.warning("payment_given_up", payment=payment_id, waited_s=round(waited_s))
        if is_given_up or not any(_is_under_way(each) for each in told):
            await self._expire(payment_id, is_given_up=is_given_up)

    def _has_all_fees(self, name: str, told: Sequence[Observation], waited_s: float) -> bool:
        gateway = self._gateways.get(name)
        if not isinstance(gateway, KeepsFees) or any(each.kind == "fee" for each in told):
            return True
        return waited_s >= gateway.fees_awaited_s


def _is_under_way(told: Observation) -> bool:
    """Whether money is on its way. While the payer has something more to do, nobody has sent any."""
    return told.kind == "confirmed" or (told.kind == "pending" and told.fields.get("state") != REQUIRES_ACTION)
