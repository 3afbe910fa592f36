"""Transfers that arrived at our bank: confirmed by an operator or from a statement, or a payment rejected.

A receipt is stored before gateway-ingest is told, and told until it was. Its id is made of the bank's own reference of
the transfer: confirming it twice changes nothing, and each transfer counts for one payment only. What the bank gave a
reference for once more is told apart by ``bank_sameness``. Credits nobody itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

import structlog

from chassis.clock import Clock
from chassis.errors import Conflict, InvalidField, NotFound
from chassis.rounds import in_rounds
from chassis.runtime import StopSignal
from payments_api.application.gateways import Observation, Observing

NAME = "bank"
TELL_AGAIN_EVERY_S = 5.0
BATCH_MAX_RECEIPTS = 50
READABLE_MAX_CHARS = 64
CLOCKS_APART_DAYS = 1
"""How far ahead of our own (UTC) day a bank's may be."""
NO_REFERENCES = frozenset({"NOTPROVIDED", "NONREF", "NOREF", "NONE", "N/A", "NA", "-"})
"""What banks write where there is no reference."""

_READABLE = re.compile(rf"[A-Z0-9_.-]{{1,{READABLE_MAX_CHARS}}}", re.ASCII)

log = structlog.get_logger("bank_receipts")


class NotABankTransfer(Conflict):
    """The payment is there, and is to be paid another way."""

    def __init__(self) -> None:
        super().__init__("not_a_bank_transfer", "This payment is not a bank transfer")


@dataclass(frozen=True, slots=True)
class Arrival:
    """``units`` smallest units of ``asset`` arrived for a payment. ``is_another``: the operator says that it is not
    the transfer that looks like it. ``entry_id`` and ``booked_on`` are of the statement's line that says so, if one
    does."""

    payment_id: str
    asset: str
    units: int
    bank_reference: str
    value_date: date | None = None
    is_another: bool = False
    entry_id: str | None = None
    booked_on: date | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """An arrival as it is kept. ``id`` is the gateway's id of the money, ``reference`` ours of the payment;
    ``is_repeat``: it was kept before."""

    id: str
    payment_id: str
    reference: str
    asset: str
    units: int
    bank_reference: str
    value_date: date | None
    is_repeat: bool


@dataclass(frozen=True, slots=True)
class BankPayment:
    """What a rejection must know of a payment."""

    payment_id: str
    reference: str
    gateway: str
    has_receipts: bool
    is_credited: bool


class ReceiptDesk(Protocol):
    """Where receipts are kept."""

    async def keep(self, receipt_id: str, arrival: Arrival) -> Receipt:
        """Store it, committed when this returns; the one kept before when it says the same. Statement entries of that
        transfer count as accepted with it. ``receipt_id`` is its id, unless another transfer had the bank's reference.

        Raises NotFound, NotABankTransfer, and Conflict: ``bank_reference_used`` (it says something else),
        ``statement_says_otherwise``, ``looks_confirmed_already``.
        """
        ...

    async def told(self, receipt_id: str) -> None:
        """gateway-ingest has it."""
        ...

    async def take_untold(self, limit: int, *, older_than_s: float) -> Sequence[Receipt]:
        """Receipts that gateway-ingest may not have, oldest first."""
        ...

    async def payment(self, payment_id: str) -> BankPayment | None:
        """The payment, whichever way it is to be paid."""
        ...


class BankReceipts:
    """The use cases of the back office, and the process that tells what was kept and not told."""

    def __init__(self, desk: ReceiptDesk, observing: Observing, clock: Clock) -> None:
        self._desk = desk
        self._observing = observing
        self._clock = clock

    async def confirm(self, arrival: Arrival) -> Receipt:
        """Keep that it arrived, and tell. Raises InvalidField, as ``ReceiptDesk.keep``, and OperationalError: then it
        is kept, and will be told."""
        tomorrow = self._clock.now().date() + timedelta(days=CLOCKS_APART_DAYS)
        if arrival.value_date is not None and arrival.value_date > tomorrow:
            raise InvalidField("value_date", "in_the_future", "must not be in the future: the money must be there")
        receipt = await self._desk.keep(receipt_id(arrival.bank_reference), arrival)
        await self._tell(receipt)
        return receipt

    async def reject(self, payment_id: str, reason: str) -> BankPayment:
        """Tell that it is over, for ``reason``. Raises NotFound, NotABankTransfer, Conflict (``money_has_come``),
        OperationalError: then nothing was changed."""
        payment = await self._desk.payment(payment_id)
        if payment is None:
            raise NotFound("unknown_payment", "There is no such payment")
        if payment.gateway != NAME:
            raise NotABankTransfer
        if payment.has_receipts or payment.is_credited:
            raise Conflict("money_has_come", "Money has come for this payment; it cannot be rejected any more")
        await self._observing.tell([rejection(payment, reason)])
        return payment

    async def run(self, stop: StopSignal) -> None:
        """Tell what was kept and not told, until stopped."""

        async def tell() -> None:
            await self.tell_untold(older_than_s=TELL_AGAIN_EVERY_S)

        await in_rounds(tell, stop, every_s=TELL_AGAIN_EVERY_S, failed="bank_receipts_not_told")

    async def tell_untold(self, *, older_than_s: float) -> int:
        """Tell once more; answers how many."""
        receipts = await self._desk.take_untold(BATCH_MAX_RECEIPTS, older_than_s=older_than_s)
        for receipt in receipts:
            await self._tell(receipt)
        return len(receipts)

    async def _tell(self, receipt: Receipt) -> None:
        await self._observing.tell([confirmation(receipt)])
        await self._desk.told(receipt.id)


def receipt_id(bank_reference: str) -> str:
    """The gateway's id of a transfer, from the bank's reference as a person may type it: case and spaces do not count.
    Readable where it can be, else a hash. Raises InvalidField for what is no reference."""
    compact = "".join(bank_reference.split()).upper()
    if not compact or compact in NO_REFERENCES:
        raise InvalidField("bank_reference", "not_a_reference", "must be the bank's own reference of the transfer")
    if _READABLE.fullmatch(compact):
        return f"bt-{compact}"
    return f"bh-{hashlib.sha256(compact.encode()).hexdigest()[:40]}"


def confirmation(receipt: Receipt) -> Observation:
    """What gateway-ingest is told. The time is the beginning of the value date: whoever paid on the quote's last day
    paid in time. No user is named, so that the quote alone decides whose it is."""
    at = None if receipt.value_date is None else datetime.combine(receipt.value_date, time(), UTC)
    return Observation(
        gateway=NAME,
        name=f"{receipt.id}.confirmed",
        kind="confirmed",
        payment_id=receipt.id,
        at=at,
        reference=receipt.reference,
        fields={"received": {"units": receipt.units, "asset": receipt.asset}},
    )


def rejection(payment: BankPayment, reason: str) -> Observation:
    """What gateway-ingest is told. The bank knows nothing of it, so our own id stands for its."""
    return Observation(
        gateway=NAME,
        name=f"{payment.payment_id}.rejected",
        kind="failed",
        payment_id=payment.payment_id,
        reference=payment.reference,
        fields={"reason_code": "rejected", "reason": reason, "is_over": True},
    )
