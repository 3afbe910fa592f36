"""Refunds that begin here: stored first, then asked of the gateway under one id until the outcome is known.

Moves no credits: the gateway's own news of the refund take them back, as they do for a refund made in its dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from chassis.bus.retry import passes
from chassis.errors import Conflict, DomainError
from chassis.rounds import in_rounds
from chassis.runtime import StopSignal
from payments_api.application.gateways import Gateway, GatewayRefused, Observing, RefundRequest, RefundStarted

BATCH_MAX_REFUNDS = 20
LOOK_EVERY_S = 1.0
FAILED_AT_ONCE = "The gateway took it and it failed at once"

log = structlog.get_logger("refunding")


@dataclass(frozen=True, slots=True)
class DueRefund:
    """A refund without an outcome."""

    gateway: str
    request: RefundRequest


class RefundDesk(Protocol):
    """Where refunds are kept."""

    async def take_due(self, limit: int) -> Sequence[DueRefund]:
        """Refunds without an outcome whose time has come; each comes again after a pause that doubles."""
        ...

    async def take(self, refund_id: str) -> DueRefund | None:
        """This one, if it has no outcome yet."""
        ...

    async def accept(self, refund_id: str, gateway_refund_id: str) -> None:
        """The gateway has it."""
        ...

    async def refuse(self, refund_id: str, refusal: str) -> None:
        """It will never be done."""
        ...


class NotRefundable(Conflict):
    """The payment has nothing that could go back."""

    def __init__(self, title: str) -> None:
        super().__init__("not_refundable", title)


class Refunding:
    """The process."""

    def __init__(self, desk: RefundDesk, gateways: Mapping[str, Gateway], observing: Observing) -> None:
        self._desk = desk
        self._gateways = gateways
        self._observing = observing

    async def attempt(self, refund_id: str) -> None:
        """Ask for this one now; what is away is asked again behind."""
        due = await self._desk.take(refund_id)
        if due is not None:
            await self._ask(due)

    async def run(self, stop: StopSignal) -> None:
        """Ask for what is due until stopped."""
        await in_rounds(self.ask_due, stop, every_s=LOOK_EVERY_S, failed="refunds_not_asked")

    async def ask_due(self) -> None:
        """Ask for what is due, once."""
        for due in await self._desk.take_due(BATCH_MAX_REFUNDS):
            await self._ask(due)

    async def _ask(self, due: DueRefund) -> None:
        refund_id = due.request.refund_id
        gateway = self._gateways.get(due.gateway)
        if gateway is None:
            await self._desk.refuse(refund_id, f"{due.gateway} is not set up here any more")
            return
        try:
            started = await gateway.refund(due.request)
            await self._observing.tell(started.observations)
        except DomainError as refused:
            reason = refused.title if isinstance(refused, GatewayRefused) else str(refused)
            await self._desk.refuse(refund_id, reason)
        except Exception as error:
            if not passes(error):
                raise
            log.warning("refund_unanswered", refund=refund_id, error=str(error))
        else:
            await self._settle(refund_id, started)

    async def _settle(self, refund_id: str, started: RefundStarted) -> None:
        failed = next((told for told in started.observations if told.fields.get("state") == "failed"), None)
        if failed is None:
            await self._desk.accept(refund_id, started.gateway_refund_id)
        else:
            await self._desk.refuse(refund_id, str(failed.fields.get("reason") or FAILED_AT_ONCE))
