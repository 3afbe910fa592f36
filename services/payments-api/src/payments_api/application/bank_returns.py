"""Transfers that somebody sent back at the bank, which tells us nothing of them: kept, then told as a refund.

Stored before gateway-ingest is told, and told until it was. Sends no money and takes no credits back itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from chassis.rounds import in_rounds
from chassis.runtime import StopSignal
from payments_api.application.bank_receipts import BATCH_MAX_RECEIPTS, NAME, TELL_AGAIN_EVERY_S, receipt_id
from payments_api.application.gateways import Observation, Observing

log = structlog.get_logger("bank_returns")


@dataclass(frozen=True, slots=True)
class SentBack:
    """``units`` smallest units of ``asset`` went back. ``returned_reference`` is the bank's reference of the transfer
    that had come, or the gateway's id of it; None where only one came for the payment."""

    payment_id: str
    asset: str
    units: int
    bank_reference: str
    reason: str
    returned_reference: str | None = None


@dataclass(frozen=True, slots=True)
class Return:
    """As it is kept. ``receipt_id`` is the money that came; ``is_repeat``: it was kept before."""

    id: str
    receipt_id: str
    payment_id: str
    asset: str
    units: int
    bank_reference: str
    reason: str
    is_repeat: bool


class ReturnDesk(Protocol):
    """Where returns are kept."""

    async def keep(self, return_id: str, receipt_id: str | None, sent_back: SentBack) -> Return:
        """Store it, committed when this returns; the one kept before when it says the same.

        Raises NotFound, NotABankTransfer, and Conflict: ``nothing_came``, ``which_transfer``, ``more_than_came``,
        ``bank_reference_used`` (it says something else).
        """
        ...

    async def told(self, return_id: str) -> None:
        """gateway-ingest has it."""
        ...

    async def take_untold(self, limit: int, *, older_than_s: float) -> Sequence[Return]:
        """Returns that gateway-ingest may not have, oldest first."""
        ...


class BankReturns:
    """The use case, and the process that tells what was kept and not told."""

    def __init__(self, desk: ReturnDesk, observing: Observing) -> None:
        self._desk = desk
        self._observing = observing

    async def record(self, sent_back: SentBack) -> Return:
        """Keep that it went back, and tell. Raises InvalidField, as ``ReturnDesk.keep``, and OperationalError: then it
        is kept, and will be told."""
        came = sent_back.returned_reference
        which = None if came is None else receipt_id(came)
        kept = await self._desk.keep(receipt_id(sent_back.bank_reference), which, sent_back)
        await self._tell(kept)
        return kept

    async def run(self, stop: StopSignal) -> None:
        """Tell what was kept and not told, until stopped."""

        async def tell() -> None:
            await self.tell_untold(older_than_s=TELL_AGAIN_EVERY_S)

        await in_rounds(tell, stop, every_s=TELL_AGAIN_EVERY_S, failed="bank_returns_not_told")

    async def tell_untold(self, *, older_than_s: float) -> int:
        """Tell once more; answers how many."""
        returns = await self._desk.take_untold(BATCH_MAX_RECEIPTS, older_than_s=older_than_s)
        for kept in returns:
            await self._tell(kept)
        return len(returns)

    async def _tell(self, kept: Return) -> None:
        await self._observing.tell([refund_of(kept)])
        await self._desk.told(kept.id)


def refund_of(kept: Return) -> Observation:
    """What gateway-ingest is told."""
    return Observation(
        gateway=NAME,
        name=f"{kept.receipt_id}.refund.{kept.id}.succeeded",
        kind="refund",
        payment_id=kept.receipt_id,
        fields={
            "refund_id": kept.id,
            "amount": {"units": kept.units, "asset": kept.asset},
            "state": "succeeded",
            "reason": kept.reason,
        },
    )
