"""What the ledger's events have in common. No event of its own: those stand in ``ledger.domain.events``.

Each names its effect (``reference``, unique for ever) and carries its journal entry, so that the journal is data and
not a reading of today's code. Events of a wallet also carry the wallet's two balances after them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ledger.domain.journal import Entry, Posting


@dataclass(frozen=True, kw_only=True)
class LedgerEvent:
    """``originator_id`` is the stream, ``originator_version`` counts its events from one."""

    TOPIC: ClassVar[str]
    originator_id: str
    originator_version: int
    reference: str
    postings: Entry

    @staticmethod
    def restore(state: dict[str, Any]) -> None:
        """Give the postings back the shape that JSON took from them."""
        state["postings"] = tuple(Posting(*line) for line in state["postings"])


@dataclass(frozen=True, kw_only=True)
class WalletEvent(LedgerEvent):
    """An event of the stream ``wallet:<user>``. ``spendable`` and ``held`` are what the wallet has after it, in the
    credit's smallest unit; ``spendable`` below zero is debt."""

    user_id: str
    spendable: int
    held: int


@dataclass(frozen=True, kw_only=True)
class MoneyBack(LedgerEvent):
    """What of a payment has gone back, or may. ``refunded_total`` is what is back after the event, in the smallest unit
    of ``received_asset``; the other totals are the figures that it follows from (``payment_states.Figures``)."""

    gateway: str
    payment_id: str
    received_asset: str
    refunded_total: int
    told_total: int
    failed_total: int
    single_total: int
    lost_total: int
    disputed_total: int


@dataclass(frozen=True, kw_only=True)
class CreditsBack(WalletEvent, MoneyBack):
    """The same where the payment had become credits. All four figures are changes by this event alone, below zero
    where credits come back: ``credits_taken`` includes ``bonus_taken``; ``credits_forgiven`` were spent and are not
    asked for; ``credits_disputed`` are set aside."""

    payment_reference: str | None
    credits_taken: int
    bonus_taken: int
    credits_forgiven: int
    credits_disputed: int


@dataclass(frozen=True, kw_only=True)
class DisputeEvent(CreditsBack):
    """What became of one dispute, which is about ``disputed`` of the payment's money."""

    dispute_id: str
    disputed: int


def know_figures(state: dict[str, Any]) -> None:
    """Bring an event of the time when only the cumulative figure was known to today's fields."""
    state["told_total"] = state["refunded_total"]
    state |= {"failed_total": 0, "single_total": 0, "lost_total": 0, "disputed_total": 0}
