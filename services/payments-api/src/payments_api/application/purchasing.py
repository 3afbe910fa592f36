"""The purchase process: store the intent, ask the ledger under one key, and go on asking until the outcome is known.

A request waits for the outcome as long as its budget allows; what it leaves open, ``resume_once`` takes up, in this
process or after a restart. Never asks the ledger inside of a transaction.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from chassis.bus.retry import Backoff, passes
from chassis.ids import IdFactory
from chassis.rounds import in_rounds
from chassis.runtime import StopSignal
from payments_api.application.ports import IdempotencyKey, Ledger, Opened, Purchase, PurchaseDesk, Service
from payments_api.application.refusals import OutcomeUnknown

log = structlog.get_logger("purchasing")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often, in seconds. ``budget_s`` is one request's; the rest is the background's."""

    budget_s: float = 5.0
    first_pause_s: float = 0.1
    longest_pause_s: float = 1.0
    # Behind the budget, so that the background does not ask what a request is asking.
    resume_after_s: float = 6.0
    resume_pause_s: float = 1.0
    resume_pause_max_s: float = 60.0
    look_every_s: float = 1.0
    resume_max_purchases: int = 20


class Purchasing:
    """The use case behind "buy now" with credits."""

    def __init__(self, desk: PurchaseDesk, ledger: Ledger, ids: IdFactory, *, patience: Patience | None = None) -> None:
        self._desk = desk
        self._ledger = ledger
        self._ids = ids
        self._patience = patience or Patience()

    async def buy(self, user_id: str, service: Service, key: IdempotencyKey | None) -> Opened:
        """Buy one deployment; the purchase that is answered is charged or refused.

        Raises OutcomeUnknown when neither is known in time, KeyReused, and what the database raises before the
        intent is stored.
        """
        patience = self._patience
        deadline = _now() + patience.budget_s
        deployment_id = str(self._ids.new())
        opened = await self._desk.open(deployment_id, user_id, service, key, resume_after_s=patience.resume_after_s)
        if opened.purchase.state != "requested":
            return opened
        return Opened(await self._pursue(opened.purchase, deadline), opened.is_repeat)

    async def resume_once(self) -> int:
        """Ask once more for each purchase that is due; answers how many there were."""
        patience = self._patience
        due = await self._desk.take_due(
            patience.resume_max_purchases, pause_s=patience.resume_pause_s, pause_max_s=patience.resume_pause_max_s
        )
        await asyncio.gather(*(self._resume(purchase) for purchase in due))
        return len(due)

    async def run(self, stop: StopSignal) -> None:
        """Resume what is due until stopped. A database that is away is waited for; bugs are raised."""
        await in_rounds(self.resume_once, stop, every_s=self._patience.look_every_s, failed="purchases_not_resumed")

    async def _pursue(self, purchase: Purchase, deadline: float) -> Purchase:
        backoff = Backoff(self._patience.first_pause_s, self._patience.longest_pause_s)
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._attempt(purchase)
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("charge_unanswered", deployment_id=purchase.deployment_id, error=str(error))
            pause_s = backoff.next_s()
            if _now() + pause_s >= deadline:
                raise OutcomeUnknown(purchase.deployment_id)
            await asyncio.sleep(pause_s)

    async def _resume(self, purchase: Purchase) -> None:
        try:
            settled = await self._attempt(purchase)
        except Exception as error:
            if not passes(error):
                raise
            log.warning("charge_unanswered", deployment_id=purchase.deployment_id, error=str(error))
            return
        log.info("purchase_resumed", deployment_id=purchase.deployment_id, state=settled.state)

    async def _attempt(self, purchase: Purchase) -> Purchase:
        outcome = await self._ledger.charge(purchase)
        return await self._desk.settle(purchase.deployment_id, outcome)


def _now() -> float:
    return asyncio.get_running_loop().time()
