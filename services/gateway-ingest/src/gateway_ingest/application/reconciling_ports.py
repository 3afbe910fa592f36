"""What reconciling needs from outside: the gateway's own list, the books, and a place to keep what was not told.

Whatever is away is an OperationalError, whose reason is one line for an operator.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway_ingest.application.ports import Outcome
from gateway_ingest.domain.facts import Reading
from gateway_ingest.domain.reconciling import BookedPayment, ListedPayment, News, Window


class GatewayList(Protocol):
    """What a gateway says of its payments when it is asked."""

    def listed(self, window: Window) -> AsyncIterator[ListedPayment]:
        """Payments that succeeded and were begun in ``window``, in any order. One that makes no sense is logged and
        left out: its webhook is quarantined for the same reason."""
        ...

    async def one(self, payment_id: str, reference: str | None) -> ListedPayment | None:
        """This payment; None when the gateway does not have it as paid."""
        ...

    async def news(self, payment: ListedPayment) -> Sequence[News]:
        """All that the gateway knows of a payment, the Confirmed first, as its webhooks would have told."""
        ...


@dataclass(frozen=True, slots=True)
class Credit:
    """A payment that was booked at that time."""

    payment_id: str
    recorded_at: datetime


class Books(Protocol):
    """The ledger, read only."""

    async def payment(self, gateway: str, payment_id: str) -> BookedPayment | None:
        """What is booked of it, if anything is."""
        ...

    def credited(self, gateway: str, window: Window) -> AsyncIterator[Credit]:
        """Payments of the gateway that were booked in ``window``, newest first."""
        ...


class Keeper(Protocol):
    """Takes news in as those of a webhook; ``Intake`` is one."""

    async def keep(self, gateway: str, reading: Reading, body: bytes) -> Outcome:
        """Durable when this returns."""
        ...


class Progress(Protocol):
    """Somebody may be watching."""

    def begin(self, phase: str, total: int | None) -> None:
        """A new phase of ``total`` steps, None while nobody knows."""
        ...

    def step(self, count: int = 1) -> None:
        """So many more are done."""
        ...
